//! Requests, by `wrk` from Debian: on the core that is not measured.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;

use crate::world::Row;

/// So many requests are on their way at a time.
const CONNECTIONS: &str = "32";
const SCRIPT: &str = include_str!("../../peers/origin/load.lua");

/// Tells the URLs of one run from those of all others.
static RUN: AtomicU64 = AtomicU64::new(1);

/// One row's requests to one server.
pub(crate) struct Load<'a> {
    row: &'a Row,
    address: SocketAddr,
}

/// What a run took.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) requests: u64,
    pub(crate) micros: u64,
    /// Connections that broke, or were silent for two seconds.
    pub(crate) broken: u64,
    /// Answers of 400 and above.
    pub(crate) refused: u64,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) coding: Option<String>,
}

impl<'a> Load<'a> {
    pub(crate) fn of(row: &'a Row, address: SocketAddr) -> Self {
        Self { row, address }
    }

    /// Asks for `span`.
    pub(crate) fn run(&self, span: Duration) -> io::Result<Run> {
        let Self { row, address } = self;
        let script = format!("/dev/shm/tidegate-bench-{}.lua", std::process::id());
        fs::write(&script, SCRIPT)?;
        let (kind, count) = match row.urls {
            0 => ("new", RUN.fetch_add(1, Ordering::Relaxed)),
            urls => ("many", urls.into()),
        };
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "-c", CONNECTIONS, "-d"]).arg(format!("{}s", span.as_secs()));
        wrk.args(["-s", &script, &format!("http://{address}"), "--", kind]);
        wrk.arg(count.to_string()).arg(row.path);
        wrk.args(row.fields.iter().flat_map(|(name, value)| [name, value]));
        let output = wrk.output();
        fs::remove_file(&script)?;
        let said = String::from_utf8_lossy(&output?.stdout).into_owned();
        let run = said.lines().find_map(|line| serde_json::from_str(line).ok());
        run.ok_or_else(|| io::Error::other(format!("wrk says: {said}")))
    }
}

/// Asks for each URL of `row` once.
pub(crate) fn ask_for_each(address: SocketAddr, row: &Row) -> io::Result<()> {
    /// So many are asked for before the first is waited for.
    const AHEAD: usize = 32;
    let mut connection = Connection::open(address)?;
    let numbers: Vec<u32> = (0..row.urls).collect();
    for some in numbers.chunks(AHEAD) {
        connection.send(row, some)?;
        some.iter().try_for_each(|_| connection.answer().map(drop))?;
    }
    Ok(())
}

/// Asks for one URL of `row`, twice where the first is let through by a limit.
pub(crate) fn first_answer(address: SocketAddr, row: &Row) -> io::Result<Answered> {
    let mut connection = Connection::open(address)?;
    let mut ask = || {
        connection.send(row, &[0])?;
        connection.answer()
    };
    let first = ask()?;
    if row.status == 429 { ask() } else { Ok(first) }
}

/// A connection for one request after the other.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self { stream, read: Vec::new() })
    }

    fn send(&mut self, row: &Row, numbers: &[u32]) -> io::Result<()> {
        let fields: String =
            row.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let path = row.path;
        let request = |number: &u32| {
            format!("GET {path}{number} HTTP/1.1\r\nHost: www.example.com\r\n{fields}\r\n")
        };
        let requests: String = numbers.iter().map(request).collect();
        self.stream.write_all(requests.as_bytes())
    }

    fn answer(&mut self) -> io::Result<Answered> {
        let head = self.until(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_owned())
        };
        let bad = || io::Error::other(format!("no answer of HTTP: {head}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(bad)?;
        if field("transfer-encoding").is_some() {
            loop {
                let size = self.until(b"\r\n")?;
                let size = String::from_utf8_lossy(&size).trim().to_owned();
                let size = usize::from_str_radix(&size, 16).map_err(|_| bad())?;
                self.take(size + 2)?;
                if size == 0 {
                    break;
                }
            }
        } else if status != 304 {
            let length = field("content-length").and_then(|length| length.parse().ok());
            self.take(length.ok_or_else(bad)?)?;
        }
        Ok(Answered { status, coding: field("content-encoding") })
    }

    fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|window| window == end) {
                return Ok(self.read.drain(..at + end.len()).collect());
            }
            self.more()?;
        }
    }

    fn take(&mut self, length: usize) -> io::Result<()> {
        while self.read.len() < length {
            self.more()?;
        }
        self.read.drain(..length);
        Ok(())
    }

    fn more(&mut self) -> io::Result<()> {
        let mut chunk = [0; 65_536];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.read.extend_from_slice(&chunk[..length]);
                Ok(())
            }
        }
    }
}
