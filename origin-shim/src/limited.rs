//! Bodies of which nobody knows how long they are, up to a limit.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, BodyError};

/// A body that breaks off when it becomes too long.
#[derive(Debug)]
pub struct Limited {
    body: Body,
    /// Bytes that may still come.
    left: u64,
}

impl Limited {
    /// `body`, of which so many bytes are taken at most.
    pub const fn new(body: Body, most: u64) -> Self {
        Self { body, left: most }
    }
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let length = frame.as_ref().and_then(|frame| Some(frame.as_ref().ok()?.data_ref()?.len()));
        match self.left.checked_sub(length.unwrap_or(0) as u64) {
            Some(left) => {
                self.left = left;
                Poll::Ready(frame)
            }
            None => {
                self.body = Body::empty();
                Poll::Ready(Some(Err(BodyError::TooLarge)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
