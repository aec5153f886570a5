//! The log by which shims tell each other what they invalidate: a stream in Redis.
//!
//! Each shim reads on from where it was, and looks whether that place is still there. Where it is
//! not (the stream was cut, flushed, lost by a failover), nobody can tell what was in between, and
//! all that this shim has stored counts as void.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{Cmd, Value};
use tidegate_core::invalidate::{Resource, Tag};

use super::Answers;
use crate::invalidations::{Invalidations, LogId, Void, Voids};
use crate::redis_link::{Digest, Failure, Redis};

/// Entries of the log that Redis keeps, about.
const KEPT: usize = 50_000;
/// Entries read at once.
const PAGE: usize = 1000;
/// What one entry says at most.
const ITEMS_MAX: usize = 500;
/// As much waits at most to be told; of more, everything is void for all.
const WAITING_MAX: usize = 10_000;
/// Whoever has not heard of the log for so long does not know what is void.
const HEARD_MAX: Duration = Duration::from_secs(1);
/// Bits of a log id that count the entries of one millisecond.
const SEQUENCE_BITS: u32 = 20;

/// What this shim knows of the log.
#[derive(Debug)]
pub(super) struct Log {
    key: String,
    digest: Digest,
    /// What tells entries of this process from those of others.
    own: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was in the log so far.
    known: Voids,
    /// The last entry that was read; none before the first, and when it is gone.
    cursor: Option<Id>,
    /// When the log was last read to its end.
    heard_at: Option<Instant>,
    /// What is to be told.
    waiting: Vec<Void>,
    /// What is being told.
    telling: Vec<Void>,
}

/// The id of an entry, as Redis has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    millis: u64,
    sequence: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    id: Id,
    is_own: bool,
    voids: Vec<Void>,
}

/// How a look at the log went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was read to its end.
    All,
    /// The same, from its begin: where this shim had read it before is no more.
    Anew,
    /// Redis does not answer.
    Nothing,
}

impl Log {
    pub(super) fn new(prefix: &str) -> Self {
        let digest = Digest::of(b"invalidations");
        let key = format!("{}:log", digest.key(prefix));
        let random = || RandomState::new().hash_one(0);
        let own = format!("{:016x}{:016x}", random(), random());
        Self { key, digest, own, state: Mutex::default() }
    }

    /// Has others told of this, soon.
    pub(super) fn tell(&self, voids: Vec<Void>) {
        let mut state = self.state();
        state.waiting.extend(voids);
        if state.waiting.len() > WAITING_MAX {
            state.waiting = vec![Void::Everything];
        }
    }

    /// Whether there is something to tell.
    pub(super) fn is_waiting(&self) -> bool {
        let state = self.state();
        !state.waiting.is_empty() || !state.telling.is_empty()
    }

    /// Whether the log is known up to now, about.
    pub(super) fn is_heard(&self) -> bool {
        self.state().is_heard()
    }

    /// Whether an answer is good that was asked for when so much had been heard: all of the log
    /// is known that could void it, and nothing there does, nor what is to be told.
    pub(super) fn vouches_for(&self, resource: &Resource, tags: &[Tag], heard: LogId) -> bool {
        let state = self.state();
        state.is_heard()
            && !state.known.cover(resource, tags, heard.0)
            && !state.untold().cover(resource, tags, 0)
    }

    /// Tells what is to be told, and hears what others have told.
    ///
    /// # Errors
    /// If the key of the log holds something else.
    pub(super) async fn exchange(
        &self,
        redis: &Redis<Answers>,
        invalidations: &Invalidations,
    ) -> Result<Heard, Failure> {
        loop {
            let voids = self.state().lend();
            if voids.is_empty() {
                break;
            }
            let Some(id) = self.add(redis, &voids).await? else { return Ok(Heard::Nothing) };
            self.state().told(id);
        }
        let cursor = self.state().cursor;
        if let Some(cursor) = cursor {
            match self.read_on(redis, invalidations, cursor).await? {
                Some(true) => return Ok(Heard::All),
                Some(false) => {}
                None => return Ok(Heard::Nothing),
            }
        }
        Ok(match self.read_anew(redis, invalidations).await? {
            Some(()) if cursor.is_some() => Heard::Anew,
            Some(()) => Heard::All,
            None => Heard::Nothing,
        })
    }

