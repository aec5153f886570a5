//! A limit in numbers that a double holds, for a store whose scripts have no others: Lua's, in
//! Redis.

use super::gcra;
use super::sliding_window::logged;
use super::{Algorithm, Limit};
use crate::time::millis;

/// Doubles hold whole numbers below this.
pub const EXACT: u64 = 1 << 53;

/// A limit in numbers below [`EXACT`]. Times are in milliseconds, but for the pace's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Numbers {
    /// `fixed-window`, `log` or `buckets` (both are sliding windows), or `gcra`.
    pub algorithm: &'static str,
    /// Requests in a window.
    pub quota: u64,
    /// The length of a window.
    pub window: u64,
    /// For how long a client is blocked that exceeds the quota; 0 where none is.
    pub block: u64,
    /// No block lasts longer than this from now on, whatever clock it was written by.
    pub longest_block: u64,
    /// One request in so many microseconds is an even pace.
    pub pace: u64,
    /// By how many microseconds requests may be ahead of it.
    pub lead: u64,
    /// No state is ahead of the clock by more microseconds.
    pub longest_lead: u64,
}

impl Numbers {
    /// The numbers of `limit`; `None` if a double cannot hold what is computed from them.
    pub fn of(limit: &Limit) -> Option<Self> {
        let quota = u64::from(limit.quota.get());
        let window = millis(limit.window).max(1);
        let block = limit.block.map(millis);
        let algorithm = match limit.algorithm {
            Algorithm::FixedWindow => "fixed-window",
            Algorithm::SlidingWindow if logged(limit).is_some() => "log",
            Algorithm::SlidingWindow => "buckets",
            Algorithm::Gcra => "gcra",
        };
        let pace = u64::try_from(gcra::interval(limit).as_micros()).ok()?;
        let lead = pace.checked_mul(limit.burst.into())?;
        // What is weighed in two buckets is a count times a window; what a pace leads to is a
        // time in microseconds, and the clock itself takes up to a quarter of what is exact.
        let largest = match algorithm {
            "buckets" => quota.checked_mul(window)?,
            "gcra" => lead.checked_add(pace.checked_mul(2)?)?.checked_mul(2)?,
            _ => window.checked_mul(2)?,
        };
        let fits = largest < EXACT && block.unwrap_or(0) < EXACT / 2 && window < EXACT / 4;
        fits.then_some(Self {
            algorithm,
            quota,
            window,
            block: block.unwrap_or(0),
            longest_block: block.unwrap_or(window),
            pace,
            lead,
            longest_lead: lead + pace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::limit;
    use super::*;
    use core::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_pace_is_in_microseconds_and_a_burst_is_its_lead() {
        let limit = Limit { burst: 5, ..limit(Algorithm::Gcra, 7, SECOND, None) };
        let numbers = Numbers::of(&limit).unwrap();
        assert_eq!((numbers.pace, numbers.lead, numbers.longest_lead), (142_858, 714_290, 857_148));
    }

    #[test]
    fn what_a_double_cannot_hold_has_no_numbers() {
        let day = SECOND * 86_400;
        let of = |algorithm, quota, window| Numbers::of(&limit(algorithm, quota, window, None));
        assert!(of(Algorithm::SlidingWindow, 100_000_000, day).is_some());
        assert_eq!(of(Algorithm::SlidingWindow, u32::MAX, day), None);
        assert!(of(Algorithm::FixedWindow, u32::MAX, day).is_some());
        let burst = Limit { burst: u32::MAX, ..limit(Algorithm::Gcra, 1, day, None) };
        assert_eq!(Numbers::of(&burst), None);
    }
}
