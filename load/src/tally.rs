//! What came of the requests of one phase.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::latencies::Latencies;
use crate::served::Served;
use crate::trouble::Trouble;

/// What came of one request.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// From when it was to be sent.
    pub(crate) latency: Duration,
    /// From when it was sent.
    pub(crate) waited: Duration,
    /// The answer, or why there is none.
    pub(crate) answer: Result<Answer, Trouble>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) served: Served,
}

/// What came of many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Of answers, and of those that did not come in time.
    pub(crate) all: Latencies,
    /// The same, from when requests were sent.
    pub(crate) uncorrected: Latencies,
    /// Of answers that a cache gave.
    pub(crate) cached: Latencies,
    /// Of other answers.
    pub(crate) others: Latencies,
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) limited: u64,
    pub(crate) origin: u64,
    pub(crate) bypass: u64,
    pub(crate) unknown: u64,
    pub(crate) by_cache: BTreeMap<String, u64>,
    pub(crate) troubles: BTreeMap<Trouble, u64>,
    /// Of requests, how late they were sent although nothing was waited for.
    pub(crate) lag: Latencies,
}

/// So many caches are told apart.
const CACHES: usize = 8;

impl Tally {
    pub(crate) fn note(&mut self, outcome: Outcome) {
        self.requests += 1;
        let trouble = match &outcome.answer {
            Ok(answer) => Trouble::of_status(answer.status),
            Err(trouble) => Some(*trouble),
        };
        if let Some(trouble) = trouble {
            *self.troubles.entry(trouble).or_default() += 1;
        }
        match outcome.answer {
            Ok(answer) => {
                self.all.note(outcome.latency);
                self.uncorrected.note(outcome.waited);
                self.bytes += answer.bytes;
                self.limited += u64::from(answer.status == 429);
                if trouble.is_none() && answer.status != 429 {
                    self.served(answer.served, outcome.latency);
                }
            }
            // Who was not answered in time has waited at least so long.
            Err(Trouble::TimeOut) => {
                self.all.note(outcome.latency);
                self.uncorrected.note(outcome.waited);
            }
            Err(_) => {}
        }
    }

    fn served(&mut self, served: Served, latency: Duration) {
        match served {
            Served::By(name) => {
                self.cached.note(latency);
                if self.by_cache.len() < CACHES || self.by_cache.contains_key(&name) {
                    *self.by_cache.entry(name).or_default() += 1;
                } else {
                    *self.by_cache.entry("others".into()).or_default() += 1;
                }
                return;
            }
            Served::Origin => self.origin += 1,
            Served::Bypass => self.bypass += 1,
            Served::Unknown => self.unknown += 1,
        }
        self.others.note(latency);
    }

    /// All of `other`, too.
    pub(crate) fn add(&mut self, other: &Self) {
        self.all.add(&other.all);
        self.uncorrected.add(&other.uncorrected);
        self.cached.add(&other.cached);
        self.others.add(&other.others);
        self.lag.add(&other.lag);
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.limited += other.limited;
        self.origin += other.origin;
        self.bypass += other.bypass;
        self.unknown += other.unknown;
        for (name, count) in &other.by_cache {
            *self.by_cache.entry(name.clone()).or_default() += count;
        }
        for (trouble, count) in &other.troubles {
            *self.troubles.entry(*trouble).or_default() += count;
        }
    }

    /// Requests that had no answer as it should be.
    pub(crate) fn errors(&self) -> u64 {
        self.troubles.values().sum()
    }

    /// Answers that a cache gave.
    pub(crate) fn hits(&self) -> u64 {
        self.by_cache.values().sum()
    }
}
