//! The store: Cloudflare's Cache API, `caches.default`, one cache for each data centre.
//!
//! The core decides and this keeps. What the Cache API decides on its own is kept out of
//! its hands: it knows no stale answers, so an entry lives there for its stale windows too;
//! it ignores `Vary`, so variants have URLs of their own; it freezes `Age` and rewrites
//! `Date`, so both are kept beside (see [`entry`]).
//!
//! A store that fails is an empty store: no request fails because of it.

pub(crate) mod entry;
mod memory;
pub(crate) mod voided;

use std::cell::OnceCell;

use tidegate_core::headers::{Fields, Vary};
use tidegate_core::policy::IsolateMemory;
use tidegate_core::store::NotStored;
use tidegate_core::{CacheKey, Host, Lookup, Request, Timestamp};
use worker::js_sys::{self, futures::JsFuture};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::worker_sys::ext::CacheStorageExt;
use worker::{Context, console_warn, web_sys};

use crate::asking::Turn;
use crate::clock;
use crate::digest;
use crate::edits::Edits;
use crate::head::Head;
use crate::platform::{put_whole, respond, why};
use crate::purges;
use crate::task::{self, Settled};

pub(crate) use entry::{Entry, Kept};

/// Bytes of a body at most. The platform takes 512 MB; but the two branches of a body being
/// stored share the isolate's 128 MB when the client reads slower than the cache.
const MAX_BODY: u32 = 32 << 20;

/// What keeps an answer with this status and these fields out of the store, as far as its head
/// tells; what turns out too long on the way is dropped then.
pub(crate) fn refusal(status: u16, fields: &Head) -> Option<NotStored> {
    // A length beyond all numbers is beyond the limit, too.
    let length = fields.text("content-length").map(|length| length.parse().unwrap_or(u32::MAX));
    if length.is_some_and(|length| length > MAX_BODY) {
        return Some(NotStored::TooLarge);
    }
    // Bodies are stored decoded, and a part of a coded one cannot be decoded.
    (status == 206 && entry::is_coded(fields)).then_some(NotStored::Partial)
}

/// The cache of this data centre.
pub(crate) struct CacheStore {
    cache: web_sys::Cache,
    /// What of it this isolate keeps in its own memory.
    memory: IsolateMemory,
}

/// Where the answers of one key lie.
pub(crate) struct Place {
    /// What tells it from all others: the key, and the host whose name it has.
    key: Box<[u8]>,
    host: String,
    /// The answer that came first lies here, and says by `Vary` where others would be. A hit in
    /// memory needs no URL.
    first: OnceCell<String>,
    /// Which variants belong to that answer: those of one before it are void.
    pub(crate) generation: Timestamp,
    /// `Vary` of the first answer, when that is not for the request at hand, and where the one
    /// that is would be.
    variant: Option<(Vary, String)>,
}

impl CacheStore {
    /// The default cache, behind a memory by this rule.
    pub(crate) fn open(memory: IsolateMemory) -> Option<Self> {
        thread_local! {
            static CACHE: OnceCell<web_sys::Cache> = const { OnceCell::new() };
        }
        let look = || {
            let scope: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
            Some(scope.caches().ok()?.default())
        };
        let cache = CACHE.with(|known| match known.get() {
            Some(cache) => Some(Clone::clone(cache)),
            None => look().inspect(|cache| drop(known.set(Clone::clone(cache)))),
        })?;
        Some(Self { cache, memory })
    }

    /// Looks `key` up for a request; also says where an answer to it goes.
    pub(crate) async fn look_up(
        &self,
        context: &Context,
        key: &CacheKey,
        asked: &Request<'_, Head>,
    ) -> (Lookup<Entry>, Place) {
        let (mut place, request) = (Place::of(key, asked.host), asked.fields);
        if self.memory.is_on()
            && let Some(entry) = memory::find(&place, asked)
        {
            place.generation = entry.generation;
            return (Lookup::Found(entry), place);
        }
        let Some(first) = self.read_valid(&place, place.first(), asked).await else {
            return (Lookup::Nothing, place);
        };
        place.generation = first.generation;
        if first.suits(request) {
            memory::keep_later(context, self.memory, &place, &first);
            return (Lookup::Found(first), place);
        }
        first.discard();
        let vary = first.vary();
        let variant = place.variant(&vary, request);
        let found = self.read_valid(&place, &variant, asked).await;
        place.variant = Some((vary, variant));
        match found {
            // Always, but for two variants whose digests are the same.
            Some(entry) if entry.suits(request) => {
                memory::keep_later(context, self.memory, &place, &entry);
                (Lookup::Found(entry), place)
            }
            _ => (Lookup::OtherVariants, place),
        }
    }

    /// Stores a copy of `response` with this head at `url`, as its body arrives and without
    /// keeping anyone waiting but those who want the same: until the end of `turn`.
    pub(crate) fn put_later(
        &self,
        context: &Context,
        place: &Place,
        (url, response): (String, &web_sys::Response),
        head: &Edits,
        turn: Option<Turn>,
    ) {
        memory::forget(&place.key);
        let key = place.key.clone();
        let copy = response.clone();
        // The cache keeps no 206 and few errors, so the status is among the facts.
        let entry = copy.and_then(|copy| respond(200, copy.body().as_ref(), head.as_str()));
        let cache = self.cache.clone();
        task::in_background(context, async move {
            let stored = async {
                let put = put_whole(&cache, &url, &entry?, MAX_BODY, entry::ENTRY);
                JsFuture::from(put).await
            };
            match stored.await {
                Ok(whole) if whole.is_truthy() => {}
                Ok(_) => console_warn!("tidegate: not stored, the body was cut off: {url}"),
                Err(error) => console_warn!("tidegate: not stored, {}: {url}", why(&error)),
            }
            // Meanwhile somebody may have taken what was there before.
            memory::forget(&key);
            drop(turn);
        });
    }

