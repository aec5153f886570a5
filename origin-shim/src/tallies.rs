//! How often each limit has said what since the process started: what an operator looks at.
//!
//! Counting is one addition to a number that no other thread counts in, as long as there are no
//! more threads than `LANES`.

mod rehearsals;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use rehearsals::Rehearsals;
use tidegate_core::Admission;
use tidegate_core::rate::{Limit, StoreFailed};

use crate::by_limit::ByLimit;
use crate::lanes::{self, LANES};

/// The tallies of all limits of a policy: 1 KiB for each limit.
#[derive(Debug)]
pub struct Tallies(ByLimit<Arc<Tally>>);

/// How often one limit said what.
#[derive(Debug, Default)]
pub struct Tally([Lane; LANES]);

/// What a limit has said to a request, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Allowed,
    Refused,
    WouldRefuse,
    Uncounted,
}

/// Numbers of one limit, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Requests that it let pass, or wait for their turn.
    pub allowed: u64,
    /// Requests that it refused.
    pub refused: u64,
    /// Requests that it would have refused, had it not been rehearsed only (`dry_run`).
    pub would_refuse: u64,
    /// Requests that nobody could count, because the store had failed and the policy does not
    /// have them counted in memory then.
    pub uncounted: u64,
    /// Failures of the store, whatever came of them.
    pub store_failed: u64,
}

/// What one thread counts, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Lane {
    said: [AtomicU64; 4],
    store_failed: AtomicU64,
}

impl Tallies {
    /// Nothing is counted yet.
    pub fn new(limits: &[Limit]) -> Self {
        Self(ByLimit::new(limits, |_| Arc::default()))
    }

    /// The tallies of a policy that comes into force now: they go on limit by limit.
    #[must_use]
    pub fn succeed(&self, limits: &[Limit]) -> Self {
        let known = |limit: &Limit| self.of(&limit.name).map(Arc::clone).unwrap_or_default();
        Self(ByLimit::new(limits, known))
    }

    /// The tally of the limit of this name.
    pub fn of(&self, limit: &str) -> Option<&Arc<Tally>> {
        self.0.get(limit)
    }

    /// Counts what `limit` said to a request.
    pub fn count(&self, limit: &Limit, said: &Result<Admission, StoreFailed>) {
        if let Some(tally) = self.of(&limit.name) {
            tally.lane().said[Said::of(limit, said) as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a failure of the store of `limit`.
    pub fn count_failure(&self, limit: &Limit) {
        if let Some(tally) = self.of(&limit.name) {
            tally.lane().store_failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What `limit` allowed was refused after all: too many wait for their turn.
    pub fn count_refused_after_all(&self, limit: &Limit) {
        if let Some(tally) = self.of(&limit.name) {
            let lane = tally.lane();
            lane.said[Said::Refused as usize].fetch_add(1, Ordering::Relaxed);
            // Lanes are added up around zero, so that it need not be the one that counted it.
            lane.said[Said::Allowed as usize].fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Tally {
    /// The numbers now.
    pub fn told(&self) -> Told {
        let sum = |of: &dyn Fn(&Lane) -> &AtomicU64| {
            let lanes = self.0.iter().map(|lane| of(lane).load(Ordering::Relaxed));
            lanes.fold(0, u64::wrapping_add)
        };
        let said = |said: Said| sum(&|lane| &lane.said[said as usize]);
        Told {
            allowed: said(Said::Allowed),
            refused: said(Said::Refused),
            would_refuse: said(Said::WouldRefuse),
            uncounted: said(Said::Uncounted),
            store_failed: sum(&|lane| &lane.store_failed),
        }
    }

    fn lane(&self) -> &Lane {
        &self.0[lanes::mine()]
    }
}

impl Said {
    fn of(limit: &Limit, said: &Result<Admission, StoreFailed>) -> Self {
        match said {
            Err(StoreFailed) => Self::Uncounted,
            Ok(Admission::Deny { .. }) if limit.dry_run => Self::WouldRefuse,
            Ok(Admission::Deny { .. }) => Self::Refused,
            Ok(Admission::Pass | Admission::Allow { .. } | Admission::Wait { .. }) => Self::Allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use std::time::Duration;
    use tidegate_core::Timestamp;

    const SECOND: Duration = Duration::from_secs(1);

    fn limit(name: &str, dry_run: bool) -> Limit {
        Limit { dry_run, ..Limit::new(name, NonZeroU32::MIN, SECOND) }
    }

    fn allowed_and_refused(limit: &Limit) -> [Result<Admission, StoreFailed>; 2] {
        let allowed = Admission::decide(limit, None, Timestamp::EPOCH);
        let refused = Admission::decide(limit, Some(allowed.next_state()), Timestamp::EPOCH);
        [Ok(allowed), Ok(refused)]
    }

    #[test]
    fn r9_threads_count_together_and_limits_apart() {
        let limits = [limit("b", false), limit("a", true), limit("c", false)];
        let tallies = Tallies::new(&limits);
        std::thread::scope(|scope| {
            for _ in 0..LANES + 3 {
                scope.spawn(|| {
                    for limit in &limits[..2] {
                        let [allowed, refused] = allowed_and_refused(limit);
                        tallies.count(limit, &allowed);
                        (0..2).for_each(|_| tallies.count(limit, &refused));
                    }
                });
            }
        });
        let told = |name| tallies.of(name).unwrap().told();
        let threads = LANES as u64 + 3;
        let both = Told { allowed: threads, ..Told::default() };
        assert_eq!(told("b"), Told { refused: 2 * threads, ..both });
        assert_eq!(told("a"), Told { would_refuse: 2 * threads, ..both });
        assert_eq!(told("c"), Told::default());
        assert!(tallies.of("d").is_none());
    }

    #[test]
    fn r8_failures_of_a_store_are_no_refusals() {
        let limit = limit("a", false);
        let tallies = Tallies::new(std::slice::from_ref(&limit));
        tallies.count_failure(&limit);
        tallies.count(&limit, &Err(StoreFailed));
        let told = Told { uncounted: 1, store_failed: 1, ..Told::default() };
        assert_eq!(tallies.of("a").unwrap().told(), told);
    }

    #[test]
    fn what_is_refused_after_all_is_counted_once_by_whichever_thread() {
        let limit = limit("a", false);
        let tallies = Tallies::new(std::slice::from_ref(&limit));
        let [allowed, _] = allowed_and_refused(&limit);
        tallies.count(&limit, &allowed);
        tallies.count(&limit, &allowed);
        std::thread::scope(|scope| _ = scope.spawn(|| tallies.count_refused_after_all(&limit)));
        let told = Told { allowed: 1, refused: 1, ..Told::default() };
        assert_eq!(tallies.of("a").unwrap().told(), told);
    }

    #[test]
    fn r9_counting_goes_on_over_a_change_of_the_policy() {
        let limits = [limit("a", false), limit("b", false)];
        let before = Tallies::new(&limits);
        let [allowed, _] = allowed_and_refused(&limits[1]);
        before.count(&limits[1], &allowed);
        let after = before.succeed(&[limits[1].clone(), limit("c", false)]);
        // A request that began before.
        before.count(&limits[1], &allowed);
        assert_eq!(after.of("b").unwrap().told().allowed, 2);
        assert!(after.of("a").is_none() && after.of("c").is_some());
    }
}
