//! The stores of an answer: the memory of this process, and behind it Redis, if there is one.

use std::sync::Arc;

use tidegate_core::{CacheKey, Timestamp};

use crate::answer_store::{Answer, AnswerStore};
use crate::second_tier::SecondTier;

/// Where the answers of a route are stored.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Where all are that serve.
    pub memory: Arc<AnswerStore>,
    /// Where other shims find them.
    pub redis: Option<Arc<SecondTier>>,
}

impl Stores {
    /// Stores an answer in place of the one that the same request fields chose.
    pub fn put(&self, key: CacheKey, answer: Answer, now: Timestamp) {
        let Some(redis) = &self.redis else { return drop(self.memory.put(key, answer, now)) };
        let answer = self.memory.put(key.clone(), answer, now);
        redis.keep(&key, &answer);
    }

    /// Stores an answer in place of `old`, whose successor it is.
    pub fn replace(&self, key: CacheKey, old: &Answer, answer: Answer, now: Timestamp) {
        let Some(redis) = &self.redis else {
            return drop(self.memory.replace(key, old, answer, now));
        };
        let answer = self.memory.replace(key.clone(), old, answer, now);
        redis.keep(&key, &answer);
    }

    /// Forgets an answer, and in memory all its variants.
    pub fn remove(&self, key: &CacheKey, answer: &Answer) {
        self.memory.remove(key);
        if let Some(redis) = &self.redis {
            redis.forget(key, answer);
        }
    }
}
