//! Something for each thread, so that counting is an addition that no other thread is at.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads beyond these share with others, which is slower and as right.
pub(crate) const LANES: usize = 16;

/// The lane of the next thread.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LANE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % LANES;
}

/// The number of this thread's lane, below [`LANES`].
pub(crate) fn mine() -> usize {
    LANE.with(|lane| *lane)
}

/// One `T` for each thread, made when the thread first needs it. Each is allocated by itself; who
/// wants it on cache lines of its own says so at `T`.
#[derive(Debug)]
pub(crate) struct Lanes<T>([OnceLock<Box<T>>; LANES]);

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self(Default::default())
    }
}

impl<T: Default> Lanes<T> {
    /// This thread's.
    pub(crate) fn mine(&self) -> &T {
        self.0[mine()].get_or_init(Box::default)
    }

    /// Those of all threads that had a need for one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(|lane| lane.get().map(|lane| &**lane))
    }
}
