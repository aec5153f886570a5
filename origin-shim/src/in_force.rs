//! What is in force: a policy, and what was made of it.

use std::path::Path;
use std::sync::Arc;

use tidegate_core::policy::{CacheRedis, IdentityRule, Overrides, Redis};
use tidegate_core::rate::{Limit, OnStoreError, OriginStore, StoreFailed};
use tidegate_core::{Admission, LimitKey, Policy, Timestamp};

use crate::clock;
use crate::edge_outbox::Outbox;
use crate::edge_signature::EdgeSignature;
use crate::invalidations::Void;
use crate::limiter::Limiter;
use crate::metrics::Metrics;
use crate::origin::Folders;
use crate::policy_fields::PolicyFields;
use crate::redis_limiter::RedisLimiter;
use crate::redis_link::Counted;
use crate::second_tier::SecondTier;
use crate::shadows::Shadows;
use crate::tallies::Tallies;
use crate::tokens::Tokens;
use crate::upstream::Upstreams;
use crate::zones::Zones;

/// A policy and what goes with it. Never changed, only replaced: a request keeps what was in
/// force when it began.
#[derive(Debug)]
pub struct InForce {
    /// The policy as its file says it.
    pub file: Arc<Policy>,
    /// The policy that requests go by: the file's, with the overrides of its time.
    pub policy: Policy,
    /// Whether the edge has sent a request.
    pub edge: Arc<EdgeSignature>,
    /// Whose tokens are.
    pub tokens: Arc<Tokens>,
    /// The servers that are asked.
    pub upstreams: Upstreams,
    /// The folders that are in place of servers.
    pub folders: Folders,
    /// Where answers are stored in memory.
    pub answers: Zones,
    /// The store behind that, which all shims share.
    pub second_tier: Option<Arc<SecondTier>>,
    /// Who has asked how often.
    pub limiter: Limiter,
    /// The same, for all shims together.
    pub redis: Option<Arc<RedisLimiter>>,
    /// How often each limit has said what.
    pub tallies: Tallies,
    /// What became of requests.
    pub metrics: Metrics,
    /// What is invalidated here and has to be told to the edge.
    pub outbox: Arc<Outbox>,
    /// What caches would do that only watch.
    pub shadows: Arc<Shadows>,
    /// What answers say because the policy does.
    pub(crate) fields: PolicyFields,
}

impl InForce {
    /// The begin: nothing is stored or counted yet. Folders are `beside` the policy's file.
    pub fn new(
        (file, beside): (Policy, &Path),
        edge: EdgeSignature,
        tokens: Tokens,
        redis: Option<Arc<RedisLimiter>>,
        (answers, second_tier): (Zones, Option<Arc<SecondTier>>),
    ) -> Self {
        let limiter = Limiter::new(&file.model().limits);
        let tallies = Tallies::new(&file.model().limits);
        let metrics = Metrics::new(&file);
        let (policy, edge, tokens) = (file.clone(), Arc::new(edge), Arc::new(tokens));
        let (outbox, shadows) = (Arc::default(), Arc::default());
        let upstreams = Upstreams::new(&file);
        let folders = Folders::new(&file, beside);
        let file = Arc::new(file);
        Self {
            fields: PolicyFields::of(&policy),
            file,
            policy,
            edge,
            tokens,
            upstreams,
            folders,
            answers,
            second_tier,
            limiter,
            redis,
            tallies,
            metrics,
            outbox,
            shadows,
        }
    }

    /// What follows when the file is another: what is stored stays where its zone does, what
    /// is counted where its limit does, `edge` is that of [`EdgeSignature::succeed`], and `tokens`
    /// `redis` and `second_tier` are those of [`Self::tokens_for`], [`Self::redis_for`] and
    /// [`Self::second_tier_for`], or others.
    pub fn with_file(
        &self,
        file: Policy,
        edge: EdgeSignature,
        tokens: Arc<Tokens>,
        redis: Option<Arc<RedisLimiter>>,
        second_tier: Option<Arc<SecondTier>>,
    ) -> Self {
        let (answers, policy) = (self.answers.succeed(&file), file.clone());
        let limiter = self.limiter.succeed(&policy.model().limits, clock::now());
        let tallies = self.tallies.succeed(&policy.model().limits);
        let metrics = self.metrics.succeed(&policy);
        let (upstreams, folders) = (self.upstreams.succeed(&file), self.folders.succeed(&file));
        let (file, edge) = (Arc::new(file), Arc::new(edge));
        let (outbox, shadows) = (Arc::clone(&self.outbox), Arc::clone(&self.shadows));
        Self {
            fields: PolicyFields::of(&policy),
            file,
            policy,
            edge,
            tokens,
            upstreams,
            folders,
            answers,
            second_tier,
            limiter,
            redis,
            tallies,
            metrics,
            outbox,
            shadows,
        }
    }

