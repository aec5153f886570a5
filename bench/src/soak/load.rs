//! What people ask for, over connections that come and go.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::chance::Chance;

/// Pages there are: several times what the zone holds.
const PAGES: u64 = 400_000;
/// Who asks: more than limits remember.
const ADDRESSES: u64 = 1_000_000;
const USERS: u64 = 30_000;
/// A connection has so many requests.
const REQUESTS_EACH: u64 = 1_000;

/// What came of requests.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) all: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) limited: AtomicU64,
    /// 5xx.
    pub(crate) failed: AtomicU64,
}

/// Asks for what comes by chance until `end` requests were answered, or for ever.
pub(crate) async fn ask(
    address: SocketAddr,
    seed: u64,
    end: u64,
    answers: Arc<Answers>,
) -> io::Result<()> {
    let mut chance = Chance::of(seed);
    while answers.all.load(Ordering::Relaxed) < end {
        let mut connection = Connection::open(address).await?;
        for _ in 0..REQUESTS_EACH {
            let (request, is_head) = request(&mut chance);
            connection.stream.write_all(request.as_bytes()).await?;
            if chance.below(2_000) == 0 {
                // Whoever leaves has asked for nothing less.
                break;
            }
            let answer = connection.answer(is_head).await?;
            answers.note(&answer);
            if answer.closes {
                break;
            }
        }
    }
    Ok(())
}

/// Asks for all numbers of `from` below `/filled/`, each once.
pub(crate) async fn fill(
    address: SocketAddr,
    from: std::ops::Range<u64>,
    answers: Arc<Answers>,
) -> io::Result<()> {
    let mut connection = Connection::open(address).await?;
    for number in from {
        let request = format!("GET /filled/{number} HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
        connection.stream.write_all(request.as_bytes()).await?;
        answers.note(&connection.answer(false).await?);
    }
    Ok(())
}

/// A request, and whether its answer has no body.
fn request(chance: &mut Chance) -> (String, bool) {
    let kind = chance.below(1000);
    let method = match kind {
        0..60 => "POST",
        60..90 => "HEAD",
        _ => "GET",
    };
    let target = match kind {
        // Each voids a page, of more than are remembered.
        0..60 => format!("/pages/{}", chance.below(PAGES)),
        60..800 => format!("/pages/{}", chance.ranked(PAGES)),
        // Whoever tries what there is.
        800..830 => format!("/pages/{:x}?{:x}", chance.next(), chance.next()),
        830..950 => format!("/own/{}", chance.ranked(100)),
        _ => format!("/shared/{}", chance.ranked(PAGES)),
    };
    // One in five is of those who ask often, some of them too often.
    let address = match chance.below(5) {
        0 => chance.ranked(ADDRESSES),
        _ => chance.below(ADDRESSES),
    };
    let [.., a, b, c] = address.to_be_bytes();
    let mut text = format!(
        "{method} {target} HTTP/1.1\r\nHost: www.example.com\r\nX-Forwarded-For: 10.{a}.{b}.{c}\r\n"
    );
    let languages = ["de", "en", "fr", "it", "es", "pt", "nl", "da"];
    let language = languages[chance.below(8) as usize];
    text += &format!("Accept-Language: {language}\r\n");
    match kind {
        0..60 => text += "Content-Length: 0\r\n",
        100..500 => text += "Accept-Encoding: gzip, br\r\n",
        500..550 => text += "If-None-Match: \"0\", W/\"1\"\r\n",
        550..560 => text += "Range: bytes=10-99\r\n",
        830..950 => text += &format!("Authorization: Bearer {}\r\n", chance.ranked(USERS)),
        _ => {}
    }
    text += "\r\n";
    (text, method == "HEAD")
}

impl Answers {
    fn note(&self, answer: &Answer) {
        self.all.fetch_add(1, Ordering::Relaxed);
        let counts = [
            (answer.is_hit, &self.hits),
            (answer.status == 429, &self.limited),
            (answer.status >= 500, &self.failed),
        ];
        for (_, count) in counts.iter().filter(|(is_it, _)| *is_it) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct Answer {
    status: u16,
    is_hit: bool,
    closes: bool,
}

/// A connection for one request after the other.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(16_384) })
    }

    async fn answer(&mut self, is_head: bool) -> io::Result<Answer> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let field = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let bad = || io::Error::other(format!("no answer of HTTP: {head}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(bad)?;
        if is_head || status == 304 || status == 204 {
            // There is no body.
        } else if field("transfer-encoding").is_some() {
            loop {
                let size = self.until(b"\r\n").await?;
                let size = String::from_utf8_lossy(&size).trim().to_owned();
                let size = usize::from_str_radix(&size, 16).map_err(|_| bad())?;
                self.take(size + 2).await?;
                if size == 0 {
                    break;
                }
            }
        } else {
            let length = field("content-length").and_then(|length| length.parse().ok());
            self.take(length.ok_or_else(bad)?).await?;
        }
        Ok(Answer {
            status,
            is_hit: field("x-cache") == Some("hit"),
            closes: field("connection") == Some("close"),
        })
    }

    async fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                return Ok(self.read.drain(..at + end.len()).collect());
            }
            self.more().await?;
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<()> {
        while self.read.len() < length {
            self.more().await?;
        }
        self.read.drain(..length);
        Ok(())
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
