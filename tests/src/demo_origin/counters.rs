//! How often each path was asked for.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

/// Requests answered, in all and per path without its query.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: u64,
    by_path: BTreeMap<String, u64>,
}

/// A load test with random paths must not fill the memory: beyond this many
/// different ones, only the total grows.
const MOST_PATHS: usize = 10_000;

impl Counters {
    /// How many requests were answered.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// How many requests for `path` were answered.
    #[must_use]
    pub fn of(&self, path: &str) -> u64 {
        self.lock().by_path.get(path).copied().unwrap_or(0)
    }

    /// Counts one request and says which one for its path this is, from 1.
    pub(super) fn count(&self, path: &str) -> u64 {
        let mut counts = self.lock();
        counts.total += 1;
        if let Some(count) = counts.by_path.get_mut(path) {
            *count += 1;
            return *count;
        }
        if counts.by_path.len() < MOST_PATHS {
            counts.by_path.insert(path.to_owned(), 1);
        }
        1
    }

    pub(super) fn reset(&self) {
        *self.lock() = Counts::default();
    }

    pub(super) fn to_json(&self) -> Value {
        let counts = self.lock();
        json!({ "total": counts.total, "paths": counts.by_path })
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
