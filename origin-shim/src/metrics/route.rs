//! What became of the requests of one route.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::histogram::{Histogram, Measured};
use super::words::{self, METHODS, OUTCOMES, STATUSES};
use crate::lanes::Lanes;

/// Reasons that are told apart in one thread; more come as `other`. They are words of the core, so
/// that there are not as many.
const REASONS_MAX: usize = 128;

/// Counts the requests of one route; about 2 KiB for each thread that serves it.
#[derive(Debug, Default)]
pub struct RouteMetrics(Lanes<Lane>);

/// What one thread counts.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane {
    durations: Histogram,
    collapsed: AtomicU64,
    /// By method and outcome. Most of them never come.
    answers: [[OnceLock<Box<ByStatus>>; OUTCOMES.len()]; METHODS.len()],
    /// By outcome and word.
    reasons: Mutex<Vec<(usize, Box<str>, u64)>>,
}

#[derive(Debug)]
struct ByStatus([AtomicU64; STATUSES]);

impl Default for ByStatus {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// A request that has its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) method: &'a str,
    pub(crate) status: u16,
    /// The word of `X-Cache`.
    pub(crate) outcome: &'a str,
    /// The word of `Cache-Status` that says why; none where a stored answer just served.
    pub(crate) reason: Option<&'a str>,
    pub(crate) collapsed: bool,
    /// Until the head of the answer was made.
    pub(crate) took: Duration,
}

/// Numbers of one route, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTold {
    /// Requests by method, status and outcome.
    pub answers: BTreeMap<(&'static str, String, &'static str), u64>,
    /// Of these, by outcome and why, where a stored answer did not just serve.
    pub reasons: BTreeMap<(&'static str, String), u64>,
    /// Requests that another one like them was asked for.
    pub collapsed: u64,
    /// How long they took until the head of their answer was made.
    pub durations: Measured,
}

impl RouteMetrics {
    /// Counts one request: four additions, and a look at a short list where the cache did not
    /// answer.
    pub(crate) fn count(&self, answered: &Answered<'_>) {
        let lane = self.0.mine();
        let outcome = words::outcome(answered.outcome);
        let page = &lane.answers[words::method(answered.method)][outcome];
        let by_status = page.get_or_init(Box::default);
        by_status.0[words::status(answered.status)].fetch_add(1, Ordering::Relaxed);
        lane.durations.add(answered.took);
        if answered.collapsed {
            lane.collapsed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(reason) = answered.reason {
            lane.count_reason(outcome, reason);
        }
    }

    /// The numbers now.
    pub fn told(&self) -> RouteTold {
        let mut told = RouteTold::default();
        for lane in self.0.all() {
            told.durations.add(&lane.durations);
            told.collapsed += lane.collapsed.load(Ordering::Relaxed);
            let pages = METHODS.iter().zip(&lane.answers).flat_map(|(method, pages)| {
                OUTCOMES.iter().zip(pages).map(move |(outcome, page)| (method, outcome, page))
            });
            for (method, outcome, page) in pages {
                let Some(by_status) = page.get() else { continue };
                for (status, count) in by_status.0.iter().enumerate() {
                    let count = count.load(Ordering::Relaxed);
                    if count > 0 {
                        let status = words::status_word(status);
                        let key = (*method, status, *outcome);
                        *told.answers.entry(key).or_default() += count;
                    }
                }
            }
            for (outcome, reason, count) in lane.reasons().iter() {
                let key = (OUTCOMES[*outcome], reason.to_string());
                *told.reasons.entry(key).or_default() += count;
            }
        }
        told
    }
}

impl Lane {
    fn count_reason(&self, outcome: usize, reason: &str) {
        let mut reasons = self.reasons();
        let is_known =
            |(known, word, _): &&mut (usize, Box<str>, u64)| *known == outcome && **word == *reason;
        if let Some((.., count)) = reasons.iter_mut().find(is_known) {
            *count += 1;
        } else if reasons.len() < REASONS_MAX {
            reasons.push((outcome, reason.into(), 1));
        } else if let Some((.., count)) =
            reasons.iter_mut().find(|(known, word, _)| *known == outcome && **word == *"other")
        {
            *count += 1;
        } else if reasons.len() < REASONS_MAX + OUTCOMES.len() {
            reasons.push((outcome, "other".into(), 1));
        }
    }

    fn reasons(&self) -> std::sync::MutexGuard<'_, Vec<(usize, Box<str>, u64)>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RouteTold {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.answers.values().sum()
    }

    /// Requests with one of these outcomes.
    pub fn with(&self, outcomes: &[&str]) -> u64 {
        let counts = self.answers.iter().filter(|((.., outcome), _)| outcomes.contains(outcome));
        counts.map(|(_, count)| count).sum()
    }

    /// Requests with this status.
    pub fn of_status(&self, code: &str) -> u64 {
        let counts = self.answers.iter().filter(|((_, status, _), _)| status == code);
        counts.map(|(_, count)| count).sum()
    }

    /// Requests whose status begins with this digit.
    pub fn of_class(&self, digit: char) -> u64 {
        let counts = self.answers.iter().filter(|((_, status, _), _)| status.starts_with(digit));
        counts.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(outcome: &'static str, reason: Option<&'static str>) -> Answered<'static> {
        let took = Duration::from_millis(1);
        Answered { method: "GET", status: 200, outcome, reason, collapsed: false, took }
    }

    #[test]
    fn p10_threads_count_together() {
        let route = RouteMetrics::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    route.count(&answered("HIT", None));
                    route.count(&answered("MISS", Some("uri-miss")));
                    route.count(&Answered { status: 299, ..answered("MISS", Some("stale")) });
                });
            }
        });
        let told = route.told();
        let count = |status: &str, outcome| told.answers[&("GET", status.to_owned(), outcome)];
        assert_eq!((count("200", "HIT"), count("200", "MISS"), count("2xx", "MISS")), (20, 20, 20));
        assert_eq!(told.reasons[&("MISS", "stale".to_owned())], 20);
        assert_eq!((told.durations.count(), told.requests()), (60, 60));
        assert_eq!((told.with(&["HIT", "STALE"]), told.of_class('2')), (20, 60));
    }

    #[test]
    fn p10_reasons_are_bounded() {
        let route = RouteMetrics::default();
        let words: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        for word in &words {
            route.count(&Answered { reason: Some(word), ..answered("MISS", None) });
        }
        let reasons = route.told().reasons;
        assert_eq!(reasons.len(), REASONS_MAX + 1);
        assert_eq!(reasons[&("MISS", "other".to_owned())], 1000 - REASONS_MAX as u64);
        assert_eq!(reasons.values().sum::<u64>(), 1000);
    }
}
