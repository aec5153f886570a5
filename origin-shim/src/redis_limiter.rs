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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub use address::{Address, BadAddress};
use arc_swap::ArcSwapOption;
use breaker::Breakers;
use denied::Denied;
use digest::Digest;
use failure::Failure;
use leases::Leases;
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
    leases: Leases,
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
            leases: Leases::default(),
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
        let inner = &*self.0;
        let digest = Digest::of(key);
        let at = inner.started.elapsed();
        if let Some(retry_after) = inner.denied.still(digest, at) {
            return Ok(Admission::still_denied(retry_after, now));
        }
        let permit = match limit.lease {
            Some(take) => match inner.leases.spend(limit, digest, at) {
                Ok(admission) => return Ok(admission),
                Err(permit) => permit.map(|permit| (permit, take)),
            },
            None => None,
        };
        let take = permit.as_ref().map_or(1, |(_, take)| take.get());
        let known = inner.ask(limit, digest, take, now).await.map_err(|()| StoreFailed)?;
        let admission = Admission::decide(limit, known.state, known.now);
        if let Some((permit, take)) = permit {
            let lease = Lease::taken(limit, take, known.state, known.now);
            permit.keep(lease, known.now, at);
        }
        if let Admission::Deny { retry_after, .. } = admission
            && inner.script.clock() == Clock::Server
        {
            inner.denied.remember(digest, at, retry_after);
        }
        Ok(admission)
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

impl Inner {
    /// One round trip, unless Redis is known not to answer.
    async fn ask(
        &self,
        limit: &Limit,
        digest: Digest,
        take: u32,
        now: Timestamp,
    ) -> Result<Known, ()> {
        let breaker = self.breakers.of(digest);
        let link = if breaker.is_open() { None } else { self.link.load_full() };
        // A limit without numbers is refused where the policy is read.
        let (Some(link), Some(numbers)) = (link, Numbers::of(limit)) else {
            self.counts.without.fetch_add(1, Ordering::Relaxed);
            return Err(());
        };
        self.counts.round_trips.fetch_add(1, Ordering::Relaxed);
        let key = digest.key(&self.rule.prefix);
        let question = self.script.ask(&link, digest, &key, &numbers, take, now);
        let answer = match tokio::time::timeout(self.rule.timeout, question).await {
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
                if breaker.failed(failure.breaks(&link)) {
                    self.breakers.note(failure);
                    self.look.notify_one();
                }
                Err(())
            }
        }
    }

    /// Whether the keeper is to look after the server.
    fn is_to_look(&self) -> bool {
        self.breakers.any_open() || self.link.load().as_ref().is_none_or(|link| link.has_moved())
    }

    /// How many decisions were made without Redis.
    fn missed(&self) -> u64 {
        let Counts { failed, without, .. } = &self.counts;
        failed.load(Ordering::Relaxed) + without.load(Ordering::Relaxed)
    }
}

/// How long a connection may take that no request waits for.
const PATIENCE: Duration = Duration::from_secs(1);
