//! Interim answers (1xx, RFC 9110 §15.2) before the answer to a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use http::{HeaderMap, StatusCode};

use super::answer::encode;

/// Interim answers wait for their client up to this much; more are dropped whole.
const WAITING_MAX: usize = 16 * 1024;

/// Sends interim answers to the client of one request.
///
/// Once the answer begins they are dropped without a word, as they are where the client's
/// protocol has none: they are hints, and nobody may rely on them.
#[derive(Clone, Debug)]
pub struct Interim {
    line: Arc<Line>,
    turn: u64,
}

/// What all requests of a connection send theirs over.
#[derive(Debug, Default)]
pub(super) struct Line {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whose turn it is; none of an earlier request's may come behind its answer.
    turn: u64,
    is_open: bool,
    waiting: Vec<u8>,
    connection: Option<Waker>,
}

impl State {
    fn take(&mut self) -> Option<Vec<u8>> {
        (!self.waiting.is_empty()).then(|| std::mem::take(&mut self.waiting))
    }
}

impl Interim {
    /// Sends one, if the answer has not begun. Others than 1xx, and 101, which is an answer of its
    /// own kind, are no interim answers: they are not sent.
    pub fn send(&self, status: StatusCode, fields: &HeaderMap) {
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let mut state = self.line.state();
        if !state.is_open || state.turn != self.turn {
            return;
        }
        let before = state.waiting.len();
        encode::interim(&mut state.waiting, status, fields);
        if state.waiting.len() > WAITING_MAX {
            state.waiting.truncate(before);
            return;
        }
        if let Some(connection) = state.connection.take() {
            connection.wake();
        }
    }
}

impl Line {
    /// Opens it for the next request.
    pub(super) fn open(self: &Arc<Self>) -> Interim {
        let mut state = self.state();
        state.turn += 1;
        state.is_open = true;
        Interim { line: Arc::clone(self), turn: state.turn }
    }

    /// Takes none any more, and gives what waits.
    pub(super) fn close(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        state.is_open = false;
        state.connection = None;
        state.take()
    }

    /// Gives what waits, and wakes when more comes.
    pub(super) fn take(&self, context: &Context<'_>) -> Option<Vec<u8>> {
        let mut state = self.state();
        if state.is_open
            && !state.connection.as_ref().is_some_and(|known| known.will_wake(context.waker()))
        {
            state.connection = Some(context.waker().clone());
        }
        state.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole whatever panics around it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
