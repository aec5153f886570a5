//! How long is waited for a client. One timer a connection ticks while it waits; whatever is timed
//! counts ticks, so that a request that is answered at once costs no look at a clock.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Time-outs are kept to this: one may last so much longer.
const TICK: Duration = Duration::from_secs(5);

/// A whole head must come within this time; the first one since the client has connected.
pub(super) const HEAD: Duration = Duration::from_secs(30);
/// A connection is kept so long for the next request.
pub(super) const IDLE: Duration = Duration::from_secs(75);
/// Some of a body must come or go within this time (P2).
pub(super) const BODY: Duration = Duration::from_secs(60);
/// A client that is refused gets so long to take notice.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// Counts how long nothing came.
#[derive(Debug, Default)]
pub(super) struct Patience {
    ticks: Option<Pin<Box<Sleep>>>,
    /// Whom the next tick wakes.
    wakes: Option<Waker>,
    quiet: Duration,
}

impl Patience {
    /// With a client that has kept us waiting for so long already.
    pub(super) fn after(quiet: Duration) -> Self {
        Self { quiet, ..Self::default() }
    }

    /// Something came, or something else is waited for.
    pub(super) fn renew(&mut self) {
        self.quiet = Duration::ZERO;
    }

    /// Whether nothing came for so long. Looks again by itself.
    pub(super) fn is_over(&mut self, limit: Duration, context: &mut Context<'_>) -> bool {
        let ticks = self.ticks.get_or_insert_with(|| Box::pin(sleep(TICK)));
        let waits = self.wakes.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if !waits || ticks.is_elapsed() {
            while let Poll::Ready(()) = ticks.as_mut().poll(context) {
                ticks.as_mut().reset(Instant::now() + TICK);
                self.quiet += TICK;
            }
            self.wakes = Some(context.waker().clone());
        }
        // What began between two ticks gets all of its time.
        self.quiet > limit
    }
}
