//! Stored answers, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_core::alike::{Alike, Alikes};
use tidegate_core::headers::vary::{VariantSignature, Vary};
use tidegate_core::invalidate::{Resource, Tag};
use tidegate_core::{CacheKey, Lookup, Stored, Timestamp};

use crate::message::Head;

/// A stored answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) stored: Stored,
    pub(crate) head: Head,
    pub(crate) body: String,
    pub(crate) vary: Vary,
    pub(crate) signature: VariantSignature,
    pub(crate) resource: Resource,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    answers: HashMap<CacheKey, Vec<Arc<Answer>>>,
    /// By the keys without query.
    alike: HashMap<CacheKey, Alikes<CacheKey>>,
}

impl Store {
    /// The most recent answer that suits a request with these fields (RFC 9111 §4.1).
    pub(crate) fn find(&self, key: &CacheKey, request: &Head) -> Lookup<Arc<Answer>> {
        let Some(variants) = self.answers.get(key).filter(|variants| !variants.is_empty()) else {
            return Lookup::Nothing;
        };
        match variants.iter().rev().find(|answer| answer.vary.suits(&answer.signature, request)) {
            Some(answer) => Lookup::Found(Arc::clone(answer)),
            None => Lookup::OtherVariants,
        }
    }

    /// All answers that a request with these fields could have chosen, `chosen` last (§4.3.4).
    pub(crate) fn candidates(
        &self,
        key: &CacheKey,
        request: &Head,
        chosen: &Arc<Answer>,
    ) -> Vec<Arc<Answer>> {
        let variants = self.answers.get(key).into_iter().flatten();
        let others = variants.filter(|answer| {
            !Arc::ptr_eq(answer, chosen) && answer.vary.suits(&answer.signature, request)
        });
        others.chain([chosen]).cloned().collect()
    }

    /// A fresh answer to another query that the origin says makes no difference.
    pub(crate) fn find_alike(
        &self,
        path: &CacheKey,
        query: Option<&str>,
        request: &Head,
        now: Timestamp,
    ) -> Lookup<Arc<Answer>> {
        let known = self.alike.get(path).into_iter().flat_map(|known| known.suiting(query));
        let found = known.filter_map(|alike| match self.find(&alike.key, request) {
            Lookup::Found(answer) => alike.suits(&answer.head, query).then_some(answer),
            Lookup::Nothing | Lookup::OtherVariants => None,
        });
        let mut fresh = found.filter(|answer| answer.stored.fresh_for(now).is_some());
        fresh.next().map_or(Lookup::Nothing, Lookup::Found)
    }

    /// Remembers which queries an answer suits.
    pub(crate) fn remember_alike(&mut self, path: CacheKey, alike: Alike<CacheKey>) {
        self.alike.entry(path).or_default().remember(alike);
    }

    /// Stores an answer in place of the one that the same request fields chose.
    pub(crate) fn put(&mut self, key: CacheKey, answer: Answer) {
        let variants = self.answers.entry(key).or_default();
        let is_other = |other: &Arc<Answer>| {
            (&other.vary, &other.signature) != (&answer.vary, &answer.signature)
        };
        variants.retain(is_other);
        variants.push(Arc::new(answer));
    }

    /// Stores an answer in place of `old`, of which it is the successor: it may be chosen by other
    /// request fields than that.
    pub(crate) fn replace(&mut self, key: CacheKey, old: &Answer, answer: Answer) {
        if let Some(variants) = self.answers.get_mut(&key) {
            variants.retain(|other| !core::ptr::eq(&**other, old));
        }
        self.put(key, answer);
    }

    pub(crate) fn remove(&mut self, key: &CacheKey) {
        self.answers.remove(key);
    }

    /// Drops the answers for these resources, and those with one of these tags.
    pub(crate) fn invalidate(&mut self, resources: &[Resource], tags: &[Tag]) {
        let falls = |answer: &Answer| {
            resources.contains(&answer.resource) || answer.tags.iter().any(|tag| tags.contains(tag))
        };
        for variants in self.answers.values_mut() {
            variants.retain(|answer| !falls(answer));
        }
    }
}

impl tidegate_core::reuse::Answer for Answer {
    fn stored(&self) -> &Stored {
        &self.stored
    }
}
