//! What all the limits of a request say together.

use core::time::Duration;

use super::{Admission, Limit, OnStoreError, State};

/// What the limits that were asked say together: the first refusal, or else the allowance
/// that leaves the client the least.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict<'p> {
    tightest: Option<(&'p Limit, Admission)>,
    wait: Duration,
    store_failed: bool,
    rehearsed: Option<(&'p Limit, Duration)>,
}

/// The store of a limit did not answer in time, or with nonsense. Neither an allowance nor a
/// denial, so that it can be taken for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFailed;

/// Why a request may not proceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has asked too often.
    TooMany {
        /// When to come back.
        retry_after: Duration,
    },
    /// Nobody can tell whether it has, and the policy says not to take the risk.
    StoreFailed,
}

impl<'p> Verdict<'p> {
    /// Takes in what one more limit says. Whether to go on and ask the next: behind a refusal
    /// there is no need to.
    pub fn add(&mut self, limit: &'p Limit, says: Result<Admission, StoreFailed>) -> bool {
        let admission = match says {
            Ok(admission) => admission,
            Err(StoreFailed) => {
                let refuses = limit.stores.on_error == OnStoreError::Deny && !limit.dry_run;
                self.store_failed |= refuses;
                return !refuses;
            }
        };
        if limit.dry_run {
            if let Admission::Deny { retry_after, .. } = admission {
                self.rehearsed.get_or_insert((limit, retry_after));
            }
            return true;
        }
        if let Admission::Wait { wait, .. } = admission {
            self.wait = self.wait.max(wait);
        }
        if self.tightest.is_none_or(|(_, before)| admission.is_tighter_than(&before)) {
            self.tightest = Some((limit, admission));
        }
        !matches!(admission, Admission::Deny { .. })
    }

    /// Takes in what further limits of the same request say.
    pub fn merge(&mut self, other: Self) {
        let tightest = |(_, before): (_, Admission)| {
            other.tightest.is_some_and(|(_, admission)| admission.is_tighter_than(&before))
        };
        if self.tightest.is_none_or(tightest) {
            self.tightest = other.tightest;
        }
        self.wait = self.wait.max(other.wait);
        self.store_failed |= other.store_failed;
        self.rehearsed = self.rehearsed.or(other.rehearsed);
    }

    /// Why the request may not proceed, if it may not.
    pub fn refused(&self) -> Option<Refused> {
        match self.tightest {
            Some((_, Admission::Deny { retry_after, .. })) => {
                Some(Refused::TooMany { retry_after })
            }
            _ => self.store_failed.then_some(Refused::StoreFailed),
        }
    }

    /// How long the request has to wait for its turn (R5); zero where it may not proceed.
    pub fn wait(&self) -> Duration {
        match self.refused() {
            Some(_) => Duration::ZERO,
            None => self.wait,
        }
    }

    /// Too many wait already, so this one is refused instead.
    #[must_use]
    pub fn without_waiting(self) -> Self {
        let Some((limit, admission)) = self.tightest else { return self };
        let next_state: State = admission.next_state();
        let denial = Admission::Deny { retry_after: self.wait, next_state };
        Self { tightest: Some((limit, denial)), ..self }
    }

    /// The limit to tell the client of, and what it says.
    pub fn tightest(&self) -> Option<(&'p Limit, Admission)> {
        self.tightest
    }

    /// The first limit that would have refused the request if it were not rehearsed only
    /// (`dry_run`), and when the client would have been told to come back.
    pub fn rehearsed(&self) -> Option<(&'p Limit, Duration)> {
        self.rehearsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Stores;
    use crate::time::Timestamp;
    use core::num::NonZeroU32;

    const SECOND: Duration = Duration::from_secs(1);
    const STATE: State = State::Blocked { until: Timestamp::EPOCH };

    fn limit() -> Limit {
        Limit::new("l", NonZeroU32::MIN, SECOND)
    }

    const fn allow(remaining: u32) -> Admission {
        Admission::Allow { remaining, reset: SECOND, next_state: STATE }
    }

    const DENY: Admission = Admission::Deny { retry_after: SECOND, next_state: STATE };
    const WAIT: Admission =
        Admission::Wait { wait: SECOND, remaining: 3, reset: SECOND, next_state: STATE };

    #[test]
    fn r7_the_tightest_is_told_and_a_refusal_ends_it() {
        let limits = [limit(), limit(), limit()];
        let mut verdict = Verdict::default();
        assert!(verdict.add(&limits[0], Ok(allow(5))) && verdict.add(&limits[1], Ok(allow(2))));
        assert_eq!(verdict.tightest().unwrap().1, allow(2));
        assert_eq!((verdict.refused(), verdict.wait()), (None, Duration::ZERO));
        assert!(!verdict.add(&limits[2], Ok(DENY)));
        assert_eq!(verdict.refused(), Some(Refused::TooMany { retry_after: SECOND }));
        assert_eq!(verdict.tightest().unwrap().1, DENY);
    }

    #[test]
    fn r5_a_request_waits_for_its_turn_unless_it_is_refused() {
        let limits = [limit(), limit()];
        let mut verdict = Verdict::default();
        assert!(verdict.add(&limits[0], Ok(WAIT)) && verdict.add(&limits[1], Ok(allow(9))));
        assert_eq!((verdict.wait(), verdict.refused()), (SECOND, None));
        let refused = Some(Refused::TooMany { retry_after: SECOND });
        assert_eq!(verdict.without_waiting().refused(), refused);
        verdict.add(&limits[1], Ok(DENY));
        assert_eq!(verdict.wait(), Duration::ZERO);
    }

    #[test]
    fn r8_a_failed_store_is_neither_allowance_nor_denial() {
        let with = |on_error, dry_run| {
            let stores = Stores { on_error, ..Stores::default() };
            Limit { stores, dry_run, ..limit() }
        };
        for (limit, refused) in [
            (with(OnStoreError::Allow, false), None),
            (with(OnStoreError::Local, false), None),
            (with(OnStoreError::Deny, false), Some(Refused::StoreFailed)),
            (with(OnStoreError::Deny, true), None),
        ] {
            let mut verdict = Verdict::default();
            assert_eq!(verdict.add(&limit, Err(StoreFailed)), refused.is_none());
            assert_eq!(verdict.refused(), refused);
            assert!(verdict.tightest().is_none(), "nothing is told of a quota nobody knows");
        }
    }

    #[test]
    fn r9_a_rehearsed_limit_refuses_nobody_and_is_reported() {
        let limit = Limit { dry_run: true, ..limit() };
        let mut verdict = Verdict::default();
        assert!(verdict.add(&limit, Ok(DENY)) && verdict.add(&limit, Ok(WAIT)));
        assert_eq!((verdict.refused(), verdict.wait()), (None, Duration::ZERO));
        assert!(verdict.tightest().is_none());
        assert_eq!(verdict.rehearsed().map(|(_, retry_after)| retry_after), Some(SECOND));
    }
}
