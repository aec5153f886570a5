//! The keeper of what was purged: one Durable Object, to which every purge goes, wherever it was
//! asked for. It alone writes the document in KV that all others read.
//!
//! KV has no way to add to a value: of two data centres that read it, add a line and write it
//! back, one loses its line, and a purge must not be lost. An object handles one call after the
//! other on a storage of its own. Who is answered knows that the purge is on disk; KV follows
//! within seconds, and is tried again for as long as it fails.

// The macro writes the class's exports, and no docs on them.
#![allow(missing_docs)]

use core::cell::Cell;
use core::time::Duration;

use tidegate_core::Timestamp;
use tidegate_core::purge::Purges;
use worker::js_sys::{self, futures::JsFuture};
use worker::wasm_bindgen::JsValue;
use worker::{
    DurableObject, Env, Request, Response, Result, ScheduledTime, console_error, durable_object,
};

use crate::admission::Failure;
use crate::{clock, platform};

/// The binding in `wrangler.toml`, and the one object of its class that there is.
const BINDING: &str = "PURGES";
const NAME: &str = "keeper";
/// Where the document lies in the object's storage, and in KV.
const DOCUMENT: &str = "purges";
/// KV takes one write of a value in a second, and charges for each. Who reads it does so each half
/// minute.
const BETWEEN_WRITES: Duration = Duration::from_secs(5);
/// After KV has failed.
const RETRY: Duration = Duration::from_secs(5);
/// So long a purge waits for the keeper, who may be on another continent.
const TIMEOUT: Duration = Duration::from_secs(10);
/// As many bytes as all purges of one order have at most.
const BODY_MAX: u32 = 1 << 20;
/// What it says when it has kept something; `platform.js` reads the field.
const KNOWN: &str = "tidegate-known";
const KEPT: &str = "kept";

/// Has the keeper keep `news`.
pub(crate) async fn tell(env: &Env, news: &Purges) -> core::result::Result<(), Failure> {
    if !platform::has_kv(env) {
        // The keeper would keep it, and nobody would ever hear.
        return Err(Failure::Threw("TIDEGATE is not bound".into()));
    }
    let millis = TIMEOUT.as_millis() as u32;
    let url = "https://keeper/";
    let asking = platform::ask_object(env, BINDING, NAME, url, Some(&news.to_text()), millis);
    match &*Failure::or_said(asking).await? {
        KEPT => Ok(()),
        _ => Err(Failure::Nonsense),
    }
}

/// The Durable Object class; `wrangler.toml` names it.
#[durable_object(alarm)]
pub struct Purger {
    object: worker::State,
    env: Env,
    /// When KV was written last, as far as this instance knows.
    written: Cell<Timestamp>,
}

impl DurableObject for Purger {
    fn new(object: worker::State, env: Env) -> Self {
        Self { object, env, written: Cell::new(Timestamp::EPOCH) }
    }

    /// Keeps the purges in the body.
    async fn fetch(&self, request: Request) -> Result<Response> {
        let body = JsFuture::from(platform::body_text(request.inner(), BODY_MAX)).await?;
        let news = body.as_string().and_then(|text| Purges::from_text(&text).ok());
        let news = news.ok_or("these are no purges")?;
        let mut all = self.kept().await?;
        // Nothing waits between reading and writing, so that no other call comes between.
        all.extend(&news);
        let text = JsValue::from_str(&all.to_text());
        let kept = self.object.as_raw().storage()?.put(DOCUMENT, text)?;
        self.wake_at(clock::now().max(self.written.get() + BETWEEN_WRITES)).await?;
        JsFuture::from(kept).await?;
        let answer = Response::empty()?;
        answer.headers().set(KNOWN, KEPT)?;
        Ok(answer)
    }

    /// Writes the document to KV.
    async fn alarm(&self) -> Result<Response> {
        let text = self.kept().await?.to_text();
        self.written.set(clock::now());
        let put = JsFuture::from(platform::put_kv(self.env.as_ref(), DOCUMENT, &text)).await;
        if let Err(error) = put {
            console_error!(
                "tidegate: KV cannot be written ({}), so other places hear of no purge yet; \
                 it is tried again",
                platform::why(&error)
            );
            self.wake_at(clock::now() + RETRY).await?;
        }
        Response::empty()
    }
}

impl Purger {
    async fn kept(&self) -> Result<Purges> {
        let kept = JsFuture::from(self.object.as_raw().storage()?.get(DOCUMENT)?).await?;
        let text = kept.as_string().unwrap_or_default();
        // Nobody else writes it.
        Ok(Purges::from_text(&text).unwrap_or_default())
    }

    async fn wake_at(&self, time: Timestamp) -> Result<()> {
        let date = js_sys::Date::new(&JsValue::from_f64(time.as_millis() as f64));
        self.object.storage().set_alarm(ScheduledTime::new(date)).await
    }
}
