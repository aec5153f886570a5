//! Stored answers, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_core::headers::vary::{VariantSignature, Vary};
use tidegate_core::invalidate::{Resource, Tag};
use tidegate_core::{CacheKey, Lookup, Stored};

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
pub(crate) struct Store(HashMap<CacheKey, Vec<Arc<Answer>>>);

impl Store {
    /// The most recent answer that suits a request with these fields (RFC 9111 §4.1).
    pub(crate) fn find(&self, key: &CacheKey, request: &Head) -> Lookup<Arc<Answer>> {
        let Some(variants) = self.0.get(key).filter(|variants| !variants.is_empty()) else {
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
        let variants = self.0.get(key).into_iter().flatten();
        let others = variants.filter(|answer| {
            !Arc::ptr_eq(answer, chosen) && answer.vary.suits(&answer.signature, request)
        });
        others.chain([chosen]).cloned().collect()
    }

    /// Stores an answer in place of the one that the same request fields chose.
    pub(crate) fn put(&mut self, key: CacheKey, answer: Answer) {
        let variants = self.0.entry(key).or_default();
        let is_other = |other: &Arc<Answer>| {
            (&other.vary, &other.signature) != (&answer.vary, &answer.signature)
        };
        variants.retain(is_other);
        variants.push(Arc::new(answer));
    }

    /// Stores an answer in place of `old`, of which it is the successor: it may be chosen by other
    /// request fields than that.
    pub(crate) fn replace(&mut self, key: CacheKey, old: &Answer, answer: Answer) {
        if let Some(variants) = self.0.get_mut(&key) {
            variants.retain(|other| !core::ptr::eq(&**other, old));
        }
        self.put(key, answer);
    }

    pub(crate) fn remove(&mut self, key: &CacheKey) {
        self.0.remove(key);
    }

    /// Drops the answers for these resources, and those with one of these tags.
    pub(crate) fn invalidate(&mut self, resources: &[Resource], tags: &[Tag]) {
        let falls = |answer: &Answer| {
            resources.contains(&answer.resource) || answer.tags.iter().any(|tag| tags.contains(tag))
        };
        for variants in self.0.values_mut() {
            variants.retain(|answer| !falls(answer));
        }
    }
}

impl tidegate_core::reuse::Answer for Answer {
    fn stored(&self) -> &Stored {
        &self.stored
    }
}
