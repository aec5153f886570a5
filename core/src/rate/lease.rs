//! Requests of a quota that one process took from a shared store to spend by itself, so that
//! most decisions need no round trip.
//!
//! What is lent counts as used in the store at once, so that all processes together never allow
//! more than the quota. What a process does not spend before the window ends is lost: at most
//! `lease − 1` requests for each process are too few, while it holds a lease. Only a fixed window
//! can be lent from, because it forgets everything at its end.

use core::num::NonZeroU32;

use super::{Admission, Algorithm, Limit, State};
use crate::time::Timestamp;

/// What is left of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When the window started, by the clock of the store.
    since: Timestamp,
    /// Requests used in it before the next.
    used: u32,
    /// Requests used in it after the last that was lent.
    end: u32,
}

impl Lease {
    /// What was lent beyond the request itself: where the store knew `state` at `now` and was
    /// asked for `take` requests. `None` where that was no more than one.
    pub fn taken(
        limit: &Limit,
        take: NonZeroU32,
        state: Option<State>,
        now: Timestamp,
    ) -> Option<Self> {
        if limit.algorithm != Algorithm::FixedWindow {
            return None;
        }
        let admission = Admission::decide(limit, state, now);
        let (Admission::Allow { .. }, State::Counting { since, used }) =
            (admission, admission.next_state())
        else {
            return None;
        };
        let end = (used - 1).saturating_add(take.get()).min(limit.quota.get());
        (used < end).then_some(Self { since, used, end })
    }

    /// Spends one request of it at `now`, by the clock of the store. `None` when it is spent, or
    /// its window is over.
    pub fn spend(&mut self, limit: &Limit, now: Timestamp) -> Option<Admission> {
        if self.used >= self.end || self.is_over(limit, now) {
            return None;
        }
        let state = State::Counting { since: self.since, used: self.used };
        let admission = Admission::decide(limit, Some(state), now);
        self.used += 1;
        matches!(admission, Admission::Allow { .. }).then_some(admission)
    }

    /// Whether nothing of it can be spent any more.
    pub fn is_over(&self, limit: &Limit, now: Timestamp) -> bool {
        self.used >= self.end || now >= self.since + limit.window
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::limit;
    use super::*;
    use alloc::vec::Vec;
    use core::time::Duration;

    const WINDOW: Duration = Duration::from_secs(60);

    /// A store that lends as the script in Redis does: see `taken`.
    #[derive(Default)]
    struct Store(Option<State>);

    impl Store {
        fn ask(&mut self, limit: &Limit, take: NonZeroU32, now: Timestamp) -> Option<State> {
            let known = self.0;
            self.0 = Some(match Admission::decide(limit, known, now).next_state() {
                State::Counting { since, used } => {
                    let used = (used - 1).saturating_add(take.get()).min(limit.quota.get());
                    State::Counting { since, used }
                }
                state => state,
            });
            known
        }
    }

    #[test]
    fn leases_never_allow_more_than_the_quota_and_lose_less_than_one_for_each_process() {
        let mut random = 11_u64;
        let mut next = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let mut tight = 0;
        for _ in 0..400 {
            let quota = 1 + next(120) as u32;
            let take = NonZeroU32::new(1 + next(15) as u32).unwrap();
            let limit = limit(Algorithm::FixedWindow, quota, WINDOW, None);
            let mut leases: Vec<Option<Lease>> = Vec::new();
            leases.resize(1 + next(6) as usize, None);
            let (mut store, start) = (Store::default(), Timestamp::from_secs(1_795_000_000));
            let mut allowed = 0_u32;
            let mut denied = false;
            for step in 0..400 {
                // All within one window.
                let now = start + Duration::from_millis(step * 100);
                let process = next(leases.len() as u64) as usize;
                let spent = leases[process].as_mut().and_then(|lease| lease.spend(&limit, now));
                let admission = spent.unwrap_or_else(|| {
                    let known = store.ask(&limit, take, now);
                    leases[process] = Lease::taken(&limit, take, known, now);
                    Admission::decide(&limit, known, now)
                });
                match admission {
                    Admission::Allow { .. } => allowed += 1,
                    _ => denied = true,
                }
            }
            assert!(allowed <= quota, "{allowed} of {quota}");
            let lost = (leases.len() as u32) * (take.get() - 1);
            assert!(!denied || allowed + lost >= quota, "{allowed} of {quota} by {take}");
            tight += u32::from(denied && allowed == quota);
            let over = start + WINDOW;
            assert!(leases.iter_mut().flatten().all(|lease| lease.spend(&limit, over).is_none()));
        }
        assert!(tight > 50, "most of the time all of the quota is used: {tight}");
    }

    #[test]
    fn a_lease_is_what_the_store_had_left() {
        let limit = limit(Algorithm::FixedWindow, 10, WINDOW, None);
        let (take, now) = (NonZeroU32::new(8).unwrap(), Timestamp::from_secs(5));
        let lent = |used| {
            let known = Some(State::Counting { since: now, used });
            let mut lease = Lease::taken(&limit, take, known, now)?;
            Some(core::iter::from_fn(|| lease.spend(&limit, now)).count())
        };
        assert_eq!(
            [lent(0), lent(2), lent(8), lent(9), lent(10)],
            [7, 7, 1, 0, 0].map(|n| { (n > 0).then_some(n) })
        );
        let blocked = Some(State::Blocked { until: now + WINDOW });
        assert_eq!(Lease::taken(&limit, take, blocked, now), None);
    }
}
