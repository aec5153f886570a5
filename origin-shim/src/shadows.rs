//! What was seen on routes whose cache only watches (`shadow = true`): what it would have done,
//! and in what that differs from what the origin said.

mod report;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidegate_core::shadow::{Differences, Shadowed};

pub use report::Report;

/// Names of fields that are counted one by one; others count as one.
const FIELDS_MAX: usize = 64;
/// What others count as.
const OTHERS: &str = "…";

/// What was seen, by the names of routes.
#[derive(Debug, Default)]
pub struct Shadows(Mutex<BTreeMap<String, Seen>>);

/// What was seen on a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How often the cache would have done what.
    pub would: BTreeMap<Shadowed, u64>,
    /// So many stored answers were compared with what the origin said.
    pub compared: u64,
    /// So many of them differed.
    pub differed: u64,
    /// So many differed in their status.
    pub status: u64,
    /// So many differed in their body.
    pub body: u64,
    /// So many differed in a field, by its name.
    pub fields: BTreeMap<String, u64>,
    /// The last one that differed: its key, and in what.
    pub last: Option<(String, String)>,
}

impl Shadows {
    /// Counts what the cache would have done with a request on a route.
    pub fn count(&self, route: &str, what: Shadowed) {
        *self.all().entry(route.to_owned()).or_default().would.entry(what).or_default() += 1;
    }

    /// Counts a comparison of a stored answer of a route, under a key as people may see it;
    /// `body` tells whether its body differed, where that was seen.
    pub fn compare(&self, route: &str, key: &str, found: &Differences, body: Option<bool>) {
        let mut all = self.all();
        let seen = all.entry(route.to_owned()).or_default();
        seen.compared += 1;
        let body = body.unwrap_or(false);
        if found.is_empty() && !body {
            return;
        }
        seen.differed += 1;
        seen.status += u64::from(found.status);
        seen.body += u64::from(body);
        for name in &found.fields {
            let is_known = seen.fields.contains_key(name) || seen.fields.len() < FIELDS_MAX;
            let name = if is_known { name } else { OTHERS };
            *seen.fields.entry(name.to_owned()).or_default() += 1;
        }
        let parts = [(found.status, "status"), (body, "body")];
        let parts = parts.into_iter().filter_map(|(differs, name)| differs.then_some(name));
        let parts: Vec<&str> = parts.chain(found.fields.iter().map(String::as_str)).collect();
        seen.last = Some((key.to_owned(), parts.join(", ")));
    }

    /// All that was seen so far.
    pub fn seen(&self) -> BTreeMap<String, Seen> {
        self.all().clone()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Seen>> {
        // Counters stay counters whatever panics around them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
