//! What came from the client and is not used yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tidegate_core::Scheme;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

use super::head::request::{GoodHost, RequestHead};
use super::head::{Extent, HEAD_MAX, HeadEnd, is_token};
use super::{Malformed, buffers};

/// Bytes that were read ahead, in order.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Without room of its own while nothing is here.
    buffer: Vec<u8>,
    /// What is before that has been used.
    used: usize,
    head_end: HeadEnd,
    /// The one empty line that may stand before a request was there (RFC 9112 §2.2).
    skipped_line: bool,
    good_host: GoodHost,
}

impl Input {
    /// What is here.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.used..]
    }

    /// Whether nothing is here.
    pub(super) fn is_empty(&self) -> bool {
        self.used == self.buffer.len()
    }

    /// Uses up the first `count` bytes.
    pub(super) fn consume(&mut self, count: usize) {
        self.used += count;
        if self.is_empty() {
            self.used = 0;
            buffers::give_back(&mut self.buffer);
        }
    }

    /// Takes all that is here.
    pub(super) fn take(&mut self) -> Bytes {
        let all = Bytes::copy_from_slice(self.bytes());
        self.consume(all.len());
        all
    }

    /// Where the next head ends, if all of it is here.
    pub(super) fn find_head(&mut self) -> Result<Option<Extent>, Malformed> {
        let Some(first) = self.bytes().first() else { return Ok(None) };
        if !is_token(*first) && !self.skip_empty_line()? {
            return Ok(None);
        }
        self.head_end.find(&self.buffer[self.used..])
    }

    /// Takes the head that was found.
    pub(super) fn take_head(
        &mut self,
        extent: Extent,
        scheme: Scheme,
    ) -> Result<RequestHead, Malformed> {
        let head = Bytes::copy_from_slice(&self.bytes()[..extent.length]);
        self.consume(extent.length);
        self.head_end = HeadEnd::default();
        self.skipped_line = false;
        RequestHead::read_next(&head, extent, scheme, &mut self.good_host)
    }

    /// Whether a request line stands here now, which begins with a token.
    fn skip_empty_line(&mut self) -> Result<bool, Malformed> {
        match self.bytes() {
            [b'\r'] if !self.skipped_line => return Ok(false),
            [b'\r', b'\n', ..] if !self.skipped_line => {}
            [b'\n', ..] => return Err(Malformed::BareLineFeed),
            _ => return Err(Malformed::RequestLine),
        }
        self.skipped_line = true;
        self.consume(2);
        match self.bytes() {
            [] => Ok(false),
            [first, ..] if is_token(*first) => Ok(true),
            _ => Err(Malformed::RequestLine),
        }
    }

    /// Reads what there is, and says how much: 0 at the end of the stream.
    pub(super) fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() == 0 {
            self.buffer = buffers::take();
        } else if self.buffer.len() == self.buffer.capacity() {
            self.make_room();
        }
        let read = poll_read_buf(Pin::new(stream), context, &mut self.buffer);
        if self.buffer.is_empty() {
            buffers::give_back(&mut self.buffer);
        }
        read
    }

    /// Whether there is room to read ahead what nobody waits for yet.
    pub(super) fn has_room(&self) -> bool {
        self.bytes().len() < buffers::SIZE
    }

    fn make_room(&mut self) {
        match self.used {
            0 => self.buffer.reserve_exact(HEAD_MAX + 1 - self.buffer.len().min(HEAD_MAX)),
            _ => {
                self.buffer.drain(..self.used);
                self.used = 0;
            }
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        buffers::give_back(&mut self.buffer);
    }
}
