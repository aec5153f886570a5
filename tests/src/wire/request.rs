//! What a client sends.

use std::{fmt, net::SocketAddr};

/// A request; the bytes sent are these parts and no others, save `Host` and
/// `Content-Length`, which are added where they are missing and needed.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds the header that names `user` to the demo origin.
    #[must_use]
    pub fn by(self, user: &str) -> Self {
        self.header("Authorization", &format!("Bearer {user}"))
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    pub(super) fn to_bytes(&self, server: SocketAddr) -> Vec<u8> {
        let mut bytes = format!("{self} HTTP/1.1\r\n");
        let mut line = |name: &str, value: &str| {
            bytes.extend([name, ": ", value, "\r\n"]);
        };
        if !self.has("Host") {
            line("Host", &server.to_string());
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if !self.body.is_empty() && !self.has("Content-Length") && !self.has("Transfer-Encoding") {
            line("Content-Length", &self.body.len().to_string());
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend(&self.body);
        bytes
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(present, _)| present.eq_ignore_ascii_case(name))
    }
}

/// Method and target, as in the request line.
impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.method, self.target)
    }
}
