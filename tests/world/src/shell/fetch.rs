//! Answers from the origin, and what becomes of them.

use std::sync::Arc;

use tidegate_core::alike::Alike;
use tidegate_core::headers::cache_status::Ttl;
use tidegate_core::headers::range::ContentRange;
use tidegate_core::headers::{Fields, FieldsMut, Vary};
use tidegate_core::invalidate::{Resource, invalidated};
use tidegate_core::partial::may_combine;
use tidegate_core::refresh::refresh;
use tidegate_core::respond::Problem;
use tidegate_core::reuse::{ForwardReason, STALE_IF_ERROR};
use tidegate_core::store::{renew, store};
use tidegate_core::{
    CacheKey, CacheRule, Exchange, Method, Refresh, Response as Answered, Store as Decision,
    Stored, forward, respond,
};

use super::answer::{self, contradicts, end_to_end, merge, storable};
use super::{Origin, Passage};
use crate::message::{Head, Request, Response};
use crate::store::{Answer, Store};

/// What is stored for a request that must go to the origin.
pub(super) enum Known {
    Nothing,
    /// An answer that may serve if the origin fails.
    Fallback(Arc<Answer>),
    /// The same, and the origin may confirm it.
    ToConfirm(Arc<Answer>),
    /// A fresh part that lacks what is asked for; the origin may complete it.
    Part(Arc<Answer>),
}

/// One question to the origin on behalf of the cache.
pub(super) struct Fetch<'a> {
    pub(super) passage: &'a Passage<'a>,
    pub(super) rule: &'a CacheRule,
    pub(super) key: CacheKey,
    pub(super) why: ForwardReason,
}

impl Passage<'_> {
    /// Passes a request on untouched by the cache.
    pub(super) fn bypass(&self, store: &mut Store, origin: &mut Origin) -> Response {
        match origin.ask(self.question(), self.now) {
            Err(problem) => answer::problem(&problem, self.tier),
            Ok(mut response) => {
                let head = response.head.clone();
                self.invalidate(response.status, &head, store);
                response.head = end_to_end(&head);
                self.finish(&mut response, &head);
                let status = respond::bypassed(&self.plan, Some(response.status));
                respond::cache_status(&mut response.head, &status);
                response
            }
        }
    }

    /// Passes a request on whose method is not answered from a cache.
    pub(super) fn pass_method(&self, store: &mut Store, origin: &mut Origin) -> Response {
        let rule = self.plan.route.and_then(|route| route.cache_rule(self.tier));
        let Some(rule) = rule else { return self.bypass(store, origin) };
        let key = CacheKey::of(&rule.key, self.asked, &self.identity);
        let fetch = Fetch { passage: self, rule, key, why: ForwardReason::Method };
        fetch.run(Known::Nothing, store, origin)
    }

    /// Drops what this request and its answer make void (RFC 9111 §4.4, RFC 9875 §3).
    fn invalidate(&self, status: u16, head: &Head, store: &mut Store) {
        let tags = self.plan.invalidates(self.asked, &self.identity, status, head);
        let void = invalidated(self.asked, status, head);
        let kept = |resource| self.plan.kept_for(resource, self.asked.fields);
        let void: Vec<Resource> = void.iter().filter_map(kept).collect();
        store.invalidate(&void, &tags);
    }

    /// What the origin is asked: the normalised target, and the fields that travel on.
    fn question(&self) -> Request {
        let mut question = self.request.clone();
        question.target = self.asked.target.to_string();
        question.head = end_to_end(&question.head);
        // An absolute target names the host whatever Host says (RFC 9112 §3.2.2).
        if self.request.target.starts_with("http://") {
            question.head.set("host", self.asked.host.as_str());
        }
        question.head.0.retain(|(name, _)| !forward::is_unkeyed_override(name));
        question
    }
}

