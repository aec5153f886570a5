//! Whether anything still moves over a connection of HTTP/2, and who is waited for if not: a client
//! may open streams, read nothing of them, and answer every question whether it is there.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, BodyError};

/// What goes over one connection.
#[derive(Debug, Default)]
pub(super) struct Progress {
    asked: AtomicU64,
    moved: AtomicU64,
    ours: AtomicUsize,
}

/// An answer that is not there yet, or the next piece of one: the client waits for us.
#[derive(Debug)]
pub(super) struct Ours(Arc<Progress>);

/// A body that says when a piece of it is taken, and when it is the one that is waited for.
#[derive(Debug)]
pub(super) struct Watched {
    body: Body,
    progress: Arc<Progress>,
    ours: Option<Ours>,
}

impl Progress {
    /// A request has come, and waits for us until what is returned is dropped.
    pub(super) fn ask(self: &Arc<Self>) -> Ours {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.wait_for_us()
    }

    fn wait_for_us(self: &Arc<Self>) -> Ours {
        self.ours.fetch_add(1, Ordering::Relaxed);
        Ours(Arc::clone(self))
    }

    /// Requests so far.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Pieces of answers that were taken so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Whether the client waits for us.
    pub(super) fn is_ours(&self) -> bool {
        self.ours.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.0.ours.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Watched {
    /// Watches `body` for its connection.
    pub(super) const fn new(body: Body, progress: Arc<Progress>) -> Self {
        Self { body, progress, ours: None }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.progress.moved.fetch_add(1, Ordering::Relaxed);
        let frame = Pin::new(&mut this.body).poll_frame(context);
        match &frame {
            Poll::Pending if this.ours.is_none() => this.ours = Some(this.progress.wait_for_us()),
            Poll::Pending => {}
            Poll::Ready(_) => this.ours = None,
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
