//! The steps that ask the origin: pass a request on as it is, or ask for an answer that may be
//! stored, or for a word on what is stored.

use tidegate_core::headers::cache_status::Ttl;
use tidegate_core::headers::{Fields, FieldsMut, Vary};
use tidegate_core::refresh::refresh;
use tidegate_core::respond::Problem;
use tidegate_core::reuse::{ForwardReason, STALE_IF_ERROR};
use tidegate_core::store::{renew, store};
use tidegate_core::{
    CacheRule, Exchange, Method, Refresh, Response, Store, Stored, Tier, Timestamp, respond,
};
use worker::web_sys;

use super::answer::{Head, Whole};
use super::known::{
    Known, ask_for_confirmation, ask_for_the_rest, completed, contradicts, is_rest_of, merge,
};
use super::passage::Passage;
use super::{Answer, Stop};
use crate::account::Part;
use crate::cache_store::entry::{self, Facts, Validators};
use crate::cache_store::{self, Entry, Place};
use crate::edits::Edits;
use crate::head::ResponseHead;
use crate::origin::{Caller, Question, Unreachable, Zone};
use crate::platform::{self, discard};
use crate::{clock, connection};

/// An answer of the origin, its body unread.
pub(super) struct FromOrigin {
    pub(super) response: web_sys::Response,
    pub(super) head: ResponseHead,
    pub(super) exchange: Exchange,
}

