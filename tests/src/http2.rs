//! HTTP/2 with the shim: a client that behaves, and frames of one that does not.

use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};

use crate::wire::PATIENCE;

/// A connection whose requests run side by side.
#[derive(Clone, Debug)]
pub struct Http2 {
    requests: SendRequest<UnsyncBoxBody<Bytes, Infallible>>,
}

/// An answer with its whole body.
pub type Answer = http::Response<Bytes>;

impl Http2 {
    /// Over TLS, as a client of `host`.
    ///
    /// # Panics
    /// If there is no such connection.
    pub async fn over_tls(server: SocketAddr, host: &str, config: Arc<ClientConfig>) -> Self {
        let stream = tokio::net::TcpStream::connect(server).await.expect("it listens");
        let host = ServerName::try_from(host.to_owned()).expect("a host");
        let stream = TlsConnector::from(config).connect(host, stream).await;
        Self::over(stream.expect("a handshake")).await
    }

    /// Without TLS, by prior knowledge (RFC 9113 §3.3).
    ///
    /// # Panics
    /// If there is no such connection.
    pub async fn in_the_clear(server: SocketAddr) -> Self {
        Self::over(tokio::net::TcpStream::connect(server).await.expect("it listens")).await
    }

    /// Over anything.
    ///
    /// # Panics
    /// If the server does not speak HTTP/2.
    pub async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (requests, connection) = connected.expect("a server of HTTP/2");
        // How it ends is seen in the requests.
        tokio::spawn(async move { drop(connection.await) });
        Self { requests }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// What the server or the connection objects to.
    pub async fn send<B>(&self, request: http::Request<B>) -> hyper::Result<Answer>
    where
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        self.exchange(request).await.map(|(answer, _)| answer)
    }

    /// The same with the trailers, if there are some.
    ///
    /// # Errors
    /// What the server or the connection objects to.
    pub async fn exchange<B>(
        &self,
        request: http::Request<B>,
    ) -> hyper::Result<(Answer, Option<HeaderMap>)>
    where
        B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        let request = request.map(BodyExt::boxed_unsync);
        let (head, body) = self.requests.clone().send_request(request).await?.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned();
        Ok((Answer::from_parts(head, body.to_bytes()), trailers))
    }

    /// Asks for `url`.
    ///
    /// # Errors
    /// What the server or the connection objects to.
    ///
    /// # Panics
    /// If it is no URL.
    pub async fn get(&self, url: &str) -> hyper::Result<Answer> {
        let request = http::Request::get(url).body(Full::<Bytes>::default());
        self.send(request.expect("a request")).await
    }
}

/// A connection frame by frame (RFC 9113 §4.1).
#[derive(Debug)]
pub struct Frames(TcpStream);

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// The stream that it belongs to.
    pub stream: u32,
    /// What is in it.
    pub payload: Vec<u8>,
}

/// Types of frames.
pub mod kind {
    #![allow(missing_docs, reason = "the RFC says what they are")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const CONTINUATION: u8 = 9;
}

/// The fields of `GET http://a/` in HPACK: three of the static table, and a literal.
pub const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];
/// It answers a PING or SETTINGS.
pub const ACK: u8 = 1;
/// No body follows.
pub const END_STREAM: u8 = 1;
/// No CONTINUATION follows.
pub const END_HEADERS: u8 = 4;

impl Frames {
    /// Connects, and sends what comes first.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn connect(server: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut frames = Self(stream);
        frames.write(kind::SETTINGS, 0, 0, &[])?;
        Ok(frames)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// A slow or closed connection.
    ///
    /// # Panics
    /// If the payload is longer than a frame can be.
    pub fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).expect("a payload of a frame").to_be_bytes();
        let mut frame = Vec::from(&length[1..]);
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame)
    }

    /// The next frame.
    ///
    /// # Errors
    /// A slow or closed connection.
    pub fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload)?;
        Ok(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// The next frame of this type; others are passed over.
    ///
    /// # Errors
    /// A slow or closed connection.
    pub fn read_next(&mut self, kind: u8) -> io::Result<Frame> {
        loop {
            let frame = self.read()?;
            if frame.kind == kind {
                return Ok(frame);
            }
        }
    }
}

impl Frame {
    /// The error code of a GOAWAY (§6.8).
    #[must_use]
    pub fn goaway_error(&self) -> Option<u32> {
        let code = self.payload.get(4..8)?.try_into().ok()?;
        (self.kind == kind::GOAWAY).then(|| u32::from_be_bytes(code))
    }
}
