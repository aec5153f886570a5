//! The store behind the memory of each shim: Redis, which all shims share (C9).
//!
//! A look costs one round trip, and no request waits for it longer than the policy says; writes go
//! behind the back of every request. What a shim invalidates the others hear of by a log there
//! within a second ([`log`](self)), and an answer comes out of Redis only if this shim knows all
//! of the log that could void it.

mod log;
mod record;
mod writes;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use log::{Heard, Log};
use redis::{Cmd, Value};
use ring::digest::{SHA256, digest};
use tidegate_core::headers::vary::VariantSignature;
use tidegate_core::policy::{CacheRedis, Terms};
use tidegate_core::{CacheKey, Timestamp};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};
use writes::{LANES, Write, Writes};

pub use record::{Name, Record, decode, encode};

use crate::answer_store::Answer;
use crate::clock;
use crate::coder::{CodedBodies, Coder};
use crate::invalidations::{Invalidations, Void};
use crate::process_log;
use crate::redis_link::{Address, BadAddress, Counted, Digest, Failure, Link, Purpose, Redis};

/// Between two looks at the log.
const EVERY: Duration = Duration::from_millis(250);
/// What is left to tell when the shim ends may take so long.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The first connection may take so long, before requests are taken.
const FIRST: Duration = Duration::from_secs(2);

/// Answers in one Redis, or in one cluster of them.
#[derive(Debug)]
pub struct SecondTier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rule: CacheRedis,
    redis: Redis<Answers>,
    log: Log,
    invalidations: Arc<Invalidations>,
    /// There is something to tell.
    news: Notify,
    writes: Writes,
    counts: Counts,
    /// What was in Redis and nobody can read was said.
    has_complained: AtomicBool,
    stop: watch::Sender<bool>,
    /// The log was heard, or Redis does not answer.
    tried: watch::Sender<bool>,
}

/// To keep answers in.
#[derive(Debug)]
struct Answers {
    prefix: String,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    void: AtomicU64,
    unreadable: AtomicU64,
    stored: AtomicU64,
}

/// What was done since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Answers that were found.
    pub hits: u64,
    /// Looks that found none.
    pub misses: u64,
    /// Answers that were found and are void.
    pub void: u64,
    /// What was found and is no answer.
    pub unreadable: u64,
    /// Answers that were written.
    pub stored: u64,
    /// Answers that were not written, because too much waited to be.
    pub dropped: u64,
    /// Whether what other shims invalidate is heard of.
    pub is_heard: bool,
    /// What Redis was asked.
    pub redis: Counted,
}

impl SecondTier {
    /// Connects to the Redis of `rule`, in the background and for ever; `environment` answers for
    /// its URL. What others invalidate is invalidated in `invalidations`, too.
    ///
    /// # Errors
    /// If the variable holds no URL of Redis, or no thread can be started.
    pub fn open(
        rule: &CacheRedis,
        environment: &dyn Fn(&str) -> Option<String>,
        invalidations: Arc<Invalidations>,
    ) -> Result<Self, BadAddress> {
        let address = Address::read(&rule.url, environment)?;
        let no_thread = |error: io::Error| BadAddress::no_thread(&rule.url, &error);
        let answers = Answers { prefix: rule.prefix.clone() };
        let redis = Redis::open(address, rule.timeout, answers).map_err(no_thread)?;
        let (writes, lanes) = Writes::new();
        let inner = Arc::new(Inner {
            rule: rule.clone(),
            redis,
            log: Log::new(&rule.prefix),
            invalidations,
            news: Notify::new(),
            writes,
            counts: Counts::default(),
            has_complained: AtomicBool::new(false),
            stop: watch::Sender::new(false),
            tried: watch::Sender::new(false),
        });
        start(Arc::clone(&inner), lanes).map_err(no_thread)?;
        Ok(Self(inner))
    }

