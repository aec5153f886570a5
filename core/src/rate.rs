//! Admission: may this client proceed? Needs the time and the request's fields, and nothing of
//! the cache.
//!
//! State goes in, new state comes out; where it lives between two requests is the shell's
//! business. An error of that place is the shell's too, and is never one of the answers here.

pub mod fixed_window;
pub mod gcra;
pub mod key;
pub mod lease;
pub mod limit;
pub mod numbers;
pub mod sliding_window;
pub mod state;
pub mod store;
pub mod verdict;

use core::time::Duration;

pub use key::{ClientFacts, KeyPart, LimitKey};
pub use lease::Lease;
pub use limit::{Algorithm, Counted, Limit};
pub use numbers::Numbers;
pub use state::State;
pub use store::{EdgeStore, OnStoreError, OriginStore, Stores};
pub use verdict::{Refused, StoreFailed, Verdict};

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
    /// It may proceed when its time has come (R5). Its place is taken: whoever asks next waits
    /// behind it.
    Wait {
        /// Waiting exactly this long, it is in time.
        wait: Duration,
        /// Requests that could still wait now.
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
            Algorithm::SlidingWindow => sliding_window::admit(limit, state, now),
            Algorithm::Gcra => gcra::admit(limit, state, now),
        }
    }

    /// The denial of a request that would be allowed after `wait`; where the limit blocks, it
    /// blocks from now on.
    fn deny(limit: &Limit, state: State, wait: Duration, now: Timestamp) -> Self {
        match limit.block.filter(|block| *block > Duration::ZERO) {
            None => Self::Deny { retry_after: wait, next_state: state },
            Some(block) => {
                let next_state = State::Blocked { until: now + block };
                Self::Deny { retry_after: block, next_state }
            }
        }
    }

    /// The denial of a client of which a store said that it is denied for so much longer: what
    /// spares the store the question.
    pub fn still_denied(retry_after: Duration, now: Timestamp) -> Self {
        Self::Deny { retry_after, next_state: State::Blocked { until: now + retry_after } }
    }

    /// Requests that are left after this one; none after a denial.
    pub const fn remaining(&self) -> u32 {
        match self {
            Self::Allow { remaining, .. } | Self::Wait { remaining, .. } => *remaining,
            Self::Deny { .. } => 0,
        }
    }

    /// Whether this verdict leaves the client less than `other`.
    pub fn is_tighter_than(&self, other: &Self) -> bool {
        let rank =
            |admission: &Self| (!matches!(admission, Self::Deny { .. }), admission.remaining());
        rank(self) < rank(other)
    }

    /// What to keep for the next request.
    pub const fn next_state(&self) -> State {
        match self {
            Self::Allow { next_state, .. }
            | Self::Wait { next_state, .. }
            | Self::Deny { next_state, .. } => *next_state,
        }
    }
}

/// The denial of a client that is blocked, if it is.
fn blocked(limit: &Limit, state: Option<State>, now: Timestamp) -> Option<Admission> {
    let Some(State::Blocked { until }) = state else { return None };
    // A clock that was set back must not make a block longer than the policy says.
    let until = until.min(now + limit.block.unwrap_or(limit.window));
    let next_state = State::Blocked { until };
    (now < until).then(|| Admission::Deny { retry_after: until.since(now), next_state })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::num::NonZeroU32;

    pub(crate) fn limit(
        algorithm: Algorithm,
        quota: u32,
        window: Duration,
        block: Option<Duration>,
    ) -> Limit {
        let quota = NonZeroU32::new(quota).unwrap();
        Limit { block, algorithm, ..Limit::new("standard", quota, window) }
    }

    /// One client under one limit, with a clock that moves when told.
    pub(crate) struct Client {
        limit: Limit,
        state: Option<State>,
        now: Timestamp,
        random: u64,
    }

    impl Client {
        pub(crate) fn new(limit: Limit) -> Self {
            Self { limit, state: None, now: Timestamp::from_secs(1_795_000_000), random: 1 }
        }

        /// Sends a request; whether it may proceed.
        pub(crate) fn ask(&mut self) -> bool {
            matches!(self.decide(), Admission::Allow { .. })
        }

        /// Sends a request; how long it waits for its turn, if it is to have one.
        pub(crate) fn wait_for_turn(&mut self) -> Option<Duration> {
            match self.decide() {
                Admission::Allow { .. } => Some(Duration::ZERO),
                Admission::Wait { wait, .. } => Some(wait),
                Admission::Deny { .. } => None,
            }
        }

        pub(crate) fn wait(&mut self, span: Duration) {
            self.now = self.now + span;
        }

        pub(crate) fn set_clock(&mut self, now: Timestamp) {
            self.now = now;
        }

        /// The times at which `requests` requests were allowed, 0 to `apart` milliseconds apart.
        pub(crate) fn ask_at_random(&mut self, requests: usize, apart: u64) -> Vec<Timestamp> {
            let mut allowed = Vec::new();
            for _ in 0..requests {
                if self.ask() {
                    allowed.push(self.now);
                }
                self.wait_at_random(apart);
            }
            allowed
        }

        /// At every denial: what is said to be the time to wait is, to the millisecond, and the
        /// state survives its encoding.
        pub(crate) fn check_every_denial(&mut self, requests: usize, apart: u64) {
            let mut denials = 0;
            for _ in 0..requests {
                if let Admission::Deny { retry_after, .. } = self.decide() {
                    denials += 1;
                    let after = |span| Admission::decide(&self.limit, self.state, self.now + span);
                    let early = retry_after.saturating_sub(Duration::from_millis(1));
                    let late = after(retry_after);
                    assert!(!matches!(late, Admission::Deny { .. }), "{retry_after:?} {late:?}");
                    assert!(matches!(after(early), Admission::Deny { .. }), "{retry_after:?}");
                }
                let state = self.state.unwrap();
                assert_eq!(State::decode(state.encode().as_bytes()), Some(state));
                self.wait_at_random(apart);
            }
            assert!(denials > 0, "the test asks too seldom to be denied");
        }

        fn decide(&mut self) -> Admission {
            let admission = Admission::decide(&self.limit, self.state, self.now);
            self.state = Some(admission.next_state());
            admission
        }

        /// A linear congruential generator: the same walk every time.
        fn wait_at_random(&mut self, apart: u64) {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            self.wait(Duration::from_millis((self.random >> 33) % (apart + 1)));
        }
    }
}
