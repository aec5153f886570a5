//! How long answers took.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies, each exact to a thousandth, in constant memory.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

/// What most did not exceed; in milliseconds, and nothing where nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half.
    pub p50: f64,
    /// 19 of 20.
    pub p95: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// All.
    pub max: f64,
}

impl Latencies {
    /// Of one.
    pub fn note(&mut self, latency: Duration) {
        let micros = latency.as_micros().clamp(1, u128::from(LONGEST)) as u64;
        self.0.saturating_record(micros);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of `other`, too.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds, which is all that it could refuse.
        let _ = self.0.add(&other.0);
    }

    /// What most did not exceed.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        if self.is_empty() {
            return Percentiles::default();
        }
        let at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        let max = self.0.max() as f64 / 1000.0;
        Percentiles { p50: at(0.5), p95: at(0.95), p99: at(0.99), p999: at(0.999), max }
    }
}

impl Default for Latencies {
    fn default() -> Self {
        const DIGITS: u8 = 3;
        #[allow(clippy::expect_used, reason = "the bounds are constants that are allowed")]
        Self(Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("bounds of a histogram"))
    }
}

/// Ten minutes, in microseconds: nobody waits longer.
const LONGEST: u64 = 600_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_known_samples_are_exact_to_a_thousandth() {
        let mut latencies = Latencies::default();
        // 1 ms, 2 ms … 10,000 ms.
        for millis in 1..=10_000 {
            latencies.note(Duration::from_millis(millis));
        }
        let found = latencies.percentiles();
        let near = |found: f64, known: f64| (found - known).abs() <= known / 1000.0;
        assert!(near(found.p50, 5_000.0) && near(found.p95, 9_500.0), "{found:?}");
        assert!(near(found.p99, 9_900.0) && near(found.p999, 9_990.0), "{found:?}");
        assert!(near(found.max, 10_000.0), "{found:?}");
    }

    #[test]
    fn one_slow_answer_in_a_hundred_is_beyond_p95_and_the_greatest() {
        let mut latencies = Latencies::default();
        (0..99).for_each(|_| latencies.note(Duration::from_millis(10)));
        latencies.note(Duration::from_secs(3));
        let found = latencies.percentiles();
        assert!(found.p95 < 10.1 && found.p99 < 10.1 && found.p999 > 2_990.0, "{found:?}");
    }

    #[test]
    fn what_is_longer_than_anybody_waits_is_as_long_as_that() {
        let mut latencies = Latencies::default();
        latencies.note(Duration::from_secs(86_400));
        latencies.note(Duration::ZERO);
        assert_eq!(latencies.len(), 2);
        assert!((599_000.0..601_000.0).contains(&latencies.percentiles().max));
    }

    #[test]
    fn nothing_measured_has_no_percentiles() {
        assert_eq!(Latencies::default().percentiles(), Percentiles::default());
    }
}