    /// The store in the Redis of `rule`, whose URL is in the environment of this process, when it
    /// can be asked, or does not answer: without it, too, requests can go on.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn from_environment(
        rule: &CacheRedis,
        invalidations: Arc<Invalidations>,
    ) -> Result<Arc<Self>, BadAddress> {
        let tier = Self::open(rule, &|name| std::env::var(name).ok(), invalidations)?;
        // Who sends is `tier`.
        let _ = timeout(FIRST, tier.0.tried.subscribe().wait_for(|tried| *tried)).await;
        Ok(Arc::new(tier))
    }

    /// Whether this is what `rule` asks for.
    pub fn suits(&self, rule: &CacheRedis) -> bool {
        self.0.rule == *rule
    }

    /// The answer stored under these terms for a request with these fields, its codings to be made
    /// by `coder`; none if Redis does not answer in time.
    pub async fn find(
        &self,
        key: &CacheKey,
        terms: Terms,
        request: &HeaderMap,
        coder: Option<Arc<Coder>>,
    ) -> Option<Answer> {
        let Inner { rule, log, invalidations, counts, .. } = &*self.0;
        if !rule.answers || !log.is_heard() {
            return None;
        }
        // What is invalidated from now on voids it in memory.
        let began = invalidations.begin();
        let record = self.0.look(&Name::of(key, terms), request).await;
        let Some(record) = record else {
            counts.misses.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let Record { heard, stored, vary, signature, resource, tags, head, body } = record;
        if !log.vouches_for(&resource, &tags, heard) {
            counts.void.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        counts.hits.fetch_add(1, Ordering::Relaxed);
        Some(Answer {
            stored,
            head,
            body,
            coded: CodedBodies::default(),
            coder,
            resource,
            tags: tags.into(),
            terms,
            began: began.of_another(heard),
            vary,
            signature,
        })
    }

    /// Keeps an answer that is stored in memory, soon.
    pub fn keep(&self, key: &CacheKey, answer: &Arc<Answer>) {
        let is_small =
            u64::try_from(answer.body.len()).is_ok_and(|size| size <= self.0.rule.object);
        if self.0.rule.answers && is_small && answer.stored.part.is_none() {
            let name = Name::of(key, answer.terms);
            self.0.writes.push(Write::Keep(name, Arc::clone(answer)));
        }
    }

    /// Forgets an answer that may not be stored any more, soon.
    pub fn forget(&self, key: &CacheKey, answer: &Answer) {
        if self.0.rule.answers {
            let name = Name::of(key, answer.terms);
            self.0.writes.push(Write::Forget(name, answer.signature.clone()));
        }
    }

    /// Tells other shims what is void here, soon.
    pub fn tell(&self, voids: Vec<Void>) {
        self.0.log.tell(voids);
        self.0.news.notify_one();
    }

    /// Waits until others can hear of all that is void here. Whether they can, within a bounded
    /// time.
    pub async fn told(&self) -> bool {
        let all = async {
            while self.0.log.is_waiting() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LAST_WORDS, all).await.is_ok()
    }

    /// Whether an answer that was stored outside of this process, when so much of the log had been
    /// heard, is good still.
    pub fn vouches_for(&self, record: &Record) -> bool {
        self.0.log.vouches_for(&record.resource, &record.tags, record.heard)
    }

    /// What was done so far.
    pub fn done(&self) -> Done {
        let Inner { counts, writes, log, redis, .. } = &*self.0;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Done {
            hits: count(&counts.hits),
            misses: count(&counts.misses),
            void: count(&counts.void),
            unreadable: count(&counts.unreadable),
            stored: count(&counts.stored),
            dropped: writes.dropped(),
            is_heard: log.is_heard(),
            redis: redis.counted(),
        }
    }
}

impl Drop for SecondTier {
    fn drop(&mut self) {
        self.0.stop.send_replace(true);
    }
}

/// Starts the thread that writes, tells and hears.
fn start(inner: Arc<Inner>, lanes: [mpsc::Receiver<Write>; LANES]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || {
        let mut stopped = inner.stop.subscribe();
        runtime.block_on(async {
            for lane in lanes {
                tokio::spawn(Arc::clone(&inner).write_all(lane));
            }
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => {}
                () = inner.listen() => {}
            }
        });
    };
    thread::Builder::new().name("tidegate-cache".into()).spawn(run).map(drop)
}

impl Inner {
    /// Looks for the record that suits a request: the latest variant, or else the one that this
    /// one's Vary leads to.
    async fn look(&self, name: &Name, request: &HeaderMap) -> Option<Record> {
        let place = Place::of(name);
        let found = self.redis.ask(place.0, async |link| {
            let key = place.key(&self.rule.prefix);
            let Some(latest) = self.read(link, &place, name, &key).await? else { return Ok(None) };
            if latest.vary.suits(&latest.signature, request) {
                return Ok(Some(latest));
            }
            let wanted = latest.vary.signature(request);
            let key = place.variant(&self.rule.prefix, &wanted);
            let found = self.read(link, &place, name, &key).await?;
            Ok(found.filter(|record| record.vary.suits(&record.signature, request)))
        });
        match found.await {
            Ok(found) => found.flatten(),
            Err(failure) => {
                self.complain(&failure.to_string());
                None
            }
        }
    }

    async fn read(
        &self,
        link: &Link,
        place: &Place,
        name: &Name,
        key: &str,
    ) -> Result<Option<Record>, Failure> {
        let mut get = redis::cmd("GET");
        get.arg(key);
        let bytes = match link.ask(place.0, &get).await? {
            Value::BulkString(bytes) => Bytes::from(bytes),
            Value::Nil => return Ok(None),
            _ => return Err(Failure::Nonsense),
        };
        let longest = usize::try_from(self.rule.object).unwrap_or(usize::MAX);
        let record = decode(name, &bytes, longest);
        if record.is_none() {
            self.counts.unreadable.fetch_add(1, Ordering::Relaxed);
            self.complain("holds what is no answer");
        }
        Ok(record)
    }

