//! Requests that wait for their turn (R5), a bounded number of them.

use std::cell::Cell;
use std::time::Duration;

use crate::task;

/// Requests of this isolate that wait at most.
const WAITING_MAX: usize = 256;
/// The platform ends requests whose clients are gone, and clients seldom wait longer.
const LONGEST: Duration = Duration::from_secs(100);

thread_local! {
    static WAITING: Cell<usize> = const { Cell::new(0) };
}

/// A place among those that wait, given up when it is dropped.
struct Place;

/// Waits for `span`. `false`, at once, where that is too long or too many wait already.
pub(crate) async fn wait(span: Duration) -> bool {
    let Some(_place) = Place::take().filter(|_| span <= LONGEST) else { return false };
    task::pause(span).await;
    true
}

impl Place {
    fn take() -> Option<Self> {
        let waiting = WAITING.get();
        (waiting < WAITING_MAX).then(|| {
            WAITING.set(waiting + 1);
            Self
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.set(WAITING.get() - 1);
    }
}
