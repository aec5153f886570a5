//! Sliding window (R4): at most `quota` requests in any window, wherever it starts.
//!
//! Small quotas keep an exact log of the times: never more than the quota in any window, to
//! the millisecond. Larger ones count in two buckets and take the earlier one in proportion to
//! how much of it the window still covers. That is right to one request where they come evenly;
//! bunched at the worst moments, a window may see up to twice the quota and never more.
//!
//! Constant time (the log has [`LOG_MAX`] places), no allocation.

use core::time::Duration;

use super::{Admission, Limit, State, blocked};
use crate::time::{Timestamp, millis};

/// Quotas up to this are counted exactly.
pub const LOG_MAX: usize = 16;

/// The times of the requests in a window: the newest, and how long before it the others were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// When the last request was allowed.
    newest: Timestamp,
    /// Milliseconds before [`Self::newest`], the latest first.
    earlier: [u32; LOG_MAX - 1],
    /// How many of them count.
    len: u8,
}

/// Counts of two windows that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// When the later one started.
    since: Timestamp,
    /// Requests allowed in the later one.
    used: u32,
    /// Requests allowed in the earlier one.
    before: u32,
}

/// Decides on one request.
pub(super) fn admit(limit: &Limit, state: Option<State>, now: Timestamp) -> Admission {
    if let Some(denial) = blocked(limit, state, now) {
        return denial;
    }
    match state {
        _ if logged(limit).is_none() => Buckets::read(state, limit, now).admit(limit, now),
        Some(State::Log(log)) => log.admit(limit, now),
        _ => Log::only(now).allow(limit, now),
    }
}

/// How many requests the log of `limit` holds at most, if it has one.
pub(super) fn logged(limit: &Limit) -> Option<usize> {
    let quota = limit.quota.get() as usize;
    let is_exact = quota <= LOG_MAX && limit.window <= Duration::from_millis(u32::MAX.into());
    is_exact.then_some(quota)
}

impl Log {
    const fn only(now: Timestamp) -> Self {
        Self { newest: now, earlier: [0; LOG_MAX - 1], len: 0 }
    }

    fn admit(self, limit: &Limit, now: Timestamp) -> Admission {
        // A clock set back must not make anybody wait longer than a window.
        let newest = self.newest.min(now);
        let log = Self { newest, ..self };
        let (window, quota) = (millis(limit.window), limit.quota.get() as usize);
        let inside = log.ages(now).take_while(|age| *age < window).count();
        if inside == 0 {
            return Self::only(now).allow(limit, now);
        }
        if inside < quota {
            return log.push(now, inside).allow(limit, now);
        }
        // The earliest of as many as the quota must leave the window first.
        let age = log.ages(now).nth(quota - 1).unwrap_or_default();
        let wait = Duration::from_millis(window.saturating_sub(age));
        Admission::deny(limit, State::Log(log), wait, now)
    }

    /// How many milliseconds ago the requests were, the latest first.
    fn ages(&self, now: Timestamp) -> impl Iterator<Item = u64> {
        let newest = now.as_millis().saturating_sub(self.newest.as_millis());
        let earlier = self.earlier.iter().take(self.len.into());
        core::iter::once(newest)
            .chain(earlier.map(move |before| newest.saturating_add((*before).into())))
    }

    /// The log with one more request, and only the `inside` latest of those before.
    fn push(self, now: Timestamp, inside: usize) -> Self {
        let mut pushed = Self::only(now);
        for (place, age) in pushed.earlier.iter_mut().zip(self.ages(now).take(inside)) {
            *place = u32::try_from(age).unwrap_or(u32::MAX);
            pushed.len += 1;
        }
        pushed
    }

    fn allow(self, limit: &Limit, now: Timestamp) -> Admission {
        let used = u32::from(self.len) + 1;
        Admission::Allow {
            remaining: limit.quota.get().saturating_sub(used),
            reset: (self.newest + limit.window).since(now),
            next_state: State::Log(self),
        }
    }

    pub(super) fn last(&self) -> Timestamp {
        self.newest
    }

    pub(super) fn first(&self) -> Timestamp {
        let oldest = usize::from(self.len).checked_sub(1).and_then(|at| self.earlier.get(at));
        self.newest.before(Duration::from_millis(oldest.copied().unwrap_or(0).into()))
    }

    /// The numbers to store: how many, the newest, the others.
    pub(super) fn encode(&self, mut put: impl FnMut(&[u8])) {
        put(&[self.len]);
        put(&self.newest.as_millis().to_be_bytes());
        for ago in self.earlier.iter().take(self.len.into()) {
            put(&ago.to_be_bytes());
        }
    }

    /// Reads what [`Self::encode`] wrote, and what follows.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&len, rest) = bytes.split_first()?;
        let (newest, rest) = rest.split_first_chunk::<8>()?;
        let mut log = Self::only(Timestamp::from_millis(u64::from_be_bytes(*newest)));
        let places = log.earlier.get_mut(..len.into())?;
        let (earlier, rest) = rest.split_at_checked(4 * places.len())?;
        for (place, ago) in places.iter_mut().zip(earlier.as_chunks().0) {
            *place = u32::from_be_bytes(*ago);
        }
        if !places.is_sorted() {
            return None;
        }
        log.len = len;
        Some((log, rest))
    }
}

impl Buckets {
    /// The buckets as they stand at `now`.
    fn read(state: Option<State>, limit: &Limit, now: Timestamp) -> Self {
        let Some(State::Buckets(kept)) = state else {
            return Self { since: now, used: 0, before: 0 };
        };
        let next = kept.since + limit.window;
        if now < next {
            return Self { since: kept.since.min(now), ..kept };
        }
        match now < next + limit.window {
            true => Self { since: next, used: 0, before: kept.used },
            false => Self { since: now, used: 0, before: 0 },
        }
    }