    /// Says what is wrong with the content of Redis, once: whoever writes to it had better stop,
    /// and would not by being told for each request.
    fn complain(&self, why: &str) {
        if !self.has_complained.swap(true, Ordering::Relaxed) {
            let prefix = &self.rule.prefix;
            process_log::warning(
                format_args!(
                    "the cache's Redis {why} under a key that begins with `{prefix}`: something \
                     else writes there, or another version does; the origin is asked instead"
                ),
                &[("prefix", prefix)],
            );
        }
    }

    /// Tells others what is void here, and hears what they tell, for ever.
    async fn listen(&self) {
        loop {
            match self.log.exchange(&self.redis, &self.invalidations).await {
                Ok(Heard::All) => drop(self.tried.send_replace(true)),
                Ok(Heard::Anew) => process_log::warning(
                    "what shims have told each other in the cache's Redis is lost, so that all \
                     that is stored here counts as void",
                    &[],
                ),
                Ok(Heard::Nothing) => {}
                Err(failure) => self.complain(&failure.to_string()),
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                () = self.news.notified() => {}
            }
        }
    }

    /// Writes what comes along a lane, for ever.
    async fn write_all(self: Arc<Self>, mut lane: mpsc::Receiver<Write>) {
        while let Some(write) = lane.recv().await {
            let written = match &write {
                Write::Keep(name, answer) => self.keep(name, answer, clock::now()).await,
                Write::Forget(name, signature) => self.forget(name, signature).await,
            };
            if let Err(failure) = written {
                self.complain(&failure.to_string());
            }
            self.writes.is_done(&write);
        }
    }

    async fn keep(&self, name: &Name, answer: &Answer, now: Timestamp) -> Result<(), Failure> {
        let lifetime = answer.stored.serves_until().since(now).as_millis();
        let is_void = self.invalidations.cover(&answer.resource, &answer.tags, answer.began);
        // Who had heard nothing of the log cannot tell others how old the answer is.
        if lifetime == 0 || is_void || answer.began.heard().0 == 0 {
            return Ok(());
        }
        let place = Place::of(name);
        let record = encode(name, answer, self.rule.compress);
        let latest = place.key(&self.rule.prefix);
        let varies = !answer.vary.names().is_empty();
        let variant = varies.then(|| place.variant(&self.rule.prefix, &answer.signature));
        for key in variant.iter().chain([&latest]) {
            let mut set = redis::cmd("SET");
            set.arg(key).arg(&record).arg("PX").arg(u64::try_from(lifetime).unwrap_or(u64::MAX));
            if self.write(&place, &set).await?.is_none() {
                return Ok(());
            }
        }
        self.counts.stored.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn forget(&self, name: &Name, signature: &VariantSignature) -> Result<(), Failure> {
        let place = Place::of(name);
        let mut delete = redis::cmd("DEL");
        delete.arg(place.key(&self.rule.prefix));
        delete.arg(place.variant(&self.rule.prefix, signature));
        self.write(&place, &delete).await.map(drop)
    }

    async fn write(&self, place: &Place, command: &Cmd) -> Result<Option<Value>, Failure> {
        let asked = async |link: &Link| Ok(link.ask(place.0, command).await?);
        self.redis.ask(place.0, asked).await
    }
}

/// Where answers lie in Redis.
struct Place(Digest);

impl Place {
    fn of(name: &Name) -> Self {
        let (first, _) = name.as_bytes().split_at(16);
        let number = first.iter().fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
        Self(Digest::from_number(number))
    }

    /// The key of the latest variant.
    fn key(&self, prefix: &str) -> String {
        self.0.key(prefix)
    }

    /// The key of the variant that was chosen so.
    fn variant(&self, prefix: &str, signature: &VariantSignature) -> String {
        let digest = digest(&SHA256, signature.as_bytes());
        let first = digest.as_ref().iter().take(16);
        let mut key = self.key(prefix);
        key.push(':');
        first.for_each(|byte| key.push_str(&format!("{byte:02x}")));
        key
    }
}

impl Purpose for Answers {
    const NAME: &'static str = "the cache's Redis";
    const WITHOUT: &'static str =
        "answers are stored in memory alone, and what other shims invalidate is not heard of";
    const MISSED: &'static str = "questions were answered";
    const EVICTION: Option<&'static str> = None;

    /// By writing a key that is gone at once: a replica and a user without the right answer reads.
    async fn probe(&self, link: &Link, digest: Digest) -> Result<(), Failure> {
        let mut set = redis::cmd("SET");
        set.arg(format!("{}:probe", digest.key(&self.prefix))).arg("").arg("PX").arg(1);
        link.ask(digest, &set).await?;
        Ok(())
    }
}
