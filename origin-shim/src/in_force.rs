//! What is in force: a policy, and what was made of it.

use std::sync::Arc;

use tidegate_core::policy::{IdentityRule, Overrides, Redis, Upstream};
use tidegate_core::rate::{Limit, OnStoreError, OriginStore, StoreFailed};
use tidegate_core::{Admission, LimitKey, Plan, Policy, Timestamp};

use crate::clock;
use crate::limiter::Limiter;
use crate::redis_limiter::RedisLimiter;
use crate::tokens::Tokens;
use crate::zones::Zones;

/// A policy and what goes with it. Never changed, only replaced: a request keeps what was in
/// force when it began.
#[derive(Debug)]
pub struct InForce {
    /// The policy as its file says it.
    pub file: Arc<Policy>,
    /// The policy that requests go by: the file's, with the overrides of its time.
    pub policy: Policy,
    /// Whose tokens are.
    pub tokens: Arc<Tokens>,
    /// Where answers are stored.
    pub answers: Zones,
    /// Who has asked how often.
    pub limiter: Limiter,
    /// The same, for all shims together.
    pub redis: Option<Arc<RedisLimiter>>,
}

impl InForce {
    /// The begin: nothing is stored or counted yet.
    pub fn new(file: Policy, tokens: Tokens, redis: Option<Arc<RedisLimiter>>) -> Self {
        let (answers, limiter) = (Zones::new(&file), Limiter::new(&file.model().limits));
        let (policy, tokens) = (file.clone(), Arc::new(tokens));
        Self { file: Arc::new(file), policy, tokens, answers, limiter, redis }
    }

    /// What follows when the file is another: what is stored stays where its zone does, what
    /// is counted where its limit does, and `tokens` and `redis` are those of
    /// [`Self::tokens_for`] and [`Self::redis_for`], or others.
    pub fn with_file(
        &self,
        file: Policy,
        tokens: Arc<Tokens>,
        redis: Option<Arc<RedisLimiter>>,
    ) -> Self {
        let (answers, policy) = (self.answers.succeed(&file), file.clone());
        let limiter = self.limiter.succeed(&policy.model().limits, clock::now());
        Self { file: Arc::new(file), policy, tokens, answers, limiter, redis }
    }

    /// What follows when overrides are others.
    pub fn with_overrides(&self, overrides: &Overrides, now: Timestamp) -> Self {
        let policy = self.file.with(overrides, now);
        Self {
            file: Arc::clone(&self.file),
            limiter: self.limiter.succeed(&policy.model().limits, now),
            redis: self.redis.clone(),
            policy,
            tokens: Arc::clone(&self.tokens),
            answers: self.answers.succeed(&self.file),
        }
    }

    /// The checks of tokens, if `rule` wants the same: they know keys and good tokens.
    pub fn tokens_for(&self, rule: &IdentityRule) -> Option<Arc<Tokens>> {
        let same = self.policy.model().identity.jwt == rule.jwt;
        same.then(|| Arc::clone(&self.tokens))
    }

    /// The limits in Redis, if `rule` wants the same one: they are connected to it.
    pub fn redis_for(&self, rule: &Redis) -> Option<Arc<RedisLimiter>> {
        self.redis.as_ref().filter(|redis| redis.suits(rule)).map(Arc::clone)
    }

    /// Counts one request of the client `key` where `limit` is counted, or says that this place
    /// failed where the policy does not count locally then.
    pub async fn count(
        &self,
        limit: &Limit,
        key: &LimitKey,
        now: Timestamp,
    ) -> Result<Admission, StoreFailed> {
        let Some(redis) = self.redis.as_ref().filter(|_| limit.stores.origin == OriginStore::Redis)
        else {
            return Ok(self.limiter.admit(limit, key, now));
        };
        match redis.admit(limit, key, now).await {
            Err(StoreFailed) if limit.stores.on_error == OnStoreError::Local => {
                Ok(self.limiter.admit(limit, key, now))
            }
            said => said,
        }
    }

    /// Where the route of `plan` is fetched from.
    pub fn upstream_of(&self, plan: &Plan<'_>) -> Option<&Upstream> {
        let name = plan.route?.upstream.as_ref()?;
        self.policy.model().upstreams.get(name)
    }
}
