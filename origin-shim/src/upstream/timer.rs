//! One timer for each connection, which is set time and again.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A time-out that is looked at only while something is waited for. Setting it to a later time, as
/// is done request by request, takes no lock.
#[derive(Debug, Default)]
pub(super) struct Timer {
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Begins anew when it is looked at next.
    pub(super) fn restart(&mut self) {
        self.deadline = None;
    }

    /// Whether `span` is over since it began, which is when it was first looked at.
    pub(super) fn is_over(&mut self, context: &mut Context<'_>, span: Duration) -> bool {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + span);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(context).is_ready()
    }
}
