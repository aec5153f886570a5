//! Limits that all shims share: their states live in Redis (R5, R8).
//!
//! Each decision is one round trip. A script on the server reads the state of a client, writes
//! the next one and answers what it knew and what time it was there; the core decides from these,
//! so that there is no second notation of verdicts. A client that was refused is remembered here
//! until its time is up, and of a lease (`lease`) requests are spent here: neither asks Redis.
//!
//! Whatever goes wrong is [`StoreFailed`], within the time-out of the policy. After a few failures
//! in a row nobody asks until a probe has found the server well again.

mod address;
mod breaker;
mod cluster;
mod denied;
mod digest;
mod failure;
mod keeper;
mod leases;
mod link;
mod script;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use address::{Address, BadAddress};
use arc_swap::ArcSwapOption;
use breaker::{Breaker, Breakers};
use denied::Denied;
use digest::Digest;
use failure::{Failure, Nonsense};
use leases::{Leases, Permit};
use link::Link;
pub use script::Clock;
use script::{Known, Script};
use tidegate_core::Timestamp;
use tidegate_core::policy::Redis;
use tidegate_core::rate::{Admission, Lease, Limit, LimitKey, Numbers, StoreFailed};
use tokio::sync::{Notify, watch};

/// Limits in one Redis, or in one cluster of them.
#[derive(Debug)]
pub struct RedisLimiter(Arc<Inner>);

/// What the requests and the keeper of the connection share.
#[derive(Debug)]
struct Inner {
    rule: Redis,
    address: Address,
    script: Script,
    link: ArcSwapOption<Link>,
    breakers: Breakers,
    denied: Denied,
    leases: Arc<Leases>,
    nonsense: Nonsense,
    started: Instant,
    counts: Counts,
    /// Wakes the keeper.
    look: Notify,
    stop: watch::Sender<bool>,
    /// The first attempt to connect is over.
    tried: watch::Sender<bool>,
}

/// What was done so far.
#[derive(Debug, Default)]
struct Counts {
    round_trips: AtomicU64,
    failed: AtomicU64,
    without: AtomicU64,
}

/// What was done since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Questions to Redis.
    pub round_trips: u64,
    /// Those that failed.
    pub failed: u64,
    /// Decisions that Redis was not asked for, because it did not answer before.
    pub without: u64,
    /// Whether Redis, or a part of the cluster, is not asked at the moment.
    pub is_open: bool,
}

impl RedisLimiter {
    /// Connects to the Redis of `rule`, in the background and for ever; `environment` answers for
    /// its URL.
    ///
    /// # Errors
    /// If the variable holds no URL of Redis, or no thread can be started.
    pub fn open(
        rule: &Redis,
        environment: &dyn Fn(&str) -> Option<String>,
        clock: Clock,
    ) -> Result<Self, BadAddress> {
        let address = Address::read(&rule.url, environment)?;
        let inner = Arc::new(Inner {
            rule: rule.clone(),
            script: Script::new(clock),
            link: ArcSwapOption::empty(),
            breakers: Breakers::open(address.is_cluster()),
            denied: Denied::default(),
            leases: Arc::default(),
            nonsense: Nonsense::default(),
            started: Instant::now(),
            counts: Counts::default(),
            look: Notify::new(),
            stop: watch::Sender::new(false),
            tried: watch::Sender::new(false),
            address,
        });
        keeper::start(Arc::clone(&inner))
            .map_err(|error| BadAddress::no_thread(&rule.url, &error))?;
        Ok(Self(inner))
    }

