//! GCRA with burst (R3), by the `governor` crate with our clock and our state.
//!
//! One request every `window / quota`, and `burst` more at once on top of it: what nginx's
//! `limit_req rate=… burst=… nodelay` means, which admits `1 + burst` at once (6 for
//! `burst = 5`). governor's own `allow_burst(n)` admits `n`, so ours is one more than its.
//!
//! Constant time, no allocation.

use core::cell::Cell;
use core::num::NonZeroU32;
use core::ops::Add;
use core::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use super::{Admission, Limit, State, blocked};
use crate::time::Timestamp;

/// Later than any clock, with room to add to: governor adds without looking.
const HORIZON: u64 = u64::MAX / 4;

/// Decides on one request.
pub(super) fn admit(limit: &Limit, state: Option<State>, now: Timestamp) -> Admission {
    if let Some(denial) = blocked(limit, state, now) {
        return denial;
    }
    let interval = interval(limit);
    let (now_nanos, tolerance) = (nanos(now), interval.saturating_mul(u64::from(limit.burst) + 1));
    let kept = match state {
        // A clock set back must not make anybody wait longer than a whole burst.
        Some(State::Paced { until }) => {
            Some(until.min(now_nanos.saturating_add(tolerance).min(HORIZON)))
        }
        _ => None,
    };
    let slot = Slot(Cell::new(kept));
    // Built at the begin of time, so that what governor stores is absolute.
    let clock = At(Cell::new(Instant(0)));
    let limiter: RateLimiter<_, _, _, StateInformationMiddleware> =
        RateLimiter::new(quota(limit, interval), slot, &clock);
    clock.0.set(Instant(now_nanos));
    let verdict = limiter.check();
    let until = limiter.into_state_store().0.get().unwrap_or(now_nanos);
    let state = State::Paced { until };
    match verdict {
        Ok(snapshot) => Admission::Allow {
            remaining: snapshot.remaining_burst_capacity(),
            reset: Duration::from_nanos(until.saturating_sub(now_nanos)),
            next_state: state,
        },
        Err(not_until) => {
            let wait = not_until.wait_time_from(Instant(now_nanos));
            Admission::deny(limit, state, ceil_millis(wait), now)
        }
    }
}

/// One request every so many nanoseconds.
fn interval(limit: &Limit) -> u64 {
    let window = u64::try_from(limit.window.as_nanos()).unwrap_or(HORIZON).min(HORIZON);
    (window / u64::from(limit.quota.get())).max(1)
}

fn quota(limit: &Limit, interval: u64) -> Quota {
    // As much burst as fits before the horizon; the policy asks for less.
    let most = u32::try_from(HORIZON / interval).unwrap_or(u32::MAX).max(1);
    let burst = NonZeroU32::MIN
        .saturating_add(limit.burst)
        .min(NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN));
    // An interval is at least a nanosecond, so there is a quota.
    Quota::with_period(Duration::from_nanos(interval))
        .unwrap_or(Quota::per_second(NonZeroU32::MIN))
        .allow_burst(burst)
}

fn nanos(at: Timestamp) -> u64 {
    at.as_millis().saturating_mul(1_000_000).min(HORIZON)
}

/// Whole milliseconds, rounded up: the clock has no smaller ones.
fn ceil_millis(span: Duration) -> Duration {
    let millis = span.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Nanoseconds since the Unix epoch, as governor's point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Instant(u64);

impl Add<Nanos> for Instant {
    type Output = Self;

    fn add(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span.as_u64()))
    }
}

impl Reference for Instant {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, span: Nanos) -> Self {
        Self(self.0.saturating_sub(span.as_u64()))
    }
}

/// A clock that is set.
#[derive(Clone, Debug)]
struct At(Cell<Instant>);

impl Clock for &At {
    type Instant = Instant;

    fn now(&self) -> Instant {
        self.0.get()
    }
}

/// The state of one key, taken in and handed back.
#[derive(Debug)]
struct Slot(Cell<Option<u64>>);

impl StateStore for Slot {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, until) = decide(self.0.get().map(Nanos::from))?;
        self.0.set(Some(until.as_u64()));
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Algorithm;
    use super::super::tests::{Client, limit};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn paced(quota: u32, burst: u32) -> Limit {
        Limit { burst, ..limit(Algorithm::Gcra, quota, SECOND, None) }
    }

    #[test]
    fn r3_a_burst_admits_one_more_than_its_number_as_nginx_does() {
        for (quota, burst, at_once) in [(1, 5, 6), (10, 20, 21), (10, 0, 1)] {
            let mut client = Client::new(paced(quota, burst));
            let allowed = (0..100).filter(|_| client.ask()).count();
            assert_eq!(allowed, at_once, "{quota} per second, burst {burst}");
            client.wait(SECOND);
            let allowed = (0..100).filter(|_| client.ask()).count();
            assert_eq!(allowed, (quota as usize).min(at_once), "a second later");
        }
    }

    #[test]
    fn r3_waiting_exactly_retry_after_allows_and_a_millisecond_less_denies() {
        for (quota, burst) in [(1, 5), (10, 20), (3, 0), (7, 2)] {
            Client::new(paced(quota, burst)).check_every_denial(5000, 90);
        }
    }

    #[test]
    fn extreme_limits_neither_overflow_nor_wait_for_ever() {
        let hundred_years = SECOND * 86_400 * 36_500;
        for (quota, window, burst) in [
            (1, hundred_years, u32::MAX),
            (u32::MAX, Duration::from_millis(1), u32::MAX),
            (1, Duration::from_millis(1), 0),
        ] {
            let mut client =
                Client::new(Limit { burst, ..limit(Algorithm::Gcra, quota, window, None) });
            assert!(client.ask());
            client.set_clock(Timestamp::MAX);
            client.ask();
            client.set_clock(Timestamp::EPOCH);
            client.ask();
        }
    }
}
