//! Limits that Cloudflare counts by its rate limit binding, in each of its locations.
//!
//! A binding has its numbers from `wrangler.toml`, its windows have 10 or 60 seconds, and its
//! answer is yes or no. It counts loosely: "permissive, eventually consistent" by its own
//! documentation. So what [`Admission`] says of it is not more than it told: a request that may
//! proceed leaves nobody knows how many, and one that may not is allowed again when a whole
//! window has passed, if not before.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use sha2::{Digest, Sha256};

use super::{Admission, Algorithm, EdgeStore, Limit, State};
use crate::time::Timestamp;

/// The windows that a binding can have, in seconds.
pub const PERIODS: [u32; 2] = [10, 60];

/// What names of bindings begin with.
pub const PREFIX: &str = "RATELIMIT_";

/// One `[[ratelimits]]` of `wrangler.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What the worker finds it by: the limit's name in capitals, everything else a `_`.
    pub name: String,
    /// Requests allowed in a period.
    pub limit: u32,
    /// Seconds.
    pub period: u32,
}

impl Binding {
    /// The binding that counts `limit`; `None` if none can.
    pub fn of(limit: &Limit) -> Option<Self> {
        let period = PERIODS.into_iter().find(|secs| {
            limit.algorithm == Algorithm::FixedWindow
                && limit.window == Duration::from_secs((*secs).into())
        })?;
        Some(Self { name: binding_name(limit), limit: limit.quota.get(), period })
    }

    /// Those that `limits` need.
    pub fn all(limits: &[Limit]) -> Vec<Self> {
        let in_colo = limits.iter().filter(|limit| limit.stores.edge == EdgeStore::Colo);
        in_colo.filter_map(Self::of).collect()
    }

    /// A namespace for the binding in a worker of this name: the same each time, and hardly that
    /// of another. Bindings of an account with one namespace share their counts.
    pub fn namespace_id(&self, worker: &str) -> u32 {
        let mut digest = Sha256::new();
        digest.update((worker.len() as u64).to_be_bytes());
        digest.update(worker);
        digest.update(&self.name);
        let bytes: [u8; 32] = digest.finalize().into();
        let (first, _) = bytes.split_first_chunk().unwrap_or((&[0; 4], &[]));
        // Positive, also for those who take it for a signed number; far from what people choose.
        (u32::from_be_bytes(*first) & 0x3fff_ffff) | 0x4000_0000
    }
}

/// By what name the worker finds the binding of `limit`.
pub fn binding_name(limit: &Limit) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{PREFIX}{}", limit.name.chars().map(letter).collect::<String>())
}

/// What the binding of `limit` means by its answer, at the time `now`.
pub fn admission(limit: &Limit, success: bool, now: Timestamp) -> Admission {
    match success {
        true => Admission::Pass,
        // By then at the latest, whenever its window began.
        false => Admission::deny(limit, State::NOTHING, limit.window, now),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::limit;
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_binding_can_count_fixed_windows_of_two_lengths() {
        let of = |algorithm, window| Binding::of(&limit(algorithm, 7, window, None));
        let name = String::from("RATELIMIT_STANDARD");
        let sixty = of(Algorithm::FixedWindow, SECOND * 60);
        assert_eq!(sixty, Some(Binding { name, limit: 7, period: 60 }));
        assert_eq!(of(Algorithm::FixedWindow, SECOND * 10).map(|b| b.period), Some(10));
        assert_eq!(of(Algorithm::FixedWindow, SECOND * 30), None);
        assert_eq!(of(Algorithm::FixedWindow, Duration::from_millis(10_001)), None);
        assert_eq!(of(Algorithm::SlidingWindow, SECOND * 60), None);
        assert_eq!(of(Algorithm::Gcra, SECOND * 10), None);
    }

    #[test]
    fn a_namespace_is_the_same_each_time_and_that_of_one_binding() {
        let binding = |name: &str| Binding { name: name.into(), limit: 1, period: 10 };
        let id = binding("RATELIMIT_A").namespace_id("tidegate");
        assert_eq!(id, binding("RATELIMIT_A").namespace_id("tidegate"));
        assert!(id > 1 << 30 && id < 1 << 31);
        assert_ne!(id, binding("RATELIMIT_B").namespace_id("tidegate"));
        assert_ne!(id, binding("RATELIMIT_A").namespace_id("staging"));
    }

    #[test]
    fn yes_and_no_mean_what_they_say_and_no_more() {
        let free = limit(Algorithm::FixedWindow, 7, SECOND * 60, None);
        assert_eq!(admission(&free, true, NOW), Admission::Pass);
        assert_eq!(Admission::Pass.remaining(), None);
        let state = State::NOTHING;
        let denied = Admission::Deny { retry_after: SECOND * 60, next_state: state };
        assert_eq!(admission(&free, false, NOW), denied);
        // What is kept of it says nothing: the next request asks again.
        assert!(matches!(Admission::decide(&free, Some(state), NOW), Admission::Allow { .. }));

        let blocking = limit(Algorithm::FixedWindow, 7, SECOND * 10, Some(SECOND * 300));
        let next_state = State::Blocked { until: NOW + SECOND * 300 };
        let blocked = Admission::Deny { retry_after: SECOND * 300, next_state };
        assert_eq!(admission(&blocking, false, NOW), blocked);
    }

    #[test]
    fn what_is_known_is_tighter_than_what_is_not() {
        let most =
            Admission::Allow { remaining: u32::MAX, reset: SECOND, next_state: State::NOTHING };
        assert!(most.is_tighter_than(&Admission::Pass));
        assert!(!Admission::Pass.is_tighter_than(&most));
        assert!(!Admission::Pass.is_tighter_than(&Admission::Pass));
    }
}