    /// The limits in the Redis of `rule`, whose URL is in the environment of this process, when
    /// the first attempt to connect is over: without a connection, too, requests can go on.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn from_environment(rule: &Redis) -> Result<Arc<Self>, BadAddress> {
        let limiter = Self::open(rule, &|name| std::env::var(name).ok(), Clock::Server)?;
        limiter.tried().await;
        Ok(Arc::new(limiter))
    }

    /// Waits until the first attempt to connect is over, well or not.
    pub async fn tried(&self) {
        // Who sends is `self`.
        let _ = self.0.tried.subscribe().wait_for(|tried| *tried).await;
    }

    /// Whether this is what `rule` asks for.
    pub fn suits(&self, rule: &Redis) -> bool {
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
        let (digest, at) = (Digest::of(key), inner.started.elapsed());
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
            self.0.denied.still(Digest::of(key), &numbers, self.0.started.elapsed()).is_some()
        };
        Numbers::of(limit).is_some_and(still)
    }

    /// Forgets the client `key`, in Redis and here; whether anything was known of it. Other shims
    /// that have refused it remember that until its time is up, unless they are told as well.
    ///
    /// # Errors
    /// If Redis does not answer; then it is forgotten nowhere.
    pub async fn forget(&self, key: &LimitKey) -> Result<bool, StoreFailed> {
        let (inner, digest) = (&*self.0, Digest::of(key));
        let link = inner.link.load_full().ok_or(StoreFailed)?;
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
        let counts = &self.0.counts;
        Counted {
            round_trips: counts.round_trips.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            without: counts.without.load(Ordering::Relaxed),
            is_open: self.0.breakers.any_open(),
        }
    }
}

impl Drop for RedisLimiter {
    fn drop(&mut self) {
        self.0.stop.send_replace(true);
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
            && self.script.clock() == Clock::Server
        {
            let Question { digest, numbers, at, .. } = question;
            self.denied.remember(*digest, numbers, *at, retry_after);
        }
        admission
    }

    /// One round trip, unless Redis is known not to answer.
    async fn ask(&self, question: &Question, take: u32) -> Result<Known, StoreFailed> {
        let Question { digest, numbers, now, .. } = question;
        let breaker = self.breakers.of(*digest);
        let link = if breaker.is_open() { None } else { self.link.load_full() };
        let Some(link) = link else {
            self.counts.without.fetch_add(1, Ordering::Relaxed);
            return Err(StoreFailed);
        };
        self.counts.round_trips.fetch_add(1, Ordering::Relaxed);
        let key = digest.key(&self.rule.prefix);
        let asked = self.script.ask(&link, *digest, &key, numbers, take, *now);
        let answer = match tokio::time::timeout(self.rule.timeout, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::TimedOut(self.rule.timeout)),
        };
        if link.has_moved() {
            self.look.notify_one();
        }
        match answer {
            Ok(known) => {
                breaker.succeeded();
                Ok(known)
            }
            Err(failure) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                self.note(failure, breaker, &link, &key);
                Err(StoreFailed)
            }
        }
    }

    /// Whether the keeper is to look after the server.
    fn is_to_look(&self) -> bool {
        self.breakers.any_open() || self.link.load().as_ref().is_none_or(|link| link.has_moved())
    }

    /// What a failure means for the requests to come.
    fn note(&self, failure: Failure, breaker: &Breaker, link: &Arc<Link>, key: &str) {
        if failure.is_of_one_key() {
            // Nobody else is worse off, and nobody waits for it.
            self.nonsense.complain(&failure, key);
            return;
        }
        // What failed on a connection from before says nothing of the one of now. A cluster keeps
        // those of its connections that are well.
        let is_current = || self.link.load().as_ref().is_some_and(|now| Arc::ptr_eq(now, link));
        if (matches!(**link, Link::Cluster(_)) || is_current())
            && breaker.failed(failure.breaks(link))
        {
            self.breakers.note(failure);
            self.look.notify_one();
        }
    }

    /// How many decisions were made without Redis.
    fn missed(&self) -> u64 {
        let Counts { failed, without, .. } = &self.counts;
        failed.load(Ordering::Relaxed) + without.load(Ordering::Relaxed)
    }
}

/// How long a connection may take that no request waits for.
const PATIENCE: Duration = Duration::from_secs(1);
