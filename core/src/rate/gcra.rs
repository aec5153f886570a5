//! GCRA with burst (R3), by the `governor` crate with our clock and our state.
//!
//! One request every `window / quota`, and `burst` more at once on top of it: what nginx's
//! `limit_req rate=… burst=… nodelay` means, which admits `1 + burst` at once (6 for
//! `burst = 5`). governor's own `allow_burst(n)` admits `n`, so ours is one more than its.
//!
//! A limit that is spread (R5) lets nothing pass ahead of the pace: what comes early waits for
//! its time, `burst` requests of a client at most, which is nginx's `burst=…` without `nodelay`.
//!
//! A pace is a whole number of microseconds, rounded up, so that it is the same in every store,
//! also where numbers are doubles; more than a million a second are a million. Constant time,
//! no allocation.

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
    let interval = interval_nanos(limit);
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
    let wait = match limit.spread {
        true => Duration::from_nanos(kept.unwrap_or(0).saturating_sub(now_nanos)),
        false => Duration::ZERO,
    };
    let reset = Duration::from_nanos(until.saturating_sub(now_nanos));
    match verdict {
        Ok(snapshot) => match snapshot.remaining_burst_capacity() {
            remaining if wait.is_zero() => Admission::Allow { remaining, reset, next_state: state },
            remaining => {
                Admission::Wait { wait: ceil_millis(wait), remaining, reset, next_state: state }
            }
        },
        Err(not_until) => {
            let wait = not_until.wait_time_from(Instant(now_nanos));
            Admission::deny(limit, state, ceil_millis(wait), now)
        }
    }
}

/// The pace: one request in as long, in whole microseconds.
pub(super) fn interval(limit: &Limit) -> Duration {
    let micros = limit.window.as_micros().div_ceil(u128::from(limit.quota.get())).max(1);
    Duration::from_micros(u64::try_from(micros).unwrap_or(HORIZON / 1000))
}

fn interval_nanos(limit: &Limit) -> u64 {
    u64::try_from(interval(limit).as_nanos()).unwrap_or(HORIZON).min(HORIZON)
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
    use alloc::vec::Vec;

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
    fn r5_what_comes_early_waits_for_its_turn_and_only_so_many_wait() {
        // 100 in 900 s: one every nine seconds.
        let limit = Limit { spread: true, ..limit(Algorithm::Gcra, 100, SECOND * 900, None) };
        let mut client = Client::new(Limit { burst: 3, ..limit });
        let waits: Vec<_> = (0..6).map(|_| client.wait_for_turn()).collect();
        let turn = |n: u32| Some(SECOND * 9 * n);
        assert_eq!(waits, [turn(0), turn(1), turn(2), turn(3), None, None]);
        client.wait(SECOND * 10);
        assert_eq!(client.wait_for_turn(), Some(SECOND * 26), "behind those that wait");
        client.wait(SECOND * 3600);
        assert_eq!(client.wait_for_turn(), Some(Duration::ZERO));
    }

    #[test]
    fn r5_turns_are_as_far_apart_as_the_pace_says_whenever_requests_come() {
        let limit = Limit { spread: true, ..paced(7, 20) };
        let pace = interval(&limit);
        let mut client = Client::new(limit);
        let mut random = 7_u64;
        let (mut at, mut last) = (Duration::ZERO, None);
        for _ in 0..5000 {
            if let Some(wait) = client.wait_for_turn() {
                let turn = at + wait;
                // Turns are told in whole milliseconds.
                let early = last.is_some_and(|last| turn + Duration::from_millis(1) < last + pace);
                assert!(!early, "{turn:?} after {last:?}");
                last = Some(turn);
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let span = Duration::from_millis((random >> 33) % 200);
            client.wait(span);
            at += span;
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