    /// Takes out what lies at `url`, which is at `place`, in this data centre, without keeping
    /// anyone waiting.
    pub(crate) fn delete_later(&self, context: &Context, place: &Place, url: String) {
        memory::forget(&place.key);
        let (cache, key) = (self.cache.clone(), place.key.clone());
        task::in_background(context, async move {
            if let Err(error) = JsFuture::from(cache.delete_with_str(&url)).await {
                console_warn!("tidegate: not deleted, {}: {url}", why(&error));
            }
            memory::forget(&key);
        });
    }

    /// Voids what this data centre has stored under a name before `now`, see [`voided`].
    pub(crate) fn void_later(
        &self,
        context: &Context,
        host: &Host<'_>,
        name: &str,
        now: Timestamp,
    ) {
        memory::void(name, now);
        let url = mark(host.as_str(), name);
        let put = respond(200, None, voided::head(now).as_str())
            .map(|mark| JsFuture::from(self.cache.put_with_str(&url, &mark)));
        task::in_background(context, async move {
            let put = async { put?.await };
            if let Err(error) = put.await {
                console_warn!("tidegate: not voided, {}: {url}", why(&error));
            }
        });
    }

    /// What lies at `url`, which is at `place`, unless it was purged or one of its names was
    /// voided since.
    async fn read_valid(
        &self,
        place: &Place,
        url: &str,
        asked: &Request<'_, Head>,
    ) -> Option<Entry> {
        let entry = Entry::read(url, self.read(url).await.ok()??)?;
        let is_void = self.is_void(place, &entry, asked).await;
        if is_void {
            entry.discard();
        }
        (!is_void).then_some(entry)
    }

    /// Whether an answer, which is at `place`, was purged or one of its names was voided since.
    pub(crate) async fn is_void(
        &self,
        place: &Place,
        entry: &Entry,
        asked: &Request<'_, Head>,
    ) -> bool {
        let names = entry.names.iter().map(String::as_str).chain([place.name()]);
        if purges::void(asked, names, entry.asked_at) {
            return true;
        }
        // All are on their way before the first is waited for.
        let marks = entry.names.iter().map(|name| mark(asked.host.as_str(), name));
        let marks: Vec<_> = marks.map(|url| self.cache.match_with_str(&url)).collect();
        let mut is_void = false;
        for found in marks {
            is_void |= match response(Settled::from(found).await) {
                Ok(mark) => mark
                    .and_then(|mark| voided::read(&mark))
                    .is_some_and(|until| entry.asked_at < until),
                // Who cannot ask does not know.
                Err(()) => true,
            };
        }
        is_void
    }

    async fn read(&self, url: &str) -> Result<Option<web_sys::Response>, ()> {
        // By URL and without fields: asked conditionally or for a range, the Cache API
        // would answer on its own, and not always by the letter.
        response(Settled::from(self.cache.match_with_str(url)).await)
    }
}

/// What the cache gave, if it gave anything.
fn response(found: Result<JsValue, JsValue>) -> Result<Option<web_sys::Response>, ()> {
    let found =
        found.map_err(|error| console_warn!("tidegate: the cache failed, {}", why(&error)))?;
    Ok((!found.is_undefined()).then(|| found.unchecked_into()))
}

/// Where the mark of a name lies.
fn mark(host: &str, name: &str) -> String {
    format!("https://{host}/.tidegate/void/{name}")
}

impl Place {
    /// Where answers go for which nothing is stored. The URL is on the host that the request is
    /// for, since a Worker may only use names of its own zone, and under a path that no route
    /// serves.
    pub(crate) fn of(key: &CacheKey, host: &Host<'_>) -> Self {
        let host = host.as_str();
        let whole = [key.as_bytes(), b"\n", host.as_bytes()].concat();
        Self {
            key: whole.into(),
            host: host.into(),
            first: OnceCell::new(),
            generation: clock::now(),
            variant: None,
        }
    }

    /// Where the answer lies that all others of the key are found by.
    pub(crate) fn first(&self) -> &str {
        self.first.get_or_init(|| {
            let key = &self.key[..self.key.len() - self.host.len() - 1];
            ["https://", &self.host, "/.tidegate/cache/", &digest::hex(key)].concat()
        })
    }

    /// The name of all answers of the key, by which they can be purged.
    pub(crate) fn name(&self) -> &str {
        self.first().rsplit('/').next().unwrap_or_default()
    }

    /// Where an answer goes that varies like this: in place of the first, unless that is
    /// another variant of the same.
    pub(crate) fn for_answer(&self, vary: &Vary, request: &impl Fields) -> String {
        match &self.variant {
            Some((first, _)) if first == vary => self.variant(vary, request),
            _ => self.first().to_owned(),
        }
    }

    /// Where the answer to the request at hand lies, if it varies as what is stored does.
    pub(crate) fn of_answer(&self) -> &str {
        self.variant.as_ref().map_or_else(|| self.first(), |(_, url)| url)
    }

    fn variant(&self, vary: &Vary, request: &impl Fields) -> String {
        let variant = digest::hex(vary.signature(request).as_bytes());
        format!("{}/{}/{variant}", self.first(), self.generation.as_millis())
    }
}
