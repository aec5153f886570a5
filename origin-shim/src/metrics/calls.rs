//! How it went to ask an upstream.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::histogram::{Histogram, Measured};
use super::words::{self, STATUSES};
use crate::lanes::Lanes;
use crate::upstream::UpstreamError;

/// Why there was no answer.
const ERRORS: [&str; 6] = ["unreachable", "silent", "broken", "open", "crowded", "other"];

/// Counts what was asked of one upstream.
#[derive(Debug, Default)]
pub struct CallMetrics(Lanes<Lane>);

#[derive(Debug)]
#[repr(align(128))]
struct Lane {
    statuses: [AtomicU64; STATUSES],
    errors: [AtomicU64; ERRORS.len()],
    begun: AtomicU64,
    ended: AtomicU64,
    durations: Histogram,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            statuses: std::array::from_fn(|_| AtomicU64::new(0)),
            errors: Default::default(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            durations: Histogram::default(),
        }
    }
}

/// A question on its way; it has ended when this is dropped, also when its client has left.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    metrics: &'a CallMetrics,
    begun: Instant,
}

/// Numbers of one upstream, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsTold {
    /// Answers by status.
    pub answers: BTreeMap<String, u64>,
    /// Questions without an answer, by why there is none.
    pub errors: BTreeMap<&'static str, u64>,
    /// Questions on their way, until the head of their answer.
    pub in_flight: u64,
    /// How long it took until there was a head, or no hope for one.
    pub durations: Measured,
}

impl CallMetrics {
    /// A question begins.
    pub(crate) fn begin(&self) -> Call<'_> {
        self.0.mine().begun.fetch_add(1, Ordering::Relaxed);
        Call { metrics: self, begun: Instant::now() }
    }

    /// The numbers now.
    pub fn told(&self) -> CallsTold {
        let mut told = CallsTold::default();
        let (mut begun, mut ended) = (0_u64, 0_u64);
        for lane in self.0.all() {
            // In this order, so that none has ended before it began.
            ended = ended.wrapping_add(lane.ended.load(Ordering::Relaxed));
            begun = begun.wrapping_add(lane.begun.load(Ordering::Relaxed));
            told.durations.add(&lane.durations);
            for (at, count) in lane.statuses.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    *told.answers.entry(words::status_word(at)).or_default() += count;
                }
            }
            for (word, count) in ERRORS.iter().zip(&lane.errors) {
                *told.errors.entry(word).or_default() += count.load(Ordering::Relaxed);
            }
        }
        told.in_flight = begun.saturating_sub(ended);
        told
    }
}

impl Call<'_> {
    /// How it went.
    pub(crate) fn end(self, answered: Result<u16, &UpstreamError>) {
        let lane = self.metrics.0.mine();
        match answered {
            Ok(status) => lane.statuses[words::status(status)].fetch_add(1, Ordering::Relaxed),
            Err(error) => lane.errors[position(error)].fetch_add(1, Ordering::Relaxed),
        };
        lane.durations.add(self.took());
    }

    fn took(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.metrics.0.mine().ended.fetch_add(1, Ordering::Relaxed);
    }
}

fn position(error: &UpstreamError) -> usize {
    match error {
        UpstreamError::Unreachable | UpstreamError::Files(_) => 0,
        UpstreamError::Silent => 1,
        UpstreamError::Broken(_) => 2,
        UpstreamError::Open { .. } => 3,
        UpstreamError::Crowded { .. } => 4,
        UpstreamError::Service(_) | UpstreamError::Request(_) => 5,
    }
}

impl CallsTold {
    /// All that were asked and have ended.
    pub fn ended(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.failed()
    }

    /// Those without an answer.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_what_is_on_its_way_is_counted_until_it_ends_or_nobody_waits_for_it() {
        let calls = CallMetrics::default();
        let (first, second, third) = (calls.begin(), calls.begin(), calls.begin());
        assert_eq!(calls.told().in_flight, 3);
        first.end(Ok(200));
        second.end(Err(&UpstreamError::Silent));
        std::thread::scope(|scope| _ = scope.spawn(|| drop(third)));
        let told = calls.told();
        assert_eq!((told.in_flight, told.ended(), told.failed()), (0, 2, 1));
        assert_eq!((told.answers["200"], told.errors["silent"]), (1, 1));
        assert_eq!(told.durations.count(), 2);
    }
}
