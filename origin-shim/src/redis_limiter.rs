//! Limits that all shims share: their states live in Redis (R5, R8).
//!
//! Each decision is one round trip. A script on the server reads the state of a client, writes
//! the next one and answers what it knew and what time it was there; the core decides from these,
//! so that there is no second notation of verdicts. A client that was refused is remembered here
//! until its time is up, and of a lease (`lease`) requests are spent here: neither asks Redis.
//!
//! Whatever goes wrong is [`StoreFailed`], within the time-out of the policy. After a few failures
//! in a row nobody asks until a probe has found the server well again.

mod denied;
mod leases;
mod nonsense;
mod script;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use denied::Denied;
use leases::{Leases, Permit};
use nonsense::Nonsense;
pub use script::Clock;
use script::{Known, Script};
use tidegate_core::Timestamp;
use tidegate_core::policy::Redis as Rule;
use tidegate_core::rate::{Admission, Lease, Limit, LimitKey, Numbers, StoreFailed};

use crate::redis_link::{
    Address, BadAddress, Counted, Digest, Failure, Link, PATIENCE, Purpose, Redis,
};

/// Limits in one Redis, or in one cluster of them.
#[derive(Debug)]
pub struct RedisLimiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rule: Rule,
    redis: Redis<Limits>,
    denied: Denied,
    leases: Arc<Leases>,
    nonsense: Nonsense,
    started: Instant,
}

/// To count by.
#[derive(Debug)]
struct Limits {
    script: Script,
    prefix: String,
}

impl RedisLimiter {
    /// Connects to the Redis of `rule`, in the background and for ever; `environment` answers for
    /// its URL.
    ///
    /// # Errors
    /// If the variable holds no URL of Redis, or no thread can be started.
    pub fn open(
        rule: &Rule,
        environment: &dyn Fn(&str) -> Option<String>,
        clock: Clock,
    ) -> Result<Self, BadAddress> {
        let address = Address::read(&rule.url, environment)?;
        let limits = Limits { script: Script::new(clock), prefix: rule.prefix.clone() };
        let redis = Redis::open(address, rule.timeout, limits)
            .map_err(|error| BadAddress::no_thread(&rule.url, &error))?;
        Ok(Self(Arc::new(Inner {
            rule: rule.clone(),
            redis,
            denied: Denied::default(),
            leases: Arc::default(),
            nonsense: Nonsense::default(),
            started: Instant::now(),
        })))
    }

    /// The limits in the Redis of `rule`, whose URL is in the environment of this process, when
    /// the first attempt to connect is over: without a connection, too, requests can go on.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn from_environment(rule: &Rule) -> Result<Arc<Self>, BadAddress> {
        let limiter = Self::open(rule, &|name| std::env::var(name).ok(), Clock::Server)?;
        limiter.tried().await;
        Ok(Arc::new(limiter))
    }

    /// Waits until the first attempt to connect is over, well or not.
    pub async fn tried(&self) {
        self.0.redis.tried().await;
    }

    /// Whether this is what `rule` asks for.
    pub fn suits(&self, rule: &Rule) -> bool {
        self.0.rule == *rule
    }

    /// Decides on one request of the client `key`, at `now` by the clock of this machine.
    ///
    /// # Errors
    /// If Redis does not answer in time, or not with sense.
    pub async fn admit(
        &self,
        limit: &Limit,
        key: &LimitKey,
        now: Timestamp,
    ) -> Result<Admission, StoreFailed> {
        let inner = &self.0;
        // A limit without numbers is refused where the policy is read.
        let numbers = Numbers::of(limit).ok_or(StoreFailed)?;
        let (digest, at) = (Digest::of(key.as_bytes()), inner.started.elapsed());
        if let Some(retry_after) = inner.denied.still(digest, &numbers, at) {
            return Ok(Admission::still_denied(retry_after, now));
        }
        let question = Question { digest, numbers, at, now };
        let Some(take) = limit.lease else { return inner.decide(limit, &question).await };
        match inner.leases.spend(limit, digest, at) {
            Ok(admission) => Ok(admission),
            Err(None) => inner.decide(limit, &question).await,
            Err(Some(permit)) => {
                // On a task of its own: what is lent is kept, also if this client leaves.
                let (inner, limit) = (Arc::clone(inner), limit.clone());
                let asked =
                    tokio::spawn(
                        async move { inner.borrow(&limit, &question, permit, take).await },
                    );
                asked.await.unwrap_or(Err(StoreFailed))
            }
        }
    }

    /// Whether the client `key` was refused under `limit`, and its time is not up.
    pub fn refuses(&self, limit: &Limit, key: &LimitKey) -> bool {
        let still = |numbers| {
            self.0
                .denied
                .still(Digest::of(key.as_bytes()), &numbers, self.0.started.elapsed())
                .is_some()
        };
        Numbers::of(limit).is_some_and(still)
    }

    /// Forgets the client `key`, in Redis and here; whether anything was known of it. Other shims
    /// that have refused it remember that until its time is up, unless they are told as well.
    ///
    /// # Errors
    /// If Redis does not answer; then it is forgotten nowhere.
    pub async fn forget(&self, key: &LimitKey) -> Result<bool, StoreFailed> {
        let (inner, digest) = (&*self.0, Digest::of(key.as_bytes()));
        let link = inner.redis.link().ok_or(StoreFailed)?;
        let mut delete = redis::cmd("DEL");
        delete.arg(digest.key(&inner.rule.prefix));
        let answer = tokio::time::timeout(PATIENCE, link.ask(digest, &delete)).await;
        let Ok(Ok(redis::Value::Int(deleted))) = answer else { return Err(StoreFailed) };
        let was_denied = inner.denied.forget(digest);
        let had_lease = inner.leases.forget(digest);
        Ok(deleted > 0 || was_denied || had_lease)
    }

    /// What was done so far.
    pub fn counted(&self) -> Counted {
        self.0.redis.counted()
    }
}

