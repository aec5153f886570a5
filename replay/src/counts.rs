//! What became of requests, in numbers.

use serde::Serialize;

/// What became of the requests that came to one tier. `fresh`, `stale`, `on_error`, `confirmed`,
/// `missed`, `passed`, `refused` and `unsatisfiable` add up to `requests`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Requests that came to it.
    pub requests: u64,
    /// Bytes of the bodies that it answered with.
    pub bytes: u64,
    /// Answered out of the store, which was fresh.
    pub fresh: u64,
    /// Answered out of the store though it was stale, and refreshed behind that.
    pub stale: u64,
    /// Answered out of the store though it was stale, since who was asked failed.
    pub on_error: u64,
    /// What is stored was confirmed.
    pub confirmed: u64,
    /// Nothing stored served.
    pub missed: u64,
    /// The cache was left out.
    pub passed: u64,
    /// A limit refused them.
    pub refused: u64,
    /// Nothing stored served, and the client wanted nothing else: 504.
    pub unsatisfiable: u64,
    /// Bytes of the bodies that came out of the store.
    pub stored_bytes: u64,
    /// Questions that it sent on, those for which no client waited included.
    pub asked: u64,
    /// Bytes of the bodies that it got for them.
    pub asked_bytes: u64,
    /// Questions for which no client waited: stale answers that were refreshed.
    pub refreshed: u64,
}

impl Outcomes {
    /// Requests that a stored answer served, without anybody being asked for it first.
    pub const fn hits(&self) -> u64 {
        self.fresh + self.stale + self.on_error
    }

    /// The part of the requests that a stored answer served, of 1; 0 without requests.
    pub fn hit_ratio(&self) -> f64 {
        part(self.hits(), self.requests)
    }

    /// The part of the bytes that came out of the store, of 1.
    pub fn byte_hit_ratio(&self) -> f64 {
        part(self.stored_bytes, self.bytes)
    }

    pub(crate) const fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.fresh += other.fresh;
        self.stale += other.stale;
        self.on_error += other.on_error;
        self.confirmed += other.confirmed;
        self.missed += other.missed;
        self.passed += other.passed;
        self.refused += other.refused;
        self.unsatisfiable += other.unsatisfiable;
        self.stored_bytes += other.stored_bytes;
        self.asked += other.asked;
        self.asked_bytes += other.asked_bytes;
        self.refreshed += other.refreshed;
    }
}

/// A part of a whole, of 1; 0 of nothing.
pub(crate) fn part(of: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 }
}

/// Why no stored answer served, or why an answer was not stored: the words of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No stored answer served.
    Missed,
    /// The cache was left out.
    Passed,
    /// The answer was not stored.
    NotStored,
}

/// How often which reason was given. There are few, so a list is quicker than a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reasons(Vec<(Kind, &'static str, u64)>);

impl Reasons {
    pub(crate) fn count(&mut self, kind: Kind, word: &'static str) {
        let same = |(k, w, _): &&mut (Kind, &'static str, u64)| *k == kind && *w == word;
        match self.0.iter_mut().find(same) {
            Some((.., count)) => *count += 1,
            None => self.0.push((kind, word, 1)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Kind, &'static str, u64)> {
        self.0.iter()
    }
}