impl Fetch<'_> {
    /// Asks the origin, keeps what may be kept, and answers.
    pub(super) fn run(self, known: Known, store: &mut Store, origin: &mut Origin) -> Response {
        let mut question = self.passage.question();
        let is_conditional =
            |(name, _): &(String, String)| name.starts_with("if-") && name != "if-range";
        match &known {
            // The conditions of an unsafe request are the origin's to judge.
            Known::Nothing if !self.passage.asked.method.is_answered_from_cache() => {}
            _ => question.head.0.retain(|line| !is_conditional(line)),
        }
        match &known {
            Known::ToConfirm(answer) => ask_for_confirmation(&mut question.head, &answer.head),
            Known::Part(part) if self.completes(part) => ask_for_the_rest(&mut question.head, part),
            _ => {}
        }
        let answered = origin.ask(question, self.passage.now);
        let now = self.passage.now;
        let candidates = match &known {
            Known::ToConfirm(chosen) => {
                store.candidates(&self.key, &self.passage.request.head, chosen)
            }
            _ => Vec::new(),
        };
        let decision = known.answer().map_or(Refresh::Replace, |answer| {
            let heads: Vec<&Head> = candidates.iter().map(|candidate| &candidate.head).collect();
            let said = answered.as_ref().ok().map(|response| (response.status, &response.head));
            refresh(&answer.stored, &heads, said, now)
        });
        match (decision, answered, &known) {
            (Refresh::Freshen { serve, also }, Ok(response), _) => {
                for at in also {
                    self.update(&candidates[at], &response.head, store);
                }
                self.freshen(&candidates[serve], &response.head, store)
            }
            (Refresh::AskAgain, Ok(_), Known::ToConfirm(stale)) => {
                self.run(Known::Fallback(Arc::clone(stale)), store, origin)
            }
            (Refresh::ServeStale, _, Known::Fallback(stale) | Known::ToConfirm(stale)) => {
                let age = stale.stored.age(now);
                let ttl = stale
                    .stored
                    .fresh_for(now)
                    .map_or_else(|| Ttl::stale(stale.stored.staleness(now)), Ttl::fresh);
                self.passage.serve(stale, age, ttl, Some(STALE_IF_ERROR))
            }
            (_, Ok(response), Known::Part(part)) if self.completes(part) => {
                match complete(part, response) {
                    Some(completed) => self.keep(completed, store),
                    None => self.run(Known::Nothing, store, origin),
                }
            }
            (_, Ok(response), _) => {
                self.compare_with_head(known.answer(), &response, store);
                self.keep(response, store)
            }
            (_, Err(_), Known::Fallback(stale) | Known::ToConfirm(stale))
                if stale.stored.forbids_stale =>
            {
                answer::problem(&Problem::must_revalidate(), self.passage.tier)
            }
            (_, Err(problem), _) => answer::problem(&problem, self.passage.tier),
        }
    }

    /// Whether the request is for the whole of which `part` is the begin (RFC 9111 §3.4).
    fn completes(&self, part: &Answer) -> bool {
        let is_begin = part.stored.part.is_some_and(|range| range.first == 0);
        is_begin && !self.passage.asked.has_range && self.passage.asked.method == Method::Get
    }

    /// Answers with what the origin said, and stores it where it may be kept.
    fn keep(self, mut response: Response, store_: &mut Store) -> Response {
        let Passage { asked, request, tier, now, .. } = *self.passage;
        let head = end_to_end(&response.head);
        let answered = Answered::read(tier, response.status, &head, now);
        let decision = store(self.rule, asked, &answered, &self.exchange());
        self.passage.invalidate(response.status, &head, store_);
        response.head = head.clone();
        let has_it = self.passage.client_has(response.status, &head);
        let status = response.status;
        self.say(&mut response, status, &decision);
        self.passage.finish(&mut response, &head);
        if let Decision::Keep { stored, vary } = decision {
            let answer = Answer {
                stored,
                tags: self.passage.plan.tags(asked, &self.passage.identity, &head),
                signature: vary.signature(&request.head),
                head: storable(head, tier),
                body: response.body.clone(),
                vary,
                resource: Resource::kept(&self.rule.key, asked),
            };
            let query = asked.target.query();
            if let Some(alike) = Alike::of(self.key.clone(), query, &answer.head) {
                let path = CacheKey::of_any_query(&self.rule.key, asked, &self.passage.identity);
                store_.remember_alike(path, alike);
            }
            store_.put(self.key, answer);
            if has_it {
                answer::not_modified(&mut response);
            }
        }
        response
    }

    /// What the answer to a HEAD says of the stored answer to GET (RFC 9111 §4.3.5).
    fn compare_with_head(&self, known: Option<&Arc<Answer>>, said: &Response, store: &mut Store) {
        let is_head = self.passage.asked.method == Method::Head && said.status == 200;
        let Some(known) = known.filter(|_| is_head) else { return };
        if contradicts(&known.head, &said.head) {
            return store.remove(&self.key);
        }
        let head = merge(&known.head, &said.head);
        if let Decision::Keep { stored, vary } = self.renewed(known, &head) {
            let answer = self.successor(known, stored, vary, storable(head, self.passage.tier));
            store.replace(self.key.clone(), known, answer);
        }
    }

    /// Answers with a stored answer that the origin has confirmed.
    fn freshen(self, confirmed: &Answer, update: &Head, store: &mut Store) -> Response {
        let (answer, decision) = self.update(confirmed, update, store);
        let mut response = self.passage.stored(&answer);
        respond::age(&mut response.head, answer.stored.age(self.passage.now));
        self.say(&mut response, 304, &decision);
        response
    }

    /// Puts a stored answer with its head brought up to date in place of it, if it may be kept.
    fn update(&self, known: &Answer, update: &Head, store: &mut Store) -> (Answer, Decision) {
        let head = merge(&known.head, update);
        let decision = self.renewed(known, &head);
        let (stored, vary) = match &decision {
            Decision::Keep { stored, vary } => (*stored, vary.clone()),
            Decision::Skip(_) => (known.stored, known.vary.clone()),
        };
        let answer = self.successor(known, stored, vary, head);
        match decision {
            Decision::Keep { .. } => {
                let answer = Answer {
                    head: storable(answer.head.clone(), self.passage.tier),
                    ..answer.clone()
                };
                store.replace(self.key.clone(), known, answer);
            }
            Decision::Skip(_) => store.remove(&self.key),
        }
        (answer, decision)
    }

    /// The same answer under new terms, with its head brought up to date; the request that
    /// brought the update chose it as well as the one before (RFC 9111 §4.1).
    fn successor(&self, old: &Answer, stored: Stored, vary: Vary, head: Head) -> Answer {
        Answer {
            stored: Stored { part: old.stored.part, ..stored },
            signature: vary.signature(&self.passage.request.head),
            vary,
            head,
            ..old.clone()
        }
    }

    /// The terms of a stored answer whose head was brought up to date.
    fn renewed(&self, known: &Answer, head: &Head) -> Decision {
        let Passage { asked, tier, now, .. } = *self.passage;
        let answered = Answered::read(tier, known.stored.status, head, now);
        renew(self.rule, asked, &answered, &self.exchange())
    }

    /// In this world the origin needs no time.
    fn exchange(&self) -> Exchange {
        Exchange { requested_at: self.passage.now, received_at: self.passage.now }
    }

    /// Says in Cache-Status what happened.
    fn say(&self, response: &mut Response, status: u16, decision: &Decision) {
        let Passage { tier, now, .. } = *self.passage;
        let status = respond::forwarded(tier, self.why, status, decision, now, None);
        respond::cache_status(&mut response.head, &status);
    }
}

