//! Admission: may this client proceed? Needs the time and nothing of the cache.
//!
//! State goes in, new state comes out; where it lives between two requests is the shell's
//! business. An error of that place is the shell's too, and is never one of the answers here.

pub mod fixed_window;
pub mod key;
pub mod limit;
pub mod state;

use core::time::Duration;

pub use key::{ClientFacts, KeyPart, LimitKey};
pub use limit::{Algorithm, Limit};
pub use state::State;

use crate::time::Timestamp;

/// The verdict on one request, and what to remember of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may proceed.
    Allow {
        /// Requests that would still be allowed now.
        remaining: u32,
        /// How long until the quota is whole again.
        reset: Duration,
        /// What to keep for the next request.
        next_state: State,
    },
    /// It may not.
    Deny {
        /// Waiting exactly this long, the client is allowed again.
        retry_after: Duration,
        /// What to keep for the next request.
        next_state: State,
    },
}

impl Admission {
    /// Decides on one request. `state` is what the last verdict for this key left, if
    /// anything did and it is still there.
    pub fn decide(limit: &Limit, state: Option<State>, now: Timestamp) -> Self {
        match limit.algorithm {
            Algorithm::FixedWindow => fixed_window::admit(limit, state, now),
        }
    }

    /// What to keep for the next request.
    pub const fn next_state(&self) -> State {
        match self {
            Self::Allow { next_state, .. } | Self::Deny { next_state, .. } => *next_state,
        }
    }
}
