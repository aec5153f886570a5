//! The client's connection after it has changed to another protocol (RFC 9110 §7.8).

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// Comes true when a 101 was sent to the client of a request that asked for another protocol,
/// which has it among its extensions. Whoever answers 101 takes it out and awaits it; of clones,
/// one gets the connection.
#[derive(Clone, Debug)]
pub struct Upgrade(Arc<Mutex<oneshot::Receiver<Upgraded>>>);

/// The answer was not 101, or the client went before it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUpgraded;

/// The client's connection, in which the other protocol is spoken.
pub struct Upgraded {
    /// What came before anybody could take it for something else.
    ahead: Bytes,
    stream: Box<dyn Stream>,
    /// Dropped with it.
    _ends: oneshot::Sender<Infallible>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Upgrade {
    /// The two ends.
    pub(super) fn new() -> (oneshot::Sender<Upgraded>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Arc::new(Mutex::new(receiver))))
    }
}

impl Future for Upgrade {
    type Output = Result<Upgraded, NotUpgraded>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match receiver.is_terminated() {
            // Another clone has it.
            true => Poll::Ready(Err(NotUpgraded)),
            false => Pin::new(&mut *receiver).poll(context).map_err(|_| NotUpgraded),
        }
    }
}

impl Upgraded {
    /// `stream`, of which `ahead` was read already, and what comes true when it is dropped.
    pub(super) fn new(
        ahead: Bytes,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> (Self, impl Future<Output = ()>) {
        let (ends, ended) = oneshot::channel();
        let ended = async { drop(ended.await) };
        (Self { ahead, stream: Box::new(stream), _ends: ends }, ended)
    }
}

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, into);
        }
        let count = self.ahead.len().min(into.remaining());
        into.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl std::fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upgraded").field("ahead", &self.ahead.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Display for NotUpgraded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection goes on in HTTP")
    }
}

impl std::error::Error for NotUpgraded {}
