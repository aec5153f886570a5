//! What goes to the client and is not written yet: never more than a bound, and as much as there
//! is in one call of the system.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::buffers;

/// A piece of a body up to this size is copied behind what stands before it: that costs less than
/// telling the system of one more place.
const COPY_MAX: usize = 4 * 1024;

/// Bytes to be written: the front, then a piece of a body that is too large to copy, then what
/// ends it.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Without room of its own while nothing is here.
    front: Vec<u8>,
    written: usize,
    body: Bytes,
    end: &'static [u8],
    /// Something was written that the stream may hold back.
    unflushed: bool,
}

impl Output {
    /// Whether nothing is to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.front.is_empty() && self.body.is_empty() && self.end.is_empty() && !self.unflushed
    }

    /// Whether it takes more before what is here is written.
    pub(super) fn has_room(&self) -> bool {
        self.body.is_empty() && self.end.is_empty() && self.front.len() < buffers::SIZE - COPY_MAX
    }

    /// Where heads and small pieces are put; only where there is room.
    pub(super) fn front(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.body.is_empty() && self.end.is_empty());
        if self.front.capacity() == 0 {
            self.front = buffers::take();
        }
        &mut self.front
    }

    /// Puts a piece of a body behind the front, and `end` behind it.
    pub(super) fn put(&mut self, piece: Bytes, end: &'static [u8]) {
        let front = self.front();
        if piece.len() <= COPY_MAX {
            front.extend_from_slice(&piece);
            front.extend_from_slice(end);
            return;
        }
        self.body = piece;
        self.end = end;
    }

    /// Writes all that is here. `Ready` only then; `progress` is called whenever some of it left.
    pub(super) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        mut progress: impl FnMut(),
    ) -> Poll<io::Result<()>> {
        loop {
            let front = &self.front[self.written..];
            let count = match (front.is_empty(), self.body.is_empty(), self.end.is_empty()) {
                (true, true, true) => break,
                (false, true, true) => Pin::new(&mut *stream).poll_write(context, front),
                (true, false, true) => Pin::new(&mut *stream).poll_write(context, &self.body),
                _ => {
                    let parts = [front, &self.body, self.end].map(IoSlice::new);
                    Pin::new(&mut *stream).poll_write_vectored(context, &parts)
                }
            };
            let count = ready!(count)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(count);
            self.unflushed = true;
            progress();
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut count: usize) {
        let front = count.min(self.front.len() - self.written);
        self.written += front;
        if self.written == self.front.len() {
            self.written = 0;
            buffers::give_back(&mut self.front);
        }
        count -= front;
        let body = count.min(self.body.len());
        self.body.advance(body);
        if self.body.is_empty() {
            // Lets a large one go at once.
            self.body = Bytes::new();
        }
        count -= body;
        self.end = &self.end[count.min(self.end.len())..];
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        buffers::give_back(&mut self.front);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    /// Takes so many bytes at a time.
    struct Narrow(Vec<u8>, usize);

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.1);
            self.0.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn all_is_written_in_order_however_little_is_taken_at_once() {
        let large = Bytes::from(vec![b'l'; COPY_MAX + 1]);
        for at_once in [1, 2, 3, 7, 5000, 100_000] {
            let (mut output, mut stream) = (Output::default(), Narrow(Vec::new(), at_once));
            output.front().extend_from_slice(b"head ");
            output.put(Bytes::from_static(b"small"), b"\r\n");
            assert!(output.has_room());
            output.put(large.clone(), b"\r\n");
            assert!(!output.has_room());
            let mut context = Context::from_waker(Waker::noop());
            let mut calls = 0;
            let written = output.poll_write(&mut stream, &mut context, || calls += 1);
            assert!(matches!(written, Poll::Ready(Ok(()))));
            assert!(output.is_empty() && calls > 0);
            let expected = [b"head small\r\n", &large[..], b"\r\n"].concat();
            assert!(stream.0 == expected, "{at_once} at once");
        }
    }
}
