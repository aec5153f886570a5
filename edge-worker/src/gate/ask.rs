//! The steps that ask the origin: pass a request on as it is, forward it for an answer that
//! may be stored, or revalidate a stored one.

use tidegate_core::forward::{is_kept_on_update, is_unkeyed_override};
use tidegate_core::headers::cache_status::Ttl;
use tidegate_core::headers::{Fields, FieldsMut, Vary};
use tidegate_core::refresh::refresh;
use tidegate_core::reuse::{ForwardReason, STALE_IF_ERROR};
use tidegate_core::store::{NotStored, renew, store};
use tidegate_core::{CacheRule, Exchange, Refresh, Response, Store, Stored, Tier, respond};
use worker::web_sys;

use super::passage::Passage;
use super::{Answer, Stop};
use crate::cache_store::entry::{self, Validators};
use crate::cache_store::{self, Entry, Place};
use crate::edits::Edits;
use crate::head::{Head, ResponseHead};
use crate::platform::{self, discard};
use crate::{clock, connection, origin};

/// An answer of the origin, its body unread.
pub(super) struct FromOrigin {
    pub(super) response: web_sys::Response,
    pub(super) head: ResponseHead,
    exchange: Exchange,
}

impl Passage<'_> {
    /// The policy keeps this request out of the cache: method, fields and body go through.
    pub(super) async fn bypass(&self) -> Answer {
        let answer = self.fetch(&self.travelling_fields()).await?;
        let status = respond::bypassed(&self.plan, Some(answer.head.status()));
        Ok(self.relay(answer, &status))
    }

    /// Nothing that is stored can answer; what is stored may all the same serve if the origin
    /// fails.
    pub(super) async fn forward(
        &self,
        rule: &CacheRule,
        stored: Option<Entry>,
        place: &Place,
        why: ForwardReason,
    ) -> Answer {
        let answer = self.fetch(&self.unconditional_fields()).await;
        let Some(entry) = stored else { return self.keep(rule, answer?, place, why) };
        match decide(&entry, &[], &answer) {
            Refresh::ServeStale => self.serve_on_error(&entry, answer),
            _ => self.replace(rule, &entry, answer?, place, why),
        }
    }

    /// What is stored can answer if the origin confirms it.
    pub(super) async fn revalidate(
        &self,
        rule: &CacheRule,
        entry: Entry,
        place: &Place,
        why: ForwardReason,
    ) -> Answer {
        let validators = entry.validators();
        let mut fields = self.unconditional_fields();
        put_validators(&mut fields, &validators);
        let answer = self.fetch(&fields).await;
        // A URL holds one answer, and what suits this request lies at one.
        match decide(&entry, &[&validators], &answer) {
            Refresh::Freshen { .. } => self.freshen(rule, &entry, &answer?, place, why),
            Refresh::AskAgain => {
                discard(&answer?.response);
                self.forward(rule, Some(entry), place, why).await
            }
            Refresh::ServeStale => self.serve_on_error(&entry, answer),
            Refresh::Replace => self.replace(rule, &entry, answer?, place, why),
        }
    }

    /// Serves what is stored although it is stale, because the origin failed (RFC 5861 §4).
    fn serve_on_error(&self, entry: &Entry, failure: Result<FromOrigin, Stop>) -> Answer {
        if let Ok(answer) = failure {
            discard(&answer.response);
        }
        let staleness = entry.stored.staleness(clock::now());
        self.serve(entry, Ttl::stale(staleness), Some(STALE_IF_ERROR))
    }

    /// Serves the origin's answer in place of the stored one.
    fn replace(
        &self,
        rule: &CacheRule,
        entry: &Entry,
        answer: FromOrigin,
        place: &Place,
        why: ForwardReason,
    ) -> Answer {
        discard(&entry.response);
        self.keep(rule, answer, place, why)
    }

    /// Serves the origin's answer, and stores it while the client reads, if it may be kept.
    fn keep(
        &self,
        rule: &CacheRule,
        answer: FromOrigin,
        place: &Place,
        why: ForwardReason,
    ) -> Answer {
        let FromOrigin { response, head, exchange } = &answer;
        let read = Response::read(Tier::Edge, head.status(), head.fields(), exchange.received_at);
        let kept = match cache_store::takes(head.fields()) {
            true => store(rule, &self.asked, &read, exchange),
            false => Store::Skip(NotStored::TooLarge),
        };
        if let Store::Keep { stored, vary } = &kept {
            self.put(place, response, head.fields(), stored, vary, None);
        }
        let (tier, key, now) = (self.plan.tier, self.key_name(), exchange.received_at);
        let status = respond::forwarded(tier, why, head.status(), &kept, now, key.as_deref());
        match &kept {
            Store::Keep { stored, .. } if self.is_unchanged(head.status(), head.fields()) => {
                discard(response);
                self.not_modified(head.fields(), stored, &status)
            }
            _ => Ok(self.relay(answer, &status)),
        }
    }

    /// Serves the stored answer that the origin has confirmed, with the fields it has updated.
    fn freshen(
        &self,
        rule: &CacheRule,
        entry: &Entry,
        confirmed: &FromOrigin,
        place: &Place,
        why: ForwardReason,
    ) -> Answer {
        let origin_tag = entry.origin_tag.as_deref();
        let merged = merge(&entry.fields, confirmed.head.fields(), origin_tag.is_some());
        let exchange = &confirmed.exchange;
        let read = Response::read(Tier::Edge, entry.stored.status, &merged, exchange.received_at);
        let kept = renew(rule, &self.asked, &read, exchange);
        let stored = match &kept {
            Store::Keep { stored, vary } => {
                self.put(place, &entry.response, &merged, stored, vary, origin_tag);
                *stored
            }
            Store::Skip(_) => {
                self.gate.store.delete_later(&self.gate.context, entry.url.clone());
                entry.stored
            }
        };
        let (tier, key, now) = (self.plan.tier, self.key_name(), exchange.received_at);
        let status = respond::forwarded(tier, why, 304, &kept, now, key.as_deref());
        self.send_stored(&merged, &stored, &entry.response, &status)
    }

    /// Stores a copy of `response` in the background, as its body arrives.
    fn put(
        &self,
        place: &Place,
        response: &web_sys::Response,
        fields: &impl Fields,
        stored: &Stored,
        vary: &Vary,
        origin_tag: Option<&str>,
    ) {
        let url = place.for_answer(vary, self.asked.fields);
        let variant = vary.signature(self.asked.fields);
        let entry = entry::head(fields, stored, &variant, origin_tag, clock::now());
        self.gate.store.put_later(&self.gate.context, url, response, stored.status, &entry);
    }

    async fn fetch(&self, fields: &Edits) -> Result<FromOrigin, Stop> {
        self.stay_here()?;
        let url = self.gate.origin.url(self.asked.target);
        let question = platform::forward(self.request, &url, fields.as_str())
            .map_err(|_| Stop::Broken("unsendable-request"))?;
        let requested_at = clock::now();
        let response = origin::fetch(&question).await.map_err(Stop::Unreachable)?;
        let exchange = Exchange { requested_at, received_at: clock::now() };
        Ok(FromOrigin { head: ResponseHead::read(&response), response, exchange })
    }

    /// The client's fields, less those that end here, and who the client is.
    fn travelling_fields(&self) -> Edits {
        let mut fields = Edits::default();
        for (name, _) in self.asked.fields.pairs() {
            let upgrades = self.asked.is_upgrade && name == "upgrade";
            let ends_here = connection::ends(self.asked.fields, name) && !upgrades;
            if ends_here || is_unkeyed_override(name) {
                fields.drop(name);
            }
        }
        origin::put_client(
            &mut fields,
            self.client_ip(),
            self.asked.host.as_str(),
            self.asked.scheme,
        );
        fields
    }

    /// The same without the client's conditions: its range and its validators choose what
    /// the client gets, and the cache wants the whole.
    fn unconditional_fields(&self) -> Edits {
        let mut fields = self.travelling_fields();
        for name in [
            "range",
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
            "if-range",
        ] {
            fields.remove(name);
        }
        fields
    }
}

