//! A connection to Redis that is looked after, whatever it is asked for.
//!
//! Nobody waits for it longer than its time-out. After a few failures in a row nobody asks until
//! a probe has found the server well again. A thread of its own connects, probes, and says what
//! has changed.

mod address;
mod breaker;
mod cluster;
mod digest;
mod failure;
mod keeper;
mod link;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};

pub use address::{Address, BadAddress};
use breaker::{Breaker, Breakers};
pub(crate) use digest::Digest;
pub(crate) use failure::Failure;
pub(crate) use link::Link;

/// How long a connection may take that no request waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// What a Redis is for.
pub(crate) trait Purpose: Send + Sync + 'static {
    /// What it is called, at the begin of a sentence.
    const NAME: &'static str;
    /// What follows while it does not answer, as the end of a sentence.
    const WITHOUT: &'static str;
    /// What was done without it meanwhile, as a plural.
    const MISSED: &'static str;
    /// What is lost when it drops keys for room, as the end of a sentence; nothing that matters
    /// without it.
    const EVICTION: Option<&'static str>;

    /// Whether it does what it is for, by something that leaves no trace, where `digest` lives.
    fn probe(
        &self,
        link: &Link,
        digest: Digest,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// A Redis for one purpose, or a cluster of them. It is looked after until this is dropped.
#[derive(Debug)]
pub(crate) struct Redis<P: Purpose>(Arc<Inner<P>>);

/// What those who ask and the keeper share.
#[derive(Debug)]
struct Inner<P> {
    purpose: P,
    address: Address,
    timeout: Duration,
    link: ArcSwapOption<Link>,
    breakers: Breakers,
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
    /// Questions that were not asked, because Redis did not answer before.
    pub without: u64,
    /// Whether Redis, or a part of the cluster, is not asked at the moment.
    pub is_open: bool,
}

impl<P: Purpose> Redis<P> {
    /// Connects to `address`, in the background and for ever. Questions take `timeout` at most.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn open(address: Address, timeout: Duration, purpose: P) -> io::Result<Self> {
        let inner = Arc::new(Inner {
            purpose,
            timeout,
            link: ArcSwapOption::empty(),
            breakers: Breakers::open(address.is_cluster()),
            counts: Counts::default(),
            look: Notify::new(),
            stop: watch::Sender::new(false),
            tried: watch::Sender::new(false),
            address,
        });
        keeper::start(Arc::clone(&inner))?;
        Ok(Self(inner))
    }

    /// What it is for.
    pub(crate) fn purpose(&self) -> &P {
        &self.0.purpose
    }

    /// Waits until the first attempt to connect is over, well or not.
    pub(crate) async fn tried(&self) {
        // Who sends is `self`.
        let _ = self.0.tried.subscribe().wait_for(|tried| *tried).await;
    }

    /// Asks something where `digest` lives, unless Redis is known not to answer: then it is
    /// `None`, as for everything that goes wrong on the way.
    ///
    /// # Errors
    /// What is wrong with the key that was asked for, and with no other.
    pub(crate) async fn ask<T>(
        &self,
        digest: Digest,
        question: impl AsyncFnOnce(&Link) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let Inner { link, breakers, counts, timeout, look, .. } = &*self.0;
        let breaker = breakers.of(digest);
        let link = if breaker.is_open() { None } else { link.load_full() };
        let Some(link) = link else {
            counts.without.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        };
        counts.round_trips.fetch_add(1, Ordering::Relaxed);
        let answer = match tokio::time::timeout(*timeout, question(&link)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::TimedOut(*timeout)),
        };
        if link.has_moved() {
            look.notify_one();
        }
        match answer {
            Ok(answer) => {
                breaker.succeeded();
                Ok(Some(answer))
            }
            Err(failure) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                // Nobody else is worse off by what is wrong with one key.
                if failure.is_of_one_key() {
                    return Err(failure);
                }
                self.0.note(failure, breaker, &link);
                Ok(None)
            }
        }
    }

    /// The connection of now, for what no request waits for.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.0.link.load_full()
    }

    /// What was done so far.
    pub(crate) fn counted(&self) -> Counted {
        let counts = &self.0.counts;
        Counted {
            round_trips: counts.round_trips.load(Ordering::Relaxed),
            failed: counts.failed.load(Ordering::Relaxed),
            without: counts.without.load(Ordering::Relaxed),
            is_open: self.0.breakers.any_open(),
        }
    }
}

impl<P: Purpose> Drop for Redis<P> {
    fn drop(&mut self) {
        self.0.stop.send_replace(true);
    }
}

impl<P> Inner<P> {
    /// Whether the keeper is to look after the server.
    fn is_to_look(&self) -> bool {
        self.breakers.any_open() || self.link.load().as_ref().is_none_or(|link| link.has_moved())
    }

    /// What a failure means for the questions to come.
    fn note(&self, failure: Failure, breaker: &Breaker, link: &Arc<Link>) {
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

    /// How many questions got no answer.
    fn missed(&self) -> u64 {
        let Counts { failed, without, .. } = &self.counts;
        failed.load(Ordering::Relaxed) + without.load(Ordering::Relaxed)
    }
}
