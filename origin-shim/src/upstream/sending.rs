//! A request on its way to a server.

use std::fmt::Write as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as HttpBody;
use tokio::io::AsyncWrite;

use super::connect::Stream;
use super::head::{self, Told};
use crate::body::{Body, BodyError};
use crate::http1::chunked::may_be_trailer;

/// A request on its way: its head, and its body as it comes.
#[derive(Debug)]
pub(super) struct Sending {
    /// What is to be written before `data`.
    out: BytesMut,
    /// A piece of the body.
    data: Bytes,
    /// Where more of it comes from.
    body: Option<Body>,
    /// What is said behind it.
    trailers: Option<HeaderMap>,
    told: Told,
    /// Something of the body was taken, so that nobody else can send it.
    pub(super) is_touched: bool,
    /// Something was written since this was last reset.
    pub(super) has_moved: bool,
    /// More is waited for from whoever sends the body, rather than the server.
    pub(super) waits_for_body: bool,
    /// All is written, or the server takes no more.
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Going,
    Sent,
    Refused,
}

impl Sending {
    /// A request with this head in `out`.
    pub(super) fn new(out: BytesMut, body: Body, told: Told) -> Self {
        let (data, body) = match body {
            Body::Whole(bytes) => (bytes.unwrap_or_default(), None),
            body => (Bytes::new(), Some(body)),
        };
        Self {
            out,
            data,
            body,
            trailers: None,
            told,
            is_touched: false,
            has_moved: false,
            waits_for_body: false,
            state: State::Going,
        }
    }

    /// Whether all of it is written.
    pub(super) fn is_sent(&self) -> bool {
        self.state == State::Sent
    }

    /// Whether it ends in trailers: a server that does not know them would take them for the begin
    /// of the next request.
    pub(super) fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    /// Whether nothing of it will be written any more.
    pub(super) fn is_over(&self) -> bool {
        self.state != State::Going
    }

    /// The room that its head took.
    pub(super) fn into_room(mut self) -> BytesMut {
        self.out.clear();
        self.out
    }

    /// The body, if it can still be sent by somebody else.
    pub(super) fn into_body(self) -> Option<Body> {
        self.body.filter(|_| !self.is_touched)
    }

    /// Writes what there is. An error is that of the body's sender; a server that takes no more
    /// may still answer.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<Result<(), BodyError>> {
        while self.state == State::Going {
            let written = ready!(self.poll_write(context, stream));
            if written.is_err() {
                self.state = State::Refused;
                break;
            }
            let Some(body) = &mut self.body else {
                self.state = State::Sent;
                break;
            };
            self.is_touched = true;
            let frame = Pin::new(body).poll_frame(context);
            self.waits_for_body = frame.is_pending();
            match ready!(frame) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.put(data)?,
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => {
                    self.body = None;
                    self.end()?;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is there to the last byte.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        stream: &mut Stream,
    ) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(stream);
        while self.out.has_remaining() || self.data.has_remaining() {
            let slices = [IoSlice::new(&self.out), IoSlice::new(&self.data)];
            let slices = if self.out.is_empty() { &slices[1..] } else { &slices[..] };
            let written = ready!(stream.as_mut().poll_write_vectored(context, slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.has_moved = true;
            let of_out = written.min(self.out.len());
            self.out.advance(of_out);
            self.data.advance(written - of_out);
        }
        stream.poll_flush(context)
    }

    /// Frames a piece of the body.
    fn put(&mut self, data: Bytes) -> Result<(), BodyError> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.told {
            Told::Nothing => return Err(BodyError::Length),
            Told::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(BodyError::Length)?;
            }
            Told::Chunked { begun } => {
                let end = if *begun { "\r\n" } else { "" };
                *begun = true;
                // Writing to memory does not fail.
                let _ = write!(self.out, "{end}{:x}\r\n", data.len());
            }
        }
        self.data = data;
        Ok(())
    }

    /// Writes what ends the body. Only chunks have room for trailers (RFC 9112 §7.1.2); elsewhere
    /// they are dropped, as RFC 9110 §6.5.1 has it.
    fn end(&mut self) -> Result<(), BodyError> {
        match self.told {
            Told::Nothing | Told::Length(0) => return Ok(()),
            Told::Length(_) => return Err(BodyError::Length),
            Told::Chunked { begun } => {
                let end: &[u8] = if begun { b"\r\n0\r\n" } else { b"0\r\n" };
                self.out.extend_from_slice(end);
                for (name, value) in self.trailers.iter().flatten() {
                    if may_be_trailer(name) {
                        head::line(&mut self.out, name, value);
                    }
                }
                self.out.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}
