//! Routes whose answers Workers Cache keeps: the gateway's side, which makes the key, and the side of
//! the second Worker, which stands behind that cache and asks the origin.
//!
//! A hit there runs no Worker, so everything that concerns the client is the gateway's; and all that
//! the cache is told stands in what the second one answers: an answer as it would lie in the Cache
//! API, under a Cache-Control of ours.

use std::cell::Cell;
use std::time::Duration;

use tidegate_core::headers::FieldsMut;
use tidegate_core::headers::cache_status::Ttl;
use tidegate_core::respond::Problem;
use tidegate_core::reuse::{ForwardReason, reuse};
use tidegate_core::store::store;
use tidegate_core::{
    CacheKey, CacheRule, Exchange, Lookup, Response, Reuse, Store, Stored, Tier, Timestamp, respond,
};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{console_error, web_sys};

use super::answer::{Head, Whole};
use super::ask::FromOrigin;
use super::known::Known;
use super::passage::Passage;
use super::{Answer, Stop};
use crate::account::Part;
use crate::cache_store::entry::{self, Facts};
use crate::cache_store::{self, Entry, Kept, Place};
use crate::head::ResponseHead;
use crate::platform::{self, discard};
use crate::task::Settled;
use crate::{clock, digest};

/// The request field in which the second Worker is told what the client asked for.
pub(crate) const URL: &str = "tidegate-url";
/// The detail of Cache-Status.
const DETAIL: &str = "workers-cache";

impl Passage<'_> {
    /// Asks the second Worker, or the cache before it.
    pub(super) async fn through_workers_cache(&self, rule: &CacheRule, key: &CacheKey) -> Answer {
        self.stay_here()?;
        let asked = &self.asked;
        let mut fields = self.question(&Known::Nothing);
        // Kept is the whole, of which clients get what they want.
        fields.drop("range");
        let target = asked.target.to_string();
        let (scheme, host) = (asked.scheme.as_str(), asked.host.as_str());
        fields.set(URL, &[scheme, "://", host, &target].concat());
        // The host and the path stand before the key, so that the zone's API can purge by prefix.
        let url = ["https://", host, asked.target.path(), "?", &digest::hex(key.as_bytes())];
        let begun = clock::now();
        let asking =
            platform::ask_cached(&self.gate.env, self.request, &url.concat(), fields.as_str());
        let asking = Settled::from(asking);
        let response: web_sys::Response = match self.gate.account.timed(Part::Cache, asking).await {
            Ok(answer) if !answer.is_undefined() => answer.unchecked_into(),
            said => {
                say_once(&said);
                return self.past_the_cache(rule, ForwardReason::UriMiss).await;
            }
        };
        match Entry::read(&url.concat(), Clone::clone(&response)) {
            Some(entry) => self.judge_entry(rule, key, entry, begun).await,
            None => {
                let Some(response) = entry::unmasked(&response) else {
                    // Not an answer of its own: it is broken, and we are not.
                    discard(&response);
                    return self.past_the_cache(rule, ForwardReason::UriMiss).await;
                };
                let head = ResponseHead::read(&response);
                let exchange = Exchange { requested_at: begun, received_at: clock::now() };
                let answer = FromOrigin { response, head, exchange };
                self.pass_on(rule, answer, ForwardReason::UriMiss, false)
            }
        }
    }

    /// Serves what came, if it may: out of the cache when it is older than the question.
    async fn judge_entry(
        &self,
        rule: &CacheRule,
        key: &CacheKey,
        entry: Entry,
        begun: Timestamp,
    ) -> Answer {
        let is_hit = entry.stored.received_at < begun;
        let now = clock::now();
        if !is_hit {
            let kept = Store::Keep { stored: entry.stored, vary: entry.vary() };
            let (why, code) = (ForwardReason::UriMiss, entry.stored.status);
            let key = self.key_name();
            let status = respond::forwarded(Tier::Edge, why, code, &kept, now, key.as_deref());
            let Kept { fields, stored, .. } = &*entry;
            let whole = Whole { fields, stored, body_len: entry.body_len() };
            return self.send_stored(&whole, (&entry, Head::Own), &status);
        }
        if self.gate.store.is_void(&Place::of(key, self.asked.host), &entry, &self.asked).await {
            entry.discard();
            return self.past_the_cache(rule, ForwardReason::UriMiss).await;
        }
        let found = match entry.suits(self.asked.fields) {
            true => Lookup::Found(entry),
            false => Lookup::OtherVariants,
        };
        match reuse(rule, &self.asked, found, now) {
            Reuse::Serve { answer, ttl, .. } => self.serve(&answer, Ttl::fresh(ttl), Some(DETAIL)),
            Reuse::ServeStale { answer, staleness, .. } => {
                self.serve(&answer, Ttl::stale(staleness), Some(DETAIL))
            }
            Reuse::Revalidate { answer, why } | Reuse::Forward { fallback: Some(answer), why } => {
                answer.discard();
                self.past_the_cache(rule, why).await
            }
            Reuse::Forward { fallback: None, why } => self.past_the_cache(rule, why).await,
            Reuse::Unsatisfiable => Err(self.refuse(Problem::not_in_cache())),
        }
    }

    /// The second Worker's answer: what the origin says, and for how long it may be kept.
    pub(super) async fn answer_for_the_cache(&self) -> Answer {
        let answer = self.fetch(self.question(&Known::Nothing)).await;
        let FromOrigin { response, head, exchange } =
            answer.map_err(|stop| self.unanswered(stop))?;
        let (code, fields, now) = (head.status(), head.fields(), exchange.received_at);
        let kept = match (self.plan.cache, cache_store::refusal(code, fields)) {
            (Ok(rule), None) => {
                let read = Response::read(Tier::Edge, code, fields, now);
                Some((rule, store(rule, &self.asked, &read, &exchange)))
            }
            _ => None,
        };
        let Some((rule, Store::Keep { stored, vary })) = kept else {
            return Ok(entry::masked(&response, &head).unwrap_or(response));
        };
        let tags = self.plan.tags(&self.asked, &self.who, fields);
        let facts = Facts {
            stored: &stored,
            origin_tag: None,
            variant: vary.signature(self.asked.fields),
            asked_at: exchange.requested_at,
            generation: now,
            names: self.names(rule, &tags),
            tags: &tags,
        };
        let mut told = entry::head(fields, &facts, now);
        told.set("cache-control", &cache_control(&stored, now));
        platform::respond(200, response.body().as_ref(), told.as_str())
            .map_err(|_| Stop::Broken("unusable-answer"))
    }
}

fn say_once(said: &Result<JsValue, JsValue>) {
    thread_local! {
        static WAS_SAID: Cell<bool> = const { Cell::new(false) };
    }
    if !WAS_SAID.replace(true) {
        console_error!(
            "tidegate: no second Worker for Workers Cache ({}); what it would keep is asked of the \
             origin: bind it as CACHED",
            platform::why(said.as_ref().unwrap_or_else(|error| error))
        );
    }
}

/// For how long Workers Cache may keep an answer, and serve it when it is stale: without
/// `s-maxage` and `must-revalidate`, which would switch that off.
fn cache_control(stored: &Stored, now: Timestamp) -> String {
    let fresh = stored.fresh_for(now).unwrap_or_default();
    let end = stored.fresh_until.max(now);
    let window = |until: Timestamp| until.since(end).as_secs();
    let seconds = |span: Duration| span.as_secs();
    format!(
        "max-age={}, stale-while-revalidate={}, stale-if-error={}",
        seconds(fresh),
        window(stored.serve_while_refreshing_until),
        window(stored.serve_on_error_until),
    )
}
