//! Whether the server stops: asked before every answer, and waited for while a connection is idle.

use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::sync::watch;

/// The word that the server stops.
pub(super) struct Stopping {
    stopped: watch::Receiver<bool>,
    is_stopped: bool,
    waiting: Option<(Word, Waker)>,
}

/// Comes true when the server stops.
type Word = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Stopping {
    /// Listens to `stopped`, whose sender says `true` or goes away.
    pub(super) fn new(stopped: watch::Receiver<bool>) -> Self {
        let is_stopped = *stopped.borrow();
        Self { stopped, is_stopped, waiting: None }
    }

    /// Whether it stops by now. Costs a load while it does not.
    pub(super) fn is_set(&mut self) -> bool {
        if !self.is_stopped && self.stopped.has_changed().unwrap_or(true) {
            self.is_stopped =
                *self.stopped.borrow_and_update() || self.stopped.has_changed().is_err();
        }
        self.is_stopped
    }

    /// The same; wakes when it does. A task that asks again is told without waiting anew.
    pub(super) fn poll_set(&mut self, context: &mut Context<'_>) -> bool {
        let waker = context.waker();
        if self.waiting.as_ref().is_none_or(|(_, waiting)| !waiting.will_wake(waker)) {
            let mut stopped = self.stopped.clone();
            let mut waits: Word =
                Box::pin(async move { drop(stopped.wait_for(|stop| *stop).await) });
            if waits.as_mut().poll(context).is_ready() {
                self.is_stopped = true;
            }
            self.waiting = Some((waits, waker.clone()));
        }
        self.is_set()
    }
}

impl std::fmt::Debug for Stopping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stopping").field("is_stopped", &self.is_stopped).finish_non_exhaustive()
    }
}