    /// Reads what stands behind the cursor. Whether that is still there; `None` where Redis does
    /// not answer.
    async fn read_on(
        &self,
        redis: &Redis<Answers>,
        invalidations: &Invalidations,
        mut cursor: Id,
    ) -> Result<Option<bool>, Failure> {
        loop {
            let asked_at = Instant::now();
            let Some(page) = self.page(redis, &cursor.to_string()).await? else { return Ok(None) };
            let [first, news @ ..] = &*page else { return Ok(Some(false)) };
            if first.id != cursor {
                return Ok(Some(false));
            }
            let mut state = self.state();
            for Entry { id, is_own, voids } in news {
                voids.iter().for_each(|void| state.known.add(void, id.in_order()));
                if !is_own && !voids.is_empty() {
                    invalidations.invalidate(voids);
                }
                cursor = *id;
            }
            state.cursor = Some(cursor);
            invalidations.has_heard(LogId(cursor.in_order()));
            if page.len() < PAGE {
                state.heard_at = Some(asked_at);
                return Ok(Some(true));
            }
        }
    }

    /// Reads all there is. What was stored here until now may be void.
    async fn read_anew(
        &self,
        redis: &Redis<Answers>,
        invalidations: &Invalidations,
    ) -> Result<Option<()>, Failure> {
        let asked_at = Instant::now();
        let Some(mut page) = self.page(redis, "-").await? else { return Ok(None) };
        if page.is_empty() {
            // So that there is a place to read on from.
            if self.add(redis, &[]).await?.is_none() {
                return Ok(None);
            }
            let Some(begun) = self.page(redis, "-").await? else { return Ok(None) };
            page = begun;
        }
        let Some(first) = page.first() else { return Ok(None) };
        let mut known = Voids::since(first.id.in_order());
        let mut cursor = first.id;
        loop {
            for Entry { id, voids, .. } in &page {
                voids.iter().for_each(|void| known.add(void, id.in_order()));
                cursor = *id;
            }
            if page.len() < PAGE {
                break;
            }
            let Some(next) = self.page(redis, &cursor.to_string()).await? else { return Ok(None) };
            page = next;
        }
        let mut state = self.state();
        invalidations.invalidate([&Void::Everything]);
        invalidations.has_heard(LogId(cursor.in_order()));
        state.known = known;
        state.cursor = Some(cursor);
        state.heard_at = Some(asked_at);
        Ok(Some(()))
    }

    /// Entries from there on.
    async fn page(
        &self,
        redis: &Redis<Answers>,
        from: &str,
    ) -> Result<Option<Vec<Entry>>, Failure> {
        let mut range = redis::cmd("XRANGE");
        range.arg(&self.key).arg(from).arg("+").arg("COUNT").arg(PAGE);
        let read = |answer: Value| entries(&answer, &self.own).ok_or(Failure::Nonsense);
        redis.ask(self.digest, async |link| read(link.ask(self.digest, &range).await?)).await
    }

    /// Adds an entry.
    async fn add(&self, redis: &Redis<Answers>, voids: &[Void]) -> Result<Option<Id>, Failure> {
        let command = self.entry(voids);
        let read = |answer: Value| text(&answer).and_then(Id::parse).ok_or(Failure::Nonsense);
        redis.ask(self.digest, async |link| read(link.ask(self.digest, &command).await?)).await
    }

    fn entry(&self, voids: &[Void]) -> Cmd {
        let mut add = redis::cmd("XADD");
        add.arg(&self.key).arg("MAXLEN").arg("~").arg(KEPT).arg("*").arg("by").arg(&self.own);
        for void in voids {
            let (kind, text) = match void {
                Void::Resource(resource) => ("resource", resource.as_str()),
                Void::Tag(tag) => ("tag", tag.as_str()),
                Void::Url(url) => ("url", &**url),
                Void::Prefix(prefix) => ("prefix", &**prefix),
                Void::Everything => ("everything", ""),
            };
            add.arg(kind).arg(text);
        }
        add
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is whole whatever panics around it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_heard(&self) -> bool {
        self.heard_at.is_some_and(|at| at.elapsed() < HEARD_MAX)
    }

    /// What nobody else has heard of yet.
    fn untold(&self) -> Voids {
        let mut voids = Voids::default();
        self.waiting.iter().chain(&self.telling).for_each(|void| voids.add(void, 1));
        voids
    }

    /// What is to be told next; what could not be told before comes first.
    fn lend(&mut self) -> Vec<Void> {
        if self.telling.is_empty() {
            let some = self.waiting.len().min(ITEMS_MAX);
            self.telling = self.waiting.drain(..some).collect();
        }
        self.telling.clone()
    }

    fn told(&mut self, id: Id) {
        let told = std::mem::take(&mut self.telling);
        told.iter().for_each(|void| self.known.add(void, id.in_order()));
    }
}

impl Id {
    fn parse(text: &str) -> Option<Self> {
        let (millis, sequence) = text.split_once('-')?;
        let id = Self { millis: millis.parse().ok()?, sequence: sequence.parse().ok()? };
        // So many cannot come in one millisecond.
        (id.sequence < 1 << SEQUENCE_BITS && id.millis < 1 << (64 - SEQUENCE_BITS)).then_some(id)
    }

