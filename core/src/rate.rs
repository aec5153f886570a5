//! Admission: may this client proceed? Needs the time and the request's fields, and nothing of
//! the cache.
//!
//! State goes in, new state comes out; where it lives between two requests is the shell's
//! business. An error of that place is the shell's too, and is never one of the answers here.

pub mod colo;
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
    /// It may proceed. What is left, its store does not tell ([`colo`]).
    Pass,
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
        let state = state.filter(|state| !is_forgiven(limit, state, now));
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

    /// When the block ends that begins with this verdict; `state` is what was known before.
    pub fn new_block(&self, state: Option<State>, now: Timestamp) -> Option<Timestamp> {
        let Self::Deny { next_state: State::Blocked { until }, .. } = *self else { return None };
        let ran = matches!(state, Some(State::Blocked { until }) if now < until);
        (!ran).then_some(until)
    }

    /// Requests that are left after this one; none after a denial, and nobody knows how many
    /// where the store does not tell.
    pub const fn remaining(&self) -> Option<u32> {
        match self {
            Self::Allow { remaining, .. } | Self::Wait { remaining, .. } => Some(*remaining),
            Self::Deny { .. } => Some(0),
            Self::Pass => None,
        }
    }

    /// Whether this verdict leaves the client less than `other`. What is not known is told
    /// last.
    pub fn is_tighter_than(&self, other: &Self) -> bool {
        let rank = |admission: &Self| {
            let remaining = admission.remaining().map_or(u64::MAX, u64::from);
            (!matches!(admission, Self::Deny { .. }), remaining)
        };
        rank(self) < rank(other)
    }

    /// What to keep for the next request.
    pub const fn next_state(&self) -> State {
        match self {
            Self::Pass => State::NOTHING,
            Self::Allow { next_state, .. }
            | Self::Wait { next_state, .. }
            | Self::Deny { next_state, .. } => *next_state,
        }
    }
}

/// Whether the client was let in again since. A time that has not come yet forgives nothing: else
/// a client would be free until then.
fn is_forgiven(limit: &Limit, state: &State, now: Timestamp) -> bool {
    limit.forgiven.is_some_and(|at| at <= now && state.begins(limit) < at)
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

    const SECOND: Duration = Duration::from_secs(1);
    const START: Timestamp = Timestamp::from_secs(1_795_000_000);

    /// Each way to count, at two requests in ten seconds and at a quota too large for a log.
    fn every_limit() -> impl Iterator<Item = Limit> {
        let algorithms = [Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::Gcra];
        let kinds = algorithms.into_iter().flat_map(|algorithm| [(algorithm, 2), (algorithm, 20)]);
        kinds.flat_map(|(algorithm, quota)| {
            [None, Some(SECOND * 60)].map(|block| limit(algorithm, quota, SECOND * 10, block))
        })
    }

    #[test]
    fn r9_a_client_that_is_let_in_again_has_its_whole_quota_once() {
        for limit in every_limit() {
            let mut client = Client::new(limit.clone());
            let whole = client.ask_until_denied();
            client.wait(SECOND * 2);
            client.limit.forgiven = Some(client.now);
            let paces = client.limit.algorithm == Algorithm::Gcra && client.limit.block.is_none();
            if !paces {
                assert!(!Client { limit, ..client.clone() }.ask(), "without it: {client:?}");
            }
            // Word of it comes late, and stays.
            client.wait(SECOND);
            assert_eq!(client.ask_until_denied(), whole, "{client:?}");
            client.wait(Duration::from_millis(1));
            assert!(!client.ask(), "{client:?}");
        }
    }

    #[test]
    fn r9_a_time_that_has_not_come_forgives_nothing_and_one_that_is_past_no_later_block() {
        for limit in every_limit().filter(|limit| limit.block.is_some()) {
            let mut client = Client::new(limit);
            client.limit.forgiven = Some(START + SECOND * 5);
            client.ask_until_denied();
            assert!(!client.ask(), "{client:?}");
            client.limit.forgiven = Some(START);
            assert!(!client.ask(), "{client:?}");
        }
    }

    #[test]
    fn r9_a_block_is_new_once() {
        let mut client = Client::new(limit(Algorithm::FixedWindow, 1, SECOND, Some(SECOND * 60)));
        let mut new_block = |wait| {
            client.wait(wait);
            let before = client.state;
            client.decide().new_block(before, client.now)
        };
        let zero = Duration::ZERO;
        assert_eq!(new_block(zero), None);
        assert_eq!(new_block(SECOND / 2), Some(START + SECOND / 2 + SECOND * 60));
        assert_eq!(new_block(zero), None);
        assert_eq!((new_block(SECOND * 60), new_block(zero).is_some()), (None, true));
    }

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
    #[derive(Clone, Debug)]
    pub(crate) struct Client {
        limit: Limit,
        state: Option<State>,
        now: Timestamp,
        random: u64,
    }

    impl Client {
        pub(crate) fn new(limit: Limit) -> Self {
            Self { limit, state: None, now: START, random: 1 }
        }

        /// Sends a request; whether it may proceed.
        pub(crate) fn ask(&mut self) -> bool {
            matches!(self.decide(), Admission::Allow { .. })
        }

        /// How many requests are allowed at once.
        pub(crate) fn ask_until_denied(&mut self) -> usize {
            core::iter::from_fn(|| self.ask().then_some(())).count()
        }

        /// Sends a request; how long it waits for its turn, if it is to have one.
        pub(crate) fn wait_for_turn(&mut self) -> Option<Duration> {
            match self.decide() {
                Admission::Allow { .. } => Some(Duration::ZERO),
                Admission::Wait { wait, .. } => Some(wait),
                Admission::Pass | Admission::Deny { .. } => None,
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