impl Passage<'_> {
    /// The policy keeps this request out of the cache: method, fields and body go through.
    pub(super) async fn bypass(&self) -> Answer {
        let answer = self.fetch(connection::travelling(self.asked.fields)).await;
        let answer = answer.map_err(|stop| self.unanswered(stop))?;
        let (status, received_at) = (answer.head.status(), answer.exchange.received_at);
        self.invalidate(status, answer.head.fields(), None, received_at);
        let status = respond::bypassed(&self.plan, Some(status));
        Ok(self.relay(answer, &status))
    }

    /// Passes a request on whose method is not answered from a cache. Its answer may still
    /// change what is stored (RFC 9111 §4.4), or be stored itself (RFC 9110 §9.3.3).
    pub(super) async fn pass_method(&self) -> Answer {
        let rule = self.plan.route.and_then(|route| route.cache_rule(self.plan.tier));
        let Some(rule) = rule else { return self.bypass().await };
        let place = Place::of(&self.key(rule), self.asked.host);
        self.ask(rule, Known::Nothing, &place, ForwardReason::Method).await
    }

    /// Asks the origin, keeps what may be kept, and answers.
    pub(super) async fn ask(
        &self,
        rule: &CacheRule,
        known: Known,
        place: &Place,
        why: ForwardReason,
    ) -> Answer {
        let answered = self.fetch(self.question(&known)).await;
        match (decide(&known, &answered), answered, known) {
            (Refresh::Freshen { .. }, Ok(answer), Known::ToConfirm(entry)) => {
                self.freshen(rule, &entry, &answer, place, why)
            }
            (Refresh::AskAgain, Ok(answer), Known::ToConfirm(entry)) => {
                discard(&answer.response);
                Box::pin(self.ask(rule, Known::Fallback(entry), place, why)).await
            }
            (Refresh::ServeStale, answered, Known::Fallback(entry) | Known::ToConfirm(entry)) => {
                if let Ok(answer) = answered {
                    discard(&answer.response);
                }
                self.serve_on_error(&entry)
            }
            (_, Ok(answer), Known::Part(begin)) if self.completes(&begin) => {
                if is_rest_of(&begin, &answer.head) {
                    return self.complete(rule, &begin, answer, place, why);
                }
                begin.discard();
                // Only to who asked for a part do these make sense.
                if !matches!(answer.head.status(), 206 | 304 | 416) {
                    return self.keep(rule, answer, place, why);
                }
                // Neither the rest nor the whole: the part is of no use.
                discard(&answer.response);
                Box::pin(self.ask(rule, Known::Nothing, place, why)).await
            }
            (_, Ok(answer), known) => {
                if let Some(entry) = known.entry().filter(|_| self.asked.method == Method::Head) {
                    self.compare_with_head(rule, entry, &answer, place);
                }
                if let Some(entry) = known.into_entry() {
                    entry.discard();
                }
                self.keep(rule, answer, place, why)
            }
            (_, Err(Stop::Unreachable(_)), known) if known.entry().is_some_and(is_only_fresh) => {
                Err(self.refuse(Problem::must_revalidate()))
            }
            (_, Err(stop), _) => Err(self.unanswered(stop)),
        }
    }

    /// What the origin is asked for what is stored.
    pub(super) fn question(&self, known: &Known) -> Edits {
        let mut question = connection::travelling(self.asked.fields);
        // The conditions of an unsafe request are the origin's to judge; the cache judges those
        // of the others by what it stores.
        if self.asked.method.is_answered_from_cache() {
            for name in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
                question.remove(name);
            }
        }
        match known {
            Known::ToConfirm(entry) => ask_for_confirmation(&mut question, &entry.validators()),
            Known::Part(begin) if self.completes(begin) => {
                ask_for_the_rest(&mut question, begin);
                question.set("accept-encoding", "identity");
            }
            _ => {}
        }
        // What is stored is decoded: parts of anything else would not go with it.
        if self.asked.has_range {
            question.set("accept-encoding", "identity");
        }
        question
    }

    /// Whether the request is for the whole of which `part` is the begin, so that the rest
    /// completes it (RFC 9111 §3.4).
    fn completes(&self, part: &Entry) -> bool {
        let is_begin = part.stored.part.is_some_and(|range| range.first == 0);
        is_begin && !self.asked.has_range && self.asked.method == Method::Get
    }

    /// Serves what is stored although the origin failed (RFC 5861 §4). A client may have asked
    /// for confirmation of what is fresh.
    fn serve_on_error(&self, entry: &Entry) -> Answer {
        let now = clock::now();
        let ttl = match entry.stored.fresh_for(now) {
            Some(left) => Ttl::fresh(left),
            None => Ttl::stale(entry.stored.staleness(now)),
        };
        self.serve(entry, ttl, Some(STALE_IF_ERROR))
    }

    /// Serves a stored begin and its rest as the whole that they make.
    fn complete(
        &self,
        rule: &CacheRule,
        begin: &Entry,
        rest: FromOrigin,
        place: &Place,
        why: ForwardReason,
    ) -> Answer {
        let mut head = Edits::default();
        head.add_all(completed(&begin.fields, rest.head.fields()).into_iter());
        let whole = begin
            .source
            .response()
            .and_then(|begin| begin.body())
            .zip(rest.response.body())
            .and_then(|(begin, rest)| {
                platform::respond(200, Some(&platform::joined(&begin, &rest)), head.as_str()).ok()
            });
        let response = whole.ok_or(Stop::Broken("unusable-entry"))?;
        let head = ResponseHead::read(&response);
        self.keep(rule, FromOrigin { response, head, exchange: rest.exchange }, place, why)
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
        let (code, fields, now) = (head.status(), head.fields(), exchange.received_at);
        let read = Response::read(Tier::Edge, code, fields, now);
        let kept = match cache_store::refusal(code, fields) {
            None => store(rule, &self.asked, &read, exchange),
            Some(refusal) => Store::Skip(refusal),
        };
        let is_kept = matches!(kept, Store::Keep { .. });
        self.invalidate(code, fields, is_kept.then_some(place), now);
        if let Store::Keep { stored, vary } = &kept {
            // What an unsafe request invalidates is older than its own answer.
            let is_safe = self.asked.method.is_safe();
            let asked_at = if is_safe { exchange.requested_at } else { exchange.received_at };
            self.put(rule, place, (Some(response), None), fields, (stored, vary), asked_at);
            self.remember_alike(rule, &self.key(rule), fields);
        } else if code < 500
            && let Some(turn) = self.turn.take()
        {
            // What fails may be another's soon, but this is for nobody else.
            turn.end_unshared(now);
        }
        let (tier, key) = (self.plan.tier, self.key_name());
        let status = respond::forwarded(tier, why, code, &kept, now, key.as_deref());
        match &kept {
            Store::Keep { .. } if self.is_unchanged(code, fields) => {
                discard(response);
                self.not_modified(fields, None, &status)
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
        let merged = merge(entry, confirmed.head.fields());
        let kept = self.judge_again(rule, entry, &merged, &confirmed.exchange);
        let stored = match &kept {
            Store::Keep { stored, vary } => {
                self.put(
                    rule,
                    place,
                    (entry.source.response().as_ref(), entry.origin_tag.as_deref()),
                    &merged,
                    (stored, vary),
                    confirmed.exchange.requested_at,
                );
                *stored
            }
            Store::Skip(_) => {
                self.gate.store.delete_later(&self.gate.context, place, entry.url.clone());
                entry.stored
            }
        };
        let (tier, key, now) = (self.plan.tier, self.key_name(), confirmed.exchange.received_at);
        let status = respond::forwarded(tier, why, 304, &kept, now, key.as_deref());
        let known = Whole { fields: &merged, stored: &stored, body_len: entry.body_len() };
        self.send_stored(&known, (entry, Head::Updated), &status)
    }

    /// What the answer to a HEAD says of the stored answer to GET: it is still good, or it is
    /// not what it was (RFC 9111 §4.3.5).
    fn compare_with_head(
        &self,
        rule: &CacheRule,
        entry: &Entry,
        answer: &FromOrigin,
        place: &Place,
    ) {
        let said = answer.head.fields();
        if answer.head.status() != 200 {
            return;
        }
        if contradicts(entry, said) {
            return self.gate.store.delete_later(&self.gate.context, place, entry.url.clone());
        }
        let merged = merge(entry, said);
        if let Store::Keep { stored, vary } =
            self.judge_again(rule, entry, &merged, &answer.exchange)
        {
            self.put(
                rule,
                place,
                (entry.source.response().as_ref(), entry.origin_tag.as_deref()),
                &merged,
                (&stored, &vary),
                answer.exchange.requested_at,
            );
        }
    }

    /// The terms under which a stored answer goes on whose head was brought up to date.
    fn judge_again(
        &self,
        rule: &CacheRule,
        entry: &Entry,
        head: &impl Fields,
        exchange: &Exchange,
    ) -> Store {
        let Stored { status, part, .. } = entry.stored;
        let read = Response::read(Tier::Edge, status, head, exchange.received_at);
        match renew(rule, &self.asked, &read, exchange) {
            Store::Keep { stored, vary } => Store::Keep { stored: Stored { part, ..stored }, vary },
            skip => skip,
        }
    }

    /// Stores a copy of `response` in the background, as its body arrives; the tag is that of
    /// [`Facts::origin_tag`].
    fn put(
        &self,
        rule: &CacheRule,
        place: &Place,
        (response, origin_tag): (Option<&web_sys::Response>, Option<&str>),
        fields: &impl Fields,
        (stored, vary): (&Stored, &Vary),
        asked_at: Timestamp,
    ) {
        let Some(response) = response else { return };
        let url = place.for_answer(vary, self.asked.fields);
        let tags = self.plan.tags(&self.asked, &self.who, fields);
        let facts = Facts {
            stored,
            origin_tag,
            variant: vary.signature(self.asked.fields),
            asked_at,
            generation: place.generation,
            names: self.names(rule, &tags),
            tags: &tags,
        };
        let head = entry::head(fields, &facts, clock::now());
        self.gate.store.put_later(
            &self.gate.context,
            place,
            (url, response),
            &head,
            self.turn.take(),
        );
    }

    pub(super) async fn fetch(&self, fields: Edits) -> Result<FromOrigin, Stop> {
        self.fetch_by(fields, Zone::Unused).await
    }

    /// The same; `zone` says what the zone's own cache has to do with it.
    pub(super) async fn fetch_by(&self, fields: Edits, zone: Zone) -> Result<FromOrigin, Stop> {
        self.stay_here()?;
        let Self { gate, request, method, ref asked, .. } = *self;
        let caller =
            Caller { ip: self.client_ip(), host: asked.host.as_str(), scheme: asked.scheme };
        // The normalised target: what was matched and what is in the key is what is fetched.
        let (path, query) = (asked.target.path(), asked.target.query());
        let question = Question { request, method, path, query, fields, caller, zone };
        let asking = gate.origin.ask(&question, &gate.policy, &gate.env);
        let answered = gate.account.timed(Part::Origin, asking).await;
        let (requested_at, response) = answered.map_err(|error| match error {
            Unreachable::Unsent => Stop::Broken("unsendable-request"),
            error => Stop::Unreachable(error),
        })?;
        #[cfg(feature = "faults")]
        crate::faults::at("answer", asked.fields)?;
        let exchange = Exchange { requested_at, received_at: clock::now() };
        Ok(FromOrigin { head: ResponseHead::read(&response), response, exchange })
    }
}

/// What the origin's answer, or its silence, does to what is stored. A URL holds one answer, and
/// what suits this request lies at one: a 304 can be about no other.
fn decide(known: &Known, answered: &Result<FromOrigin, Stop>) -> Refresh {
    let Some(entry) = known.entry() else { return Refresh::Replace };
    let said = answered.as_ref().ok().map(|answer| (answer.head.status(), answer.head.fields()));
    let validators = entry.validators();
    let asked_about: &[&Validators<'_>] = match known {
        Known::ToConfirm(_) => &[&validators],
        _ => &[],
    };
    refresh(&entry.stored, asked_about, said, clock::now())
}

/// Whether a stored answer must not serve without being confirmed (RFC 9111 §5.2.2.2).
fn is_only_fresh(entry: &Entry) -> bool {
    entry.stored.forbids_stale
}
