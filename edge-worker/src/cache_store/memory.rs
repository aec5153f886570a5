//! Before the Cache API: what this isolate has in its own memory, for some seconds (C9). A hit
//! here asks nobody, which is most of what a hit costs.
//!
//! Only bytes are kept, never a stream: a body belongs to the request that it came with. An answer
//! gets in when it came out of the Cache API whole and fresh, so what is asked for once stays out;
//! and when room is wanted, those go first that nobody asked for since the hand came by the last
//! time (the clock algorithm), so a crowd of others does not push out what is popular.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::rc::Rc;
use std::time::Duration;

use tidegate_core::policy::IsolateMemory;
use tidegate_core::purge::{Purge, Purges};
use tidegate_core::{Request, Timestamp};
use worker::Context;
use worker::js_sys::{Uint8Array, futures::JsFuture};
use worker::wasm_bindgen::JsCast;

use super::Place;
use super::entry::{Entry, Kept, Source};
use crate::head::Head;
use crate::{clock, platform, purges, task};

/// What an answer takes besides its head and body, about.
const OVERHEAD: u64 = 512;
/// Answers of one key at most, that differ by `Vary`.
const VARIANTS_MAX: usize = 8;
/// Bodies that are being read in at a time.
const UNDERWAY_MAX: usize = 64;
/// The platform may end a request without a word, and half a minute behind the answer it always
/// does.
const LONGEST: Duration = Duration::from_secs(30);

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
    /// What this isolate has invalidated: here it holds at once.
    static VOIDED: RefCell<Purges> = RefCell::default();
}

#[derive(Default)]
struct Memory {
    answers: BTreeMap<Box<[u8]>, Vec<Held>>,
    bytes: u64,
    /// Where room was made last.
    hand: Option<Box<[u8]>>,
    underway: Vec<Underway>,
    turns: u64,
}

struct Held {
    kept: Rc<Kept>,
    /// None of what turned out too large, so that not each hit tries again.
    body: Option<Uint8Array>,
    weight: u64,
    until: Timestamp,
    /// Since the hand came by.
    is_used: bool,
}

/// A body that is being read in; gone as soon as the answer is not wanted any more.
struct Underway {
    turn: u64,
    key: Box<[u8]>,
    variant: String,
    since: Timestamp,
}

/// The answer to `asked` among those of `place`, if there is a fresh one that is not void.
pub(super) fn find(place: &Place, asked: &Request<'_, Head>) -> Option<Entry> {
    let now = clock::now();
    MEMORY.with_borrow_mut(|memory| {
        let held = memory.get(&place.key, asked.fields)?;
        let is_good = now < held.until && held.kept.stored.fresh_for(now).is_some();
        if !is_good || is_void(place, &held.kept, asked) {
            memory.forget(&place.key);
            return None;
        }
        held.is_used = true;
        Some(Entry { kept: Rc::clone(&held.kept), source: Source::Memory(held.body.clone()?) })
    })
}

/// Keeps a copy of what the Cache API gave, when its body has come, without keeping anyone
/// waiting.
pub(super) fn keep_later(context: &Context, rule: IsolateMemory, place: &Place, entry: &Entry) {
    let (now, kept) = (clock::now(), Rc::clone(&entry.kept));
    let fits = kept.body_len().is_none_or(|length| length as u64 <= rule.object);
    let is_whole = kept.stored.part.is_none() && kept.stored.fresh_for(now).is_some();
    let Source::Cache(response) = &entry.source else { return };
    if !rule.is_on() || !fits || !is_whole {
        return;
    }
    let Some(turn) = MEMORY.with_borrow_mut(|memory| memory.begin(&place.key, &kept, now)) else {
        return;
    };
    let Ok(copy) = response.clone() else { return };
    let until = now + rule.ttl;
    task::in_background(context, async move {
        let reading = platform::read_whole(&copy, u32::try_from(rule.object).unwrap_or(u32::MAX));
        let body = JsFuture::from(reading).await.ok().filter(|body| !body.is_undefined());
        let body = body.map(JsCast::unchecked_into::<Uint8Array>);
        let is_whole = |body: &Uint8Array| {
            kept.body_len().is_none_or(|length| length == body.length() as usize)
        };
        let body = body.filter(is_whole);
        MEMORY.with_borrow_mut(|memory| memory.keep(turn, kept, body, until, rule.size));
    });
}