    fn admit(self, limit: &Limit, now: Timestamp) -> Admission {
        let wait = self.wait(limit, now);
        if wait > Duration::ZERO {
            return Admission::deny(limit, State::Buckets(self), wait, now);
        }
        let next = Self { used: self.used + 1, ..self };
        let remaining = u64::from(limit.quota.get()).saturating_sub(
            u64::from(next.used)
                + next.weighted_before(limit, now).div_ceil(u128::from(window(limit))) as u64,
        );
        Admission::Allow {
            remaining: remaining as u32,
            reset: (self.since + limit.window + limit.window).since(now),
            next_state: State::Buckets(next),
        }
    }

    /// The earlier bucket in proportion, times the length of a window.
    fn weighted_before(&self, limit: &Limit, now: Timestamp) -> u128 {
        let elapsed = millis(now.since(self.since)).min(window(limit));
        u128::from(self.before) * u128::from(window(limit) - elapsed)
    }

    /// How long until one more request is allowed: the first millisecond in which
    /// `before × (window − elapsed) + (used + 1) × window ≤ quota × window`.
    fn wait(&self, limit: &Limit, now: Timestamp) -> Duration {
        let (window, quota) = (u128::from(window(limit)), u128::from(limit.quota.get()));
        let elapsed = u128::from(millis(now.since(self.since)));
        // In which millisecond of a bucket `used` there and `before` in the one before allow it.
        let moment = |before: u128, used: u128| -> Option<u128> {
            let room = quota.checked_sub(used + 1)? * window;
            Some((before * window).saturating_sub(room).div_ceil(before.max(1)))
        };
        let (used, before) = (u128::from(self.used), u128::from(self.before));
        let at = match moment(before, used) {
            Some(at) => at,
            None => window + moment(used, 0).unwrap_or(window),
        };
        Duration::from_millis(u64::try_from(at.saturating_sub(elapsed)).unwrap_or(u64::MAX))
    }

    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    pub(super) fn begins(&self, window: Duration) -> Timestamp {
        match self.before {
            0 => self.since,
            _ => self.since.before(window),
        }
    }

    pub(super) fn encode(&self, mut put: impl FnMut(&[u8])) {
        put(&self.since.as_millis().to_be_bytes());
        put(&self.used.to_be_bytes());
        put(&self.before.to_be_bytes());
    }

    /// Reads the counts that [`Self::encode`] wrote, and what follows.
    pub(super) fn read_counts(since: Timestamp, bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (used, rest) = bytes.split_first_chunk()?;
        let (before, rest) = rest.split_first_chunk()?;
        let (used, before) = (u32::from_be_bytes(*used), u32::from_be_bytes(*before));
        Some((Self { since, used, before }, rest))
    }
}

/// The length of a window in milliseconds, at least one.
fn window(limit: &Limit) -> u64 {
    millis(limit.window).max(1)
}

#[cfg(test)]
mod tests {
    use super::super::Algorithm;
    use super::super::tests::{Client, limit};
    use super::*;
    use alloc::vec::Vec;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn r4_a_small_quota_holds_in_every_window_to_the_millisecond() {
        // 10 per 5 min, asked at random moments that are denser than the limit.
        let limit = limit(Algorithm::SlidingWindow, 10, MINUTE * 5, None);
        let mut client = Client::new(limit);
        let allowed: Vec<Timestamp> = client.ask_at_random(20_000, 20_000);
        for window in allowed.windows(11) {
            assert!(window[10].since(window[0]) >= MINUTE * 5, "{window:?}");
        }
        assert!(allowed.len() > 5000, "and what may pass passes: {}", allowed.len());
    }

    #[test]
    fn r4_a_large_quota_suits_an_even_stream_and_is_never_exceeded_by_more_than_itself() {
        let limit = limit(Algorithm::SlidingWindow, 1000, MINUTE * 15, None);
        let mut even = Client::new(limit.clone());
        // The rate is one in 900 ms.
        for _ in 0..5000 {
            assert!(even.ask(), "an even stream just below the limit passes");
            even.wait(Duration::from_millis(901));
        }
        let mut bunched = Client::new(limit);
        let mut allowed: Vec<Timestamp> = Vec::new();
        for _ in 0..6 {
            // All at once at the end of a bucket, then as many as possible all along.
            bunched.wait(MINUTE * 15 - Duration::from_millis(1));
            allowed.extend(bunched.ask_at_random(4000, 500));
        }
        for (first, start) in allowed.iter().enumerate() {
            let inside =
                allowed[first..].iter().take_while(|at| at.since(*start) < MINUTE * 15).count();
            assert!(inside <= 2000, "{inside}");
        }
    }

    #[test]
    fn r4_waiting_exactly_retry_after_allows_and_a_millisecond_less_denies() {
        for (quota, block) in [(10, None), (10, Some(MINUTE)), (1000, None), (1000, Some(MINUTE))] {
            let mut client = Client::new(limit(Algorithm::SlidingWindow, quota, MINUTE * 5, block));
            client.check_every_denial(30_000, 400);
        }
    }

    #[test]
    fn a_log_that_no_version_wrote_is_refused() {
        assert_eq!(Log::read(&[]), None);
        assert_eq!(Log::read(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Log::read(&[16; 73]), None);
        assert_eq!(Log::read(&[2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0, 1]), None);
    }
}