/// What the origin's answer, or its silence, does to `entry`, when it was asked about what has
/// these validators.
fn decide(
    entry: &Entry,
    asked_about: &[&Validators<'_>],
    answer: &Result<FromOrigin, Stop>,
) -> Refresh {
    let said = answer.as_ref().ok().map(|answer| (answer.head.status(), answer.head.fields()));
    refresh(&entry.stored, asked_about, said, clock::now())
}

/// Asks whether what has these validators is still good (RFC 9111 §4.3.1).
fn put_validators(fields: &mut Edits, stored: &Validators<'_>) {
    for (validator, condition) in
        [("etag", "if-none-match"), ("last-modified", "if-modified-since")]
    {
        if let Some(value) = stored.first(validator).and_then(|value| str::from_utf8(value).ok()) {
            fields.set(condition, value);
        }
    }
}

/// The stored fields, those of a 304 in place of their namesakes (RFC 9111 §3.2). A tag that is
/// `ours` stands for the body as it is stored, and the origin's for another.
fn merge<'a>(stored: &'a Head, update: &'a Head, ours: bool) -> Vec<(&'a str, &'a [u8])> {
    let is_kept = |name: &str| is_kept_on_update(name) || (ours && name == "etag");
    let stays = |name: &str| is_kept(name) || update.first(name).is_none();
    let old = stored.lines().filter(|(name, _)| stays(name));
    old.chain(update.lines().filter(|(name, _)| !is_kept(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> Head {
        ResponseHead::parse(format!("200\n{lines}")).into_fields()
    }

    fn merged(stored: &str, update: &str, ours: bool) -> Vec<String> {
        let (stored, update) = (head(stored), head(update));
        let lines = merge(&stored, &update, ours);
        lines
            .iter()
            .map(|(name, value)| format!("{name}:{}", str::from_utf8(value).unwrap()))
            .collect()
    }

    #[test]
    fn a_304_updates_what_does_not_describe_the_stored_body() {
        let stored = "content-type:text/css\ncontent-length:5\nx-a:1\nx-a:2\nx-b:1";
        let update = "content-type:text/html\ncontent-length:0\nx-a:3\nx-c:1";
        assert_eq!(
            merged(stored, update, false),
            ["content-length:5", "x-b:1", "content-type:text/html", "x-a:3", "x-c:1"]
        );
    }

    #[test]
    fn a_tag_of_ours_stays_and_one_of_the_origins_is_updated() {
        assert_eq!(merged("etag:W/\"1\"", "etag:\"1\"", true), ["etag:W/\"1\""]);
        assert_eq!(merged("etag:\"1\"", "etag:W/\"1\"", false), ["etag:W/\"1\""]);
    }
}