impl Known {
    /// A stale answer, to be confirmed where it has something to ask with.
    pub(super) fn to_confirm(answer: Arc<Answer>) -> Self {
        match answer.stored.has_validator {
            true => Self::ToConfirm(answer),
            false => Self::Fallback(answer),
        }
    }

    fn answer(&self) -> Option<&Arc<Answer>> {
        match self {
            Self::Nothing | Self::Part(_) => None,
            Self::Fallback(answer) | Self::ToConfirm(answer) => Some(answer),
        }
    }
}

/// Asks whether a stored answer is still good (RFC 9111 §4.3.1).
fn ask_for_confirmation(head: &mut Head, stored: &Head) {
    for (validator, condition) in
        [("etag", "if-none-match"), ("last-modified", "if-modified-since")]
    {
        let value = stored.0.iter().find(|(name, _)| name == validator);
        head.0.extend(value.map(|(_, value)| (condition.to_owned(), value.clone())));
    }
}

/// Asks for what a stored begin lacks, or the whole if it is another by now.
fn ask_for_the_rest(head: &mut Head, begin: &Answer) {
    head.0.retain(|(name, _)| name != "range" && name != "if-range");
    head.0.push(("range".into(), format!("bytes={}-", begin.body.len())));
    let tag = begin.head.joined("etag").filter(|tag| !tag.starts_with("W/"));
    head.0.extend(tag.map(|tag| ("if-range".to_owned(), tag)));
}

/// Puts a part and the rest together, or takes what came in place of it.
fn complete(part: &Answer, rest: Response) -> Option<Response> {
    if !matches!(rest.status, 206 | 304 | 416) {
        return Some(rest);
    }
    let range = rest.head.first("content-range").and_then(ContentRange::parse)?;
    let fits = range.first == part.body.len() as u64 && range.complete == Some(range.last + 1);
    if rest.status != 206 || !fits || !may_combine(&part.head, &rest.head) {
        return None;
    }
    let mut head = part.head.clone();
    head.overwrite(&rest.head, |_| false);
    head.0.retain(|(name, _)| name != "content-range" && name != "content-length");
    Some(Response { status: 200, head, body: part.body.clone() + &rest.body })
}
