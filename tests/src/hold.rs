//! Waiting for what happens elsewhere, with a bound and without sleeping.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Holds origins up until it is opened.
#[derive(Clone, Debug, Default)]
pub struct Hold(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    entered: usize,
    is_open: bool,
}

impl Hold {
    /// It is not open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until it is opened.
    pub fn wait(&self) {
        let (_, changed) = &*self.0;
        let mut state = self.state();
        state.entered += 1;
        changed.notify_all();
        let opened = changed.wait_timeout_while(state, PATIENCE, |state| !state.is_open);
        drop(opened);
    }

    /// Waits until somebody waits.
    pub fn entered(&self) {
        let (_, changed) = &*self.0;
        let entered =
            changed.wait_timeout_while(self.state(), PATIENCE, |state| state.entered == 0);
        drop(entered);
    }

    /// Whether somebody waits here rather than at `other`, once one of them does.
    ///
    /// # Panics
    /// If nobody comes.
    #[track_caller]
    #[must_use]
    pub fn is_entered_before(&self, other: &Self) -> bool {
        let has_entered = |hold: &Self| hold.state().entered > 0;
        until(|| has_entered(self) || has_entered(other));
        has_entered(self)
    }

    /// Lets everybody go who waits or will.
    pub fn open(&self) {
        self.state().is_open = true;
        self.0.1.notify_all();
    }

    /// Whether it is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state().is_open
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks until it is so.
///
/// # Panics
/// If it never comes to that.
#[track_caller]
pub fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never came to that");
        thread::yield_now();
    }
}
