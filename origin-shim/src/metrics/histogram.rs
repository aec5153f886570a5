//! How long things take, in a bounded number of steps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of steps, in seconds; what takes longer is in one more step. From a hit in
/// memory to an origin's time-out.
pub const BOUNDS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

const STEPS: usize = BOUNDS.len() + 1;

const NANOS: [u64; BOUNDS.len()] = {
    let (mut nanos, mut at) = ([0; BOUNDS.len()], 0);
    while at < BOUNDS.len() {
        nanos[at] = (BOUNDS[at] * 1e9) as u64;
        at += 1;
    }
    nanos
};

/// What one thread has measured.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    steps: [AtomicU64; STEPS],
    nanos: AtomicU64,
}

/// What was measured, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    steps: [u64; STEPS],
    nanos: u64,
}

impl Histogram {
    /// Adds one. Two additions, and five comparisons.
    pub(super) fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let step = NANOS.partition_point(|bound| *bound < nanos);
        self.steps[step].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl Measured {
    /// Adds what a thread has measured.
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (sum, step) in self.steps.iter_mut().zip(&histogram.steps) {
            *sum += step.load(Ordering::Relaxed);
        }
        self.nanos = self.nanos.wrapping_add(histogram.nanos.load(Ordering::Relaxed));
    }

    /// Adds other numbers.
    pub(super) fn merge(&mut self, other: &Self) {
        self.steps.iter_mut().zip(other.steps).for_each(|(sum, step)| *sum += step);
        self.nanos = self.nanos.wrapping_add(other.nanos);
    }

    /// What has come since these were the numbers.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let mut since = *self;
        let steps = since.steps.iter_mut().zip(earlier.steps);
        steps.for_each(|(now, before)| *now = now.saturating_sub(before));
        Self { nanos: self.nanos.saturating_sub(earlier.nanos), ..since }
    }

    /// How many there are in each step.
    pub const fn steps(&self) -> &[u64] {
        &self.steps
    }

    /// How many took no longer than each of [`BOUNDS`].
    pub fn cumulated(&self) -> impl Iterator<Item = u64> {
        self.steps[..BOUNDS.len()].iter().scan(0, |sum, step| {
            *sum += step;
            Some(*sum)
        })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.steps.iter().sum()
    }

    /// How long all took together, in seconds.
    pub fn sum(&self) -> f64 {
        self.nanos as f64 / 1e9
    }

    /// The time within which a share of `quantile` was done, in seconds, as Prometheus' function
    /// `histogram_quantile` has it: its step is exact, and within that it is in proportion. What
    /// is longer than all bounds counts as the last of them. `None` without any.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        quantile_of(&self.steps, quantile)
    }
}

/// The same of numbers from elsewhere.
pub fn quantile_of(steps: &[u64], quantile: f64) -> Option<f64> {
    let count: u64 = steps.iter().sum();
    if count == 0 {
        return None;
    }
    let rank = quantile.clamp(0.0, 1.0) * count as f64;
    let mut below = 0;
    for ((at, bound), step) in BOUNDS.iter().enumerate().zip(steps) {
        if (below + step) as f64 >= rank && *step > 0 {
            let from = at.checked_sub(1).map_or(0.0, |before| BOUNDS[before]);
            return Some(from + (bound - from) * ((rank - below as f64) / *step as f64).max(0.0));
        }
        below += step;
    }
    Some(BOUNDS[BOUNDS.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: &[u64]) -> Measured {
        let histogram = Histogram::default();
        millis.iter().for_each(|ms| histogram.add(Duration::from_millis(*ms)));
        let mut measured = Measured::default();
        measured.add(&histogram);
        measured
    }

    #[test]
    fn p10_a_bound_belongs_to_its_step() {
        let measured = of(&[1, 2, 60_000, 61_000]);
        let with = |bound: f64| {
            let at = BOUNDS.iter().position(|known| *known == bound).unwrap();
            measured.cumulated().nth(at).unwrap()
        };
        assert_eq!((with(0.0005), with(0.001), with(0.0025), with(60.0)), (0, 1, 2, 3));
        assert_eq!((measured.count(), measured.sum()), (4, 121.003));
    }

    #[test]
    fn p10_quantiles_lie_in_proportion_within_their_step() {
        assert_eq!(of(&[]).quantile(0.5), None);
        let measured = of(&[[2; 90].as_slice(), &[200; 10]].concat());
        let close = |quantile, expected: f64| {
            let found = measured.quantile(quantile).unwrap();
            assert!((found - expected).abs() < 1e-9, "{quantile}: {found}, not {expected}");
        };
        close(0.5, 0.001 + 0.0015 * 50.0 / 90.0);
        close(0.95, 0.1 + 0.15 * 0.5);
        close(1.0, 0.25);
        assert_eq!(of(&[100_000]).quantile(0.99), Some(60.0));
    }
}