/// Forgets the answers of the place with this key: they are replaced, or gone.
pub(super) fn forget(key: &[u8]) {
    MEMORY.with_borrow_mut(|memory| memory.forget(key));
}

/// Voids what was asked for until now and goes by `name`.
pub(super) fn void(name: &str, now: Timestamp) {
    VOIDED.with_borrow_mut(|voided| voided.add(&Purge::name(name), now));
}

/// Whether it was purged, or invalidated through this isolate.
fn is_void(place: &Place, kept: &Kept, asked: &Request<'_, Head>) -> bool {
    let at = kept.asked_at;
    let names = || kept.names.iter().map(String::as_str);
    (purges::any_since(at) && purges::void(asked, names().chain([place.name()]), at))
        || VOIDED.with_borrow(|voided| voided.void(asked.host, asked.target, names(), at))
}

impl Memory {
    fn get(&mut self, key: &[u8], request: &Head) -> Option<&mut Held> {
        self.answers.get_mut(key)?.iter_mut().find(|held| held.kept.suits(request))
    }

    /// The turn to read a body in, unless that was tried just now.
    fn begin(&mut self, key: &[u8], kept: &Kept, now: Timestamp) -> Option<u64> {
        self.underway.retain(|one| now < one.since + LONGEST && one.since <= now);
        let is_this = |one: &Underway| *one.key == *key && one.variant == kept.variant;
        let known = self.answers.get(key).into_iter().flatten();
        let mut same = known.filter(|held| held.kept.variant == kept.variant);
        let is_too_large = same.any(|held| held.body.is_none() && now < held.until);
        if is_too_large || self.underway.len() >= UNDERWAY_MAX || self.underway.iter().any(is_this)
        {
            return None;
        }
        self.turns += 1;
        let (turn, variant) = (self.turns, kept.variant.clone());
        self.underway.push(Underway { turn, key: key.into(), variant, since: now });
        Some(turn)
    }

    fn keep(
        &mut self,
        turn: u64,
        kept: Rc<Kept>,
        body: Option<Uint8Array>,
        until: Timestamp,
        size: u64,
    ) {
        let Some(at) = self.underway.iter().position(|one| one.turn == turn) else { return };
        let key = self.underway.swap_remove(at).key;
        let length = body.as_ref().map_or(0, Uint8Array::length);
        let weight = OVERHEAD + (key.len() + kept.fields.len()) as u64 + u64::from(length);
        let variants = self.answers.entry(key).or_default();
        let other = variants.iter().position(|held| held.kept.variant == kept.variant);
        if let Some(at) = other.or((variants.len() >= VARIANTS_MAX).then_some(0)) {
            self.bytes -= variants.remove(at).weight;
        }
        variants.push(Held { kept, body, weight, until, is_used: false });
        self.bytes += weight;
        while self.bytes > size && self.make_room().is_some() {}
    }

    /// Moves the hand on by one key, and takes away what nobody asked for since it came by.
    fn make_room(&mut self) -> Option<()> {
        let behind = self.hand.take().and_then(|hand| {
            let mut behind = self.answers.range_mut::<[u8], _>((Excluded(&*hand), Unbounded));
            behind.next().map(|(key, _)| key.clone())
        });
        let key = behind.or_else(|| self.answers.keys().next().cloned())?;
        let variants = self.answers.get_mut(&key)?;
        let bytes = &mut self.bytes;
        variants.retain_mut(|held| {
            let stays = std::mem::take(&mut held.is_used);
            *bytes -= if stays { 0 } else { held.weight };
            stays
        });
        if variants.is_empty() {
            self.answers.remove(&key);
        }
        self.hand = Some(key);
        Some(())
    }

    fn forget(&mut self, key: &[u8]) {
        self.underway.retain(|one| *one.key != *key);
        let variants = self.answers.remove(key).unwrap_or_default();
        self.bytes -= variants.iter().map(|held| held.weight).sum::<u64>();
    }
}