    /// What follows when overrides are others.
    pub fn with_overrides(&self, overrides: &Overrides, now: Timestamp) -> Self {
        let policy = self.file.with(overrides, now);
        Self {
            fields: PolicyFields::of(&policy),
            file: Arc::clone(&self.file),
            limiter: self.limiter.succeed(&policy.model().limits, now),
            redis: self.redis.clone(),
            tallies: self.tallies.succeed(&policy.model().limits),
            metrics: self.metrics.succeed(&self.file),
            policy,
            edge: Arc::clone(&self.edge),
            tokens: Arc::clone(&self.tokens),
            upstreams: self.upstreams.clone(),
            folders: self.folders.clone(),
            answers: self.answers.succeed(&self.file),
            second_tier: self.second_tier.clone(),
            outbox: Arc::clone(&self.outbox),
            shadows: Arc::clone(&self.shadows),
        }
    }

    /// How Redis does, by what it is used for.
    pub fn redis_counted(&self) -> impl Iterator<Item = (&'static str, Counted)> {
        let limits = self.redis.as_ref().map(|redis| ("limits", redis.counted()));
        let answers = self.second_tier.as_ref().map(|tier| ("answers", tier.done().redis));
        limits.into_iter().chain(answers)
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

    /// The store behind the memory, if `rule` wants the same one: it is connected to it.
    pub fn second_tier_for(&self, rule: &CacheRedis) -> Option<Arc<SecondTier>> {
        self.second_tier.as_ref().filter(|tier| tier.suits(rule)).map(Arc::clone)
    }

    /// Invalidates what has begun to be answered: here at once, in other shims soon.
    pub fn invalidate(&self, voids: Vec<Void>) {
        match &self.second_tier {
            Some(tier) => {
                // Who looks into Redis in between finds it void by one or the other.
                tier.tell(voids.clone());
                self.answers.invalidate(&voids);
            }
            None => self.answers.invalidate(&voids),
        }
    }

    /// Counts one request of the client `key` where `limit` is counted, or says that this place
    /// failed where the policy does not count locally then.
    pub async fn count(
        &self,
        limit: &Limit,
        key: &LimitKey,
        now: Timestamp,
    ) -> Result<Admission, StoreFailed> {
        let said = self.ask(limit, key, now).await;
        self.tallies.count(limit, &said);
        said
    }

    async fn ask(
        &self,
        limit: &Limit,
        key: &LimitKey,
        now: Timestamp,
    ) -> Result<Admission, StoreFailed> {
        let Some(redis) = self.redis_of(limit) else {
            return Ok(self.limiter.admit(limit, key, now));
        };
        let said = redis.admit(limit, key, now).await;
        match said {
            Err(StoreFailed) => {
                self.tallies.count_failure(limit);
                if limit.stores.on_error == OnStoreError::Local {
                    return Ok(self.limiter.admit(limit, key, now));
                }
            }
            // So that blocks hold if Redis fails, and can be listed.
            Ok(Admission::Deny { retry_after, .. }) if limit.refusing_blocks() => {
                self.limiter.note_block(limit, key, now + retry_after, now);
            }
            Ok(_) => {}
        }
        said
    }

    /// Forgets what the client of this name has used up under `limit`; whether anything was
    /// known of it.
    ///
    /// # Errors
    /// If it is counted in Redis, and that does not answer.
    pub async fn unblock(&self, limit: &Limit, client: &str) -> Result<bool, StoreFailed> {
        let Some(redis) = self.redis_of(limit) else {
            return Ok(self.limiter.unblock(&limit.name, client));
        };
        // Who has no name there would stay blocked there.
        let Some(key) = LimitKey::parse(&limit.name, client) else { return Ok(false) };
        let was_known = redis.forget(&key).await?;
        Ok(self.limiter.unblock(&limit.name, client) || was_known)
    }

    /// Whether `limit` refuses the client `key` at `now`, as far as the memory of this process
    /// can tell. Counts nothing.
    pub fn refuses(&self, limit: &Limit, key: &LimitKey, now: Timestamp) -> bool {
        !limit.dry_run
            && match self.redis_of(limit) {
                Some(redis) => redis.refuses(limit, key),
                None => self.limiter.refuses(limit, key, now),
            }
    }

    /// Whether `limit` is counted in memory, so that counting cannot fail.
    pub fn counts_in_memory(&self, limit: &Limit) -> bool {
        self.redis_of(limit).is_none()
    }

    fn redis_of(&self, limit: &Limit) -> Option<&Arc<RedisLimiter>> {
        self.redis.as_ref().filter(|_| limit.stores.origin == OriginStore::Redis)
    }
}
