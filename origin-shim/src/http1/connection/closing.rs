//! Closing so that the last answer arrives: a system that still has bytes from the client when a
//! connection is closed resets it, and a reset throws away what the client has not read yet (RFC
//! 9112 §9.6).

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::Connection;
use crate::http1::patience;

impl<S> Connection<S>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    /// Writes what is left, says that nothing more comes, and where the client still `sends`, or
    /// has sent something more, lets it.
    pub(super) async fn close(mut self, sends: bool) {
        if poll_fn(|context| self.poll_write_all(context)).await.is_err() {
            return;
        }
        let shut = poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context));
        if !matches!(timeout(patience::LINGER, shut).await, Ok(Ok(()))) {
            return;
        }
        let sends = sends || !self.input.is_empty() || self.has_more().await;
        if sends {
            let _ = timeout(patience::LINGER, self.discard()).await;
        }
    }

    /// Whether something is here that was not read.
    async fn has_more(&mut self) -> bool {
        poll_fn(|context| {
            let filled = self.input.poll_fill(&mut self.stream, context);
            Poll::Ready(matches!(filled, Poll::Ready(Ok(1..))))
        })
        .await
    }

    /// Reads to the end of what the client sends.
    async fn discard(&mut self) {
        poll_fn(|context| {
            loop {
                self.input.consume(self.input.bytes().len());
                match self.input.poll_fill(&mut self.stream, context) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await;
    }
}
