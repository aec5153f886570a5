//! Requests over a few connections that stay open, one after the other on each.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_local};

use crate::world::{Row, URLS};

/// So many requests are on their way at a time.
const CONNECTIONS: usize = 8;

/// Clients of one runtime. Their connections are new for each run: those that nobody uses it
/// closes after a few seconds.
pub(crate) struct Clients {
    address: SocketAddr,
    /// What tells each measured miss from all others.
    turn: Rc<Cell<u64>>,
}

struct Client {
    requests: SendRequest<Empty<Bytes>>,
    host: HeaderValue,
}

/// What a run of one row took.
pub(crate) struct Run {
    pub(crate) requests: u64,
    pub(crate) span: Duration,
}

impl Clients {
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self { address, turn: Rc::default() }
    }

    /// Asks for all URLs of `row`, whatever comes of it: so that what should be stored is, and
    /// who should be refused has used up its quota.
    pub(crate) async fn prepare(&self, row: &Row) -> io::Result<()> {
        let mut client = Client::connect(self.address).await?;
        for turn in 0..URLS {
            client.exchange(row, turn).await?;
        }
        Ok(())
    }

    /// Asks for `row` until `span` is over.
    pub(crate) async fn run(&self, row: &'static Row, span: Duration) -> io::Result<Run> {
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let mut client = Client::connect(self.address).await?;
            let turn = Rc::clone(&self.turn);
            clients.spawn_local(async move {
                let mut requests = 0;
                while begun.elapsed() < span {
                    turn.set(turn.get() + 1);
                    client.ask(row, turn.get()).await?;
                    requests += 1;
                }
                Ok::<u64, io::Error>(requests)
            });
        }
        let mut requests = 0;
        while let Some(ended) = clients.join_next().await {
            requests += ended??;
        }
        Ok(Run { requests, span: begun.elapsed() })
    }
}

/// Asks a process that was just started for `row`.
pub(crate) async fn first_answer(address: SocketAddr, row: &Row) -> io::Result<()> {
    Client::connect(address).await?.ask(row, 0).await
}

impl Client {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (requests, connection) =
            handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        spawn_local(connection);
        let host = HeaderValue::from_static("www.example.com");
        Ok(Self { requests, host })
    }

    /// Asks for what the row expects.
    async fn ask(&mut self, row: &Row, turn: u64) -> io::Result<()> {
        let (status, body) = self.exchange(row, turn).await?;
        if status == row.status && (status != StatusCode::OK || body.len() == row.length) {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&body);
        Err(io::Error::other(format!("{}: {status}: {said}", row.target(turn))))
    }

    async fn exchange(&mut self, row: &Row, turn: u64) -> io::Result<(StatusCode, Bytes)> {
        self.requests.ready().await.map_err(io::Error::other)?;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = row.target(turn).parse().map_err(io::Error::other)?;
        let head = request.headers_mut();
        head.insert("host", self.host.clone());
        for (name, value) in FIELDS {
            head.insert(*name, HeaderValue::from_static(value));
        }
        let answer = self.requests.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status();
        let body = answer.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok((status, body))
    }
}

/// What Cloudflare hands to a Worker of a browser's request.
const FIELDS: &[(&str, &str)] = &[
    ("cf-connecting-ip", "192.0.2.7"),
    ("cf-ipcountry", "DE"),
    ("cf-ray", "9a1b2c3d4e5f6789-FRA"),
    ("cf-visitor", "{\"scheme\":\"https\"}"),
    ("x-forwarded-for", "192.0.2.7"),
    ("x-forwarded-proto", "https"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "br, gzip"),
    ("referer", "https://www.example.com/dashboard"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
];