    /// The same as one number.
    const fn in_order(self) -> u64 {
        self.millis << SEQUENCE_BITS | self.sequence
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}

/// Reads the answer to XRANGE. An entry that says what nobody knows may mean everything.
fn entries(answer: &Value, own: &str) -> Option<Vec<Entry>> {
    let Value::Array(entries) = answer else { return None };
    let entry = |entry: &Value| {
        let Value::Array(parts) = entry else { return None };
        let [id, Value::Array(fields)] = &**parts else { return None };
        let (mut is_own, mut voids) = (false, Vec::new());
        for pair in fields.chunks(2) {
            match pair {
                [kind, value] if text(kind) == Some("by") => is_own = text(value) == Some(own),
                [kind, value] => voids.push(void(kind, value).unwrap_or(Void::Everything)),
                _ => voids.push(Void::Everything),
            }
        }
        Some(Entry { id: Id::parse(text(id)?)?, is_own, voids })
    };
    entries.iter().map(entry).collect()
}

fn void(kind: &Value, value: &Value) -> Option<Void> {
    let value = text(value)?;
    match text(kind)? {
        "resource" => Resource::from_uri(value).map(Void::Resource),
        "tag" => Some(Void::Tag(Tag::named(value))),
        "url" => Some(Void::Url(value.into())),
        "prefix" => Some(Void::Prefix(value.into())),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn entry(id: &str, fields: &[&str]) -> Value {
        Value::Array(vec![bulk(id), Value::Array(fields.iter().map(|text| bulk(text)).collect())])
    }

    #[test]
    fn c4_what_is_told_is_heard_as_it_was() {
        let log = Log::new("p:");
        let resource = Resource::from_uri("https://a.example/x?y").unwrap();
        let voids = vec![
            Void::Resource(resource),
            Void::Tag(Tag::named("https://a.example\ngroup\n")),
            Void::Url("/a?b".into()),
            Void::Prefix("https://a.example/p/".into()),
            Void::Everything,
        ];
        let written: Vec<String> = log
            .entry(&voids)
            .args_iter()
            .skip(6)
            .map(|part| match part {
                redis::Arg::Simple(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                _ => panic!("texts alone"),
            })
            .collect();
        let fields: Vec<&str> = written.iter().map(String::as_str).collect();
        let read = |own| entries(&Value::Array(vec![entry("5-7", &fields)]), own).unwrap();
        let id = Id { millis: 5, sequence: 7 };
        assert_eq!(read(&log.own), [Entry { id, is_own: true, voids: voids.clone() }]);
        assert_eq!(read("another"), [Entry { id, is_own: false, voids }]);
    }

    #[test]
    fn c4_what_nobody_knows_may_mean_everything() {
        for fields in
            [&["colour", "red"][..], &["resource", "no uri"], &["tag"], &["by", "x", "new", ""]]
        {
            let read = entries(&Value::Array(vec![entry("5-7", fields)]), "own").unwrap();
            assert_eq!(read[0].voids, [Void::Everything], "{fields:?}");
        }
        for nonsense in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![entry("5", &[])]),
            Value::Array(vec![entry("5-1048576", &[])]),
            Value::Array(vec![entry("17592186044416-0", &[])]),
        ] {
            assert_eq!(entries(&nonsense, "own"), None, "{nonsense:?}");
        }
    }

    #[test]
    fn ids_are_in_order() {
        let ids = ["1-0", "1-1", "1-1048575", "2-0", "1795000000000-3"].map(Id::parse);
        let numbers = ids.map(|id| id.unwrap().in_order());
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    }

    #[test]
    fn c4_what_does_not_fit_becomes_everything_and_what_is_untold_counts() {
        let log = Log::new("p:");
        let resource = Resource::from_uri("https://a.example/x").unwrap();
        let other = Resource::from_uri("https://a.example/other").unwrap();
        let heard = LogId(5);
        assert!(!log.vouches_for(&resource, &[], heard), "nothing was heard at all");
        log.state().heard_at = Some(Instant::now());
        assert!(log.vouches_for(&resource, &[], heard));
        log.tell(vec![Void::Resource(resource.clone())]);
        assert!(!log.vouches_for(&resource, &[], heard) && log.vouches_for(&other, &[], heard));
        assert_eq!(log.state().lend().len(), 1);
        assert!(!log.vouches_for(&resource, &[], heard), "it is on its way");
        log.state().told(Id { millis: 0, sequence: 7 });
        assert!(!log.vouches_for(&resource, &[], heard) && !log.is_waiting());
        assert!(log.vouches_for(&resource, &[], LogId(7)));

        log.tell((0..=WAITING_MAX).map(|n| Void::Tag(Tag::named(n.to_string()))).collect());
        assert_eq!(log.state().lend(), [Void::Everything]);
        assert!(!log.vouches_for(&other, &[], LogId(7)));
    }
}
