//! Which stored answers suit other queries than the one they were asked for with
//! (No-Vary-Search, draft-ietf-httpbis-no-vary-search-10 §7).
//!
//! A store finds answers by keys, which hold the whole query. So it remembers, by the key
//! without query ([`crate::CacheKey::of_any_query`]), what it has for each path.

use alloc::string::String;
use alloc::vec::Vec;

use crate::headers::Fields;
use crate::headers::no_vary_search::NoVarySearch;
use crate::key::QueryRule;
use crate::rule::CacheRule;

/// Queries remembered of one path at most; the oldest goes first.
pub const QUERIES_MAX: usize = 16;

/// A stored answer and the queries it suits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alike<K> {
    /// What it is stored under.
    pub key: K,
    /// What it was asked for with.
    query: Option<String>,
    /// Which differences from that made no difference when it was remembered.
    variance: NoVarySearch,
}

/// The stored answers of one path that suit several queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alikes<K>(Vec<Alike<K>>);

impl<K> Default for Alikes<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Whether the origin's word on queries counts: where the policy says which of the query does,
/// that is enough.
pub fn applies(rule: &CacheRule) -> bool {
    rule.key.query == QueryRule::All
}

impl<K> Alike<K> {
    /// An answer with the head `answer`, stored under `key`; `None` if it suits its own `query`
    /// alone.
    pub fn of(key: K, query: Option<&str>, answer: &(impl Fields + ?Sized)) -> Option<Self> {
        let variance = NoVarySearch::read(answer)?;
        Some(Self { key, query: query.map(String::from), variance })
    }

    /// Whether `answer`, the head of what lies under the key, is for `query`. It may be another
    /// than the one that was remembered, so it is asked itself.
    pub fn suits(&self, answer: &(impl Fields + ?Sized), query: Option<&str>) -> bool {
        NoVarySearch::read(answer)
            .is_some_and(|variance| variance.are_equivalent(self.query.as_deref(), query))
    }
}

impl<K: PartialEq> Alikes<K> {
    /// Remembers an answer, in place of what was known of its key.
    pub fn remember(&mut self, alike: Alike<K>) {
        self.0.retain(|other| other.key != alike.key);
        let surplus = (self.0.len() + 1).saturating_sub(QUERIES_MAX);
        self.0.drain(..surplus);
        self.0.push(alike);
    }

    /// The answers that may suit `query`, the latest first: see [`Alike::suits`].
    pub fn suiting<'a>(&'a self, query: Option<&'a str>) -> impl Iterator<Item = &'a Alike<K>> {
        let suits =
            move |alike: &&Alike<K>| alike.variance.are_equivalent(alike.query.as_deref(), query);
        self.0.iter().rev().filter(suits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 1] = [("no-vary-search", "except=()")];

    fn found(alikes: &Alikes<usize>, query: &str) -> Vec<usize> {
        alikes.suiting(Some(query)).map(|alike| alike.key).collect()
    }

    #[test]
    fn the_latest_comes_first_and_the_oldest_is_forgotten() {
        let mut alikes = Alikes::default();
        for key in 0..=QUERIES_MAX {
            alikes.remember(Alike::of(key, Some("a=1"), &ALL).unwrap());
        }
        let keys = found(&alikes, "b=2");
        assert_eq!((keys.len(), keys[0], keys[15]), (QUERIES_MAX, QUERIES_MAX, 1));
        alikes.remember(Alike::of(3, Some("a=1"), &ALL).unwrap());
        assert_eq!(found(&alikes, "b=2")[..2], [3, QUERIES_MAX]);
    }

    #[test]
    fn what_lies_there_by_now_has_the_last_word() {
        let alike = Alike::of((), Some("a=1"), &ALL).unwrap();
        assert!(alike.suits(&ALL, Some("a=2")));
        let other = [("no-vary-search", "params=(\"b\")")];
        assert!(!alike.suits(&other, Some("a=2")) && alike.suits(&other, Some("a=1&b=2")));
        let none: [(&str, &str); 0] = [];
        assert!(!alike.suits(&none, Some("a=2")));
        assert_eq!(Alike::of((), Some("a=1"), &none), None);
    }
}