/// What Redis is asked, and when.
#[derive(Clone, Copy, Debug)]
struct Question {
    digest: Digest,
    numbers: Numbers,
    /// Since the start of this process.
    at: Duration,
    /// By the clock of this machine.
    now: Timestamp,
}

impl Inner {
    /// Decides on one request, by one round trip.
    async fn decide(&self, limit: &Limit, question: &Question) -> Result<Admission, StoreFailed> {
        let known = self.ask(question, 1).await?;
        Ok(self.conclude(limit, question, known))
    }

    /// The same, and keeps what of `take` requests is left.
    async fn borrow(
        &self,
        limit: &Limit,
        question: &Question,
        permit: Permit,
        take: NonZeroU32,
    ) -> Result<Admission, StoreFailed> {
        let known = self.ask(question, take.get()).await?;
        let lease = Lease::taken(limit, take, known.state, known.now);
        permit.keep(lease, known.now, question.at);
        Ok(self.conclude(limit, question, known))
    }

    fn conclude(&self, limit: &Limit, question: &Question, known: Known) -> Admission {
        let admission = Admission::decide(limit, known.state, known.now);
        if let Admission::Deny { retry_after, .. } = admission
            && self.redis.purpose().script.clock() == Clock::Server
        {
            let Question { digest, numbers, at, .. } = question;
            self.denied.remember(*digest, numbers, *at, retry_after);
        }
        admission
    }

    /// One round trip, unless Redis is known not to answer.
    async fn ask(&self, question: &Question, take: u32) -> Result<Known, StoreFailed> {
        let Question { digest, numbers, now, .. } = question;
        let key = digest.key(&self.rule.prefix);
        let script = &self.redis.purpose().script;
        let asked = self
            .redis
            .ask(*digest, async |link| script.ask(link, *digest, &key, numbers, take, *now).await);
        match asked.await {
            Ok(known) => known.ok_or(StoreFailed),
            Err(failure) => {
                self.nonsense.complain(&failure, &key);
                Err(StoreFailed)
            }
        }
    }
}

impl Purpose for Limits {
    const NAME: &'static str = "Redis";
    const WITHOUT: &'static str = "limits go by their `on_store_error`";
    const MISSED: &'static str = "decisions were made";
    const EVICTION: Option<&'static str> = Some("blocks and counts with them");

    /// By the decision on a client that nobody is and whose state is gone at once.
    async fn probe(&self, link: &Link, digest: Digest) -> Result<(), Failure> {
        let limit = Limit::new("", NonZeroU32::MIN, Duration::from_millis(1));
        let numbers = Numbers::of(&limit).ok_or(Failure::Nonsense)?;
        let key = digest.key(&self.prefix);
        self.script.ask(link, digest, &key, &numbers, 1, Timestamp::EPOCH).await.map(drop)
    }
}
