//! A small HTTP/1.1 client that hides nothing: header lines stay in the order
//! and spelling they arrived in, repeats included, and the client chooses the
//! loopback address it comes from.
//!
//! It blocks, so a test reads from top to bottom; each wait ends after
//! [`PATIENCE`].

mod read;
mod request;
mod response;

use std::{
    fmt::Debug,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

pub use self::{request::Request, response::Response};

/// How long a single read, write or connect may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who asks a server questions, one connection for each.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    server: SocketAddr,
    source: IpAddr,
}

impl Client {
    /// A client of `server`, coming from 127.0.0.1.
    #[must_use]
    pub fn of(server: SocketAddr) -> Self {
        Self { server, source: Ipv4Addr::LOCALHOST.into() }
    }

    /// The address that it asks.
    #[must_use]
    pub const fn server(self) -> SocketAddr {
        self.server
    }

    /// The same client at the loopback address 127.0.0.`last`. Linux has all of
    /// them; on macOS each needs `sudo ifconfig lo0 alias 127.0.0.2` first.
    #[must_use]
    pub fn at_loopback(self, last: u8) -> Self {
        Self { source: Ipv4Addr::new(127, 0, 0, last).into(), ..self }
    }

    /// Asks for `target` with no header but `Host`.
    ///
    /// # Panics
    /// If no complete answer comes.
    #[must_use]
    pub fn get(self, target: &str) -> Response {
        self.send(&Request::get(target))
    }

    /// Sends `request` over a connection of its own.
    ///
    /// # Panics
    /// If no complete answer comes.
    #[must_use]
    pub fn send(self, request: &Request) -> Response {
        self.connect()
            .and_then(|mut connection| connection.exchange(request))
            .unwrap_or_else(|error| panic!("{} to {}: {error}", request, self.server))
    }

    /// Opens a connection that can carry many requests.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn connect(self) -> io::Result<Connection> {
        let socket = Socket::new(Domain::for_address(self.server), Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((self.source, 0)).into()).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot come from {}: {error}", self.source))
        })?;
        socket.connect_timeout(&self.server.into(), PATIENCE)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_tcp_nodelay(true)?;
        Ok(Connection::over(TcpStream::from(socket), self.server))
    }
}

/// An open connection, used for one request after the other.
#[derive(Debug)]
pub struct Connection {
    server: SocketAddr,
    stream: BufReader<Box<dyn Transport>>,
}

/// What bytes travel over.
pub trait Transport: Read + Write + Debug + Send {}

impl<T: Read + Write + Debug + Send> Transport for T {}

impl Connection {
    /// A connection over something else than TCP; requests name `server` in their Host field.
    #[must_use]
    pub fn over(stream: impl Transport + 'static, server: SocketAddr) -> Self {
        Self { server, stream: BufReader::new(Box::new(stream)) }
    }

    /// Sends `request` and reads its final response.
    ///
    /// # Errors
    /// A refused, slow or closed connection, or an answer that is not HTTP/1.
    pub fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        self.ask(request)?;
        self.read_response(request.method())
    }

    /// Writes bytes as they are, for requests that no client should send.
    ///
    /// # Errors
    /// A slow or closed connection.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads what comes, framing and all, until `awaited` is in it: for
    /// responses that have no end yet.
    ///
    /// # Errors
    /// A slow or closed connection.
    pub fn read_until(&mut self, awaited: &str) -> io::Result<String> {
        let mut seen = String::new();
        while !seen.contains(awaited) {
            let some = self.stream.fill_buf()?;
            if some.is_empty() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed"));
            }
            seen.push_str(&String::from_utf8_lossy(some));
            let length = some.len();
            self.stream.consume(length);
        }
        Ok(seen)
    }

    /// Sends `request` and leaves the response to be read.
    ///
    /// # Errors
    /// A slow or closed connection.
    pub fn ask(&mut self, request: &Request) -> io::Result<()> {
        self.write(&request.to_bytes(self.server))
    }

    /// Reads the final response to a request of this method.
    ///
    /// # Errors
    /// A slow or closed connection, or an answer that is not HTTP/1.
    pub fn read_response(&mut self, method: &str) -> io::Result<Response> {
        read::response(&mut self.stream, method)
    }
}
