//! Answers from upstream, and what becomes of them.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONNECTION, HeaderValue, IF_RANGE, RANGE, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use tidegate_core::compress::Offer;
use tidegate_core::headers::Fields;
use tidegate_core::headers::cache_status::Ttl;
use tidegate_core::invalidate::{Resource, Tag, invalidated};
use tidegate_core::policy::Closed;
use tidegate_core::refresh::refresh;
use tidegate_core::respond::Problem;
use tidegate_core::reuse::{
    BREAKER_OPEN, ForwardReason, STALE_IF_ERROR, serves_on_error, serves_while_open,
};
use tidegate_core::store::{renew, store};
use tidegate_core::{
    CacheKey, CacheRule, Exchange, Method, Refresh, Request, Response as Answered, Store, Tier,
    Timestamp, respond,
};

use super::fetched::{Fetched, complete};
use super::find::Renewed;
use super::heads::{merge, storable};
use super::known::Known;
use super::shadow::{Comparison, Shadow};
use super::{Gate, Passage, answer, read_target};
use crate::answer_store::Answer;
use crate::asking::{End, Place, Turn};
use crate::body::{Body, BodyError};
use crate::clock;
use crate::coder::{CodedBodies, Coder};
use crate::compressing::Record;
use crate::http1::Upgrade;
use crate::in_force::InForce;
use crate::invalidations::{Moment, Void};
use crate::metrics::{Call, CallMetrics};
use crate::origin::{AnswerBody, Origins};
use crate::overlay;
use crate::recording::{NotWhole, Recorder};
use crate::stored_head::StoredHead;
use crate::stores::Stores;
use crate::upstream::{self, Question, UpstreamError};
use crate::visitor::Visitor;

/// One question to upstream on behalf of the cache.
pub(super) struct Fetch<'a> {
    pub(super) passage: &'a Passage<'a>,
    pub(super) rule: &'a CacheRule,
    pub(super) key: CacheKey,
    pub(super) why: ForwardReason,
    /// The right to ask on behalf of others, until the answer is stored.
    pub(super) turn: Option<Turn>,
    /// What the cache would have done, where it only watches.
    pub(super) shadow: Option<Shadow>,
}

impl Gate {
    /// Passes a request on untouched by the cache.
    pub(super) async fn bypass(&self, passage: &Passage<'_>, body: Body) -> Response<Body> {
        if let Some(closed) = passage.closed {
            return answer::closed(passage, closed, clock::now());
        }
        let Some(origin) = self.origins.of(passage.in_force, &passage.plan) else {
            return no_route(passage);
        };
        let mut question = Question { body, ..question(passage) };
        origin.ask_to_upgrade(&mut question, passage.parts);
        let call = passage.begin_call();
        let answered = origin.ask(passage.parts, question).await;
        end_call(call, &answered);
        match answered {
            Err(error) => unanswered(passage, error),
            Ok(response) => {
                let (parts, incoming) = response.into_parts();
                if parts.status == StatusCode::SWITCHING_PROTOCOLS {
                    return self.change_protocol(passage, incoming, &parts.headers);
                }
                passage.invalidate(parts.status, &parts.headers);
                let mut response = Response::new(Body::Answer(incoming));
                *response.status_mut() = parts.status;
                *response.headers_mut() = upstream::end_to_end(&parts.headers);
                *response.extensions_mut() = parts.extensions;
                answer::finish(passage, &mut response, &parts.headers);
                passage.compress(&mut response, &parts.headers, false, |_| None);
                let status = respond::bypassed(&passage.plan, Some(parts.status.as_u16()));
                respond::cache_status(response.headers_mut(), &status);
                response
            }
        }
    }

    /// The answer with which both sides leave HTTP. From then on, what a client sends is its
    /// server's, and the reverse; a service in this process has taken the client's side itself.
    fn change_protocol(
        &self,
        passage: &Passage<'_>,
        incoming: AnswerBody,
        head: &HeaderMap,
    ) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = upstream::end_to_end(head);
        for protocol in head.get_all(UPGRADE) {
            response.headers_mut().append(UPGRADE, protocol.clone());
        }
        let upgrade = passage.parts.extensions.get::<Upgrade>().cloned();
        match (incoming.into_tunnel(), upgrade) {
            (Some(tunnel), Some(upgrade)) => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move { tunnel.run(upgrade, shared.tunnels()).await });
            }
            // The server around the service does not say it by itself.
            _ => {
                drop(response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade")))
            }
        }
        let status = respond::bypassed(&passage.plan, Some(101));
        respond::cache_status(response.headers_mut(), &status);
        response
    }

    /// Passes a request on whose method is not answered from a cache. Its answer may still
    /// change what is stored (RFC 9111 §4.4), or be stored itself (RFC 9110 §9.3.3).
    pub(super) async fn pass_method(&self, passage: &Passage<'_>, body: Body) -> Response<Body> {
        let rule = passage.plan.route.and_then(|route| route.cache_rule(Tier::Origin));
        let Some(rule) = rule else { return self.bypass(passage, body).await };
        let key = CacheKey::of(&rule.key, passage.asked, &passage.visitor.identity);
        let why = ForwardReason::Method;
        let fetch = Fetch { passage, rule, key, why, turn: None, shadow: None };
        fetch.run(&self.origins, Known::Nothing, body).await
    }

    /// Brings a stale answer up to date behind the client's back, once at a time for a key
    /// (RFC 5861 §3).
    pub(super) fn refresh_in_background(
        self: &Arc<Self>,
        passage: &Passage<'_>,
        key: CacheKey,
        stale: Arc<Answer>,
    ) {
        let place = Place { key, variant: stale.signature.clone() };
        let Some(turn) = self.shared.turns.refresh(place, passage.now) else { return };
        let (gate, in_force) = (Arc::clone(self), Arc::clone(passage.in_force));
        let (parts, visitor) = (passage.parts.clone(), passage.visitor.clone());
        tokio::spawn(async move {
            if let Some(refreshed) = gate.refresh(&in_force, &parts, &visitor, turn, stale).await {
                refreshed.into_body().drain().await;
            }
        });
    }
}

impl Gate {
    /// Asks anew what was asked with these fields; `None` if it is not to be cached at all.
    async fn refresh(
        &self,
        in_force: &Arc<InForce>,
        parts: &Parts,
        visitor: &Visitor,
        turn: Turn,
        stale: Arc<Answer>,
    ) -> Option<Response<Body>> {
        let (scheme, host, target) =
            read_target(parts, visitor.client.scheme, visitor.edge.as_ref()).ok()?;
        let asked = Request::read(Method::Get, scheme, &host, &target, &parts.headers);
        let plan = in_force.policy.plan(Tier::Origin, &asked);
        let offer = plan.compression().ok().map(|rule| Offer::to(rule, &asked));
        let mut passage = Passage {
            in_force,
            asked: &asked,
            parts,
            plan,
            offer,
            visitor,
            closed: None,
            now: clock::now(),
            collapsed: None,
            is_from_redis: false,
            // No client waits for what comes before the answer.
            interim: None,
        };
        let (rule, why) = (plan.cache.ok()?, ForwardReason::Stale);
        let key = turn.key().clone();
        let stale = match passage.renew(rule, &key, stale).await {
            Renewed::Not(stale) => stale,
            Renewed::ByAnother => {
                turn.end(End::Stored, passage.now);
                return None;
            }
        };
        let turn = Some(turn);
        let fetch = Fetch { passage: &passage, rule, key, why, turn, shadow: None };
        Some(fetch.run(&self.origins, Known::to_confirm(stale), Body::empty()).await)
    }
}

impl Fetch<'_> {
    /// Asks upstream, keeps what may be kept, and answers.
    pub(super) async fn run(
        mut self,
        origins: &Origins,
        known: Known,
        body: Body,
    ) -> Response<Body> {
        if let Some(closed) = self.passage.closed {
            return self.run_without_origin(&known, closed);
        }
        let Some(origin) = origins.of(self.passage.in_force, &self.passage.plan) else {
            return no_route(self.passage);
        };
        let mut question = Question { body, ..question(self.passage) };
        match &known {
            Known::ToConfirm(answer) => {
                upstream::ask_for_confirmation(&mut question.head, &answer.head);
            }
            // The conditions of an unsafe request are the origin's to judge.
            Known::Nothing if !self.passage.asked.method.is_answered_from_cache() => {}
            Known::Fallback(_) | Known::Nothing => upstream::ask_for_the_whole(&mut question.head),
            Known::Part(part) => {
                upstream::ask_for_the_whole(&mut question.head);
                if self.completes(part) {
                    upstream::ask_for_the_rest(&mut question.head, part);
                }
            }
        }
        let began = self.passage.in_force.answers.begin();
        let requested_at = clock::now();
        let call = self.passage.begin_call();
        let mut answered = origin.ask(self.passage.parts, question).await;
        end_call(call, &answered);
        let exchange = Exchange { requested_at, received_at: clock::now() };
        if let Ok(response) = &mut answered {
            upstream::date(response.headers_mut(), exchange.received_at);
        }

        if let (Err(UpstreamError::Open { .. }), Some(stale)) = (&answered, known.answer())
            && serves_while_open(&stale.stored, self.passage.plan.serves_stale_while_open())
        {
            self.end_turn(End::Failed);
            return self.serve_stale(stale, BREAKER_OPEN, exchange.received_at);
        }
        let candidates = self.candidates(&known);
        let decision = known.answer().map_or(Refresh::Replace, |answer| {
            let heads: Vec<&StoredHead> = candidates.iter().map(|answer| &answer.head).collect();
            let said = answered.as_ref().ok().map(|said| (said.status().as_u16(), said.headers()));
            refresh(&answer.stored, &heads, said, exchange.received_at)
        });
        let asked = Asked { exchange, began };
        match (decision, answered, &known) {
            (Refresh::Freshen { serve, also }, Ok(response), _) => {
                for at in also {
                    self.update(&candidates[at], response.headers(), &asked);
                }
                self.freshen(&candidates[serve], response.headers(), &asked)
            }
            (Refresh::AskAgain, Ok(_), Known::ToConfirm(stale)) => {
                let known = Known::Fallback(Arc::clone(stale));
                Box::pin(self.run(origins, known, Body::empty())).await
            }
            (Refresh::ServeStale, _, Known::Fallback(stale) | Known::ToConfirm(stale)) => {
                self.end_turn(End::Failed);
                self.serve_stale(stale, STALE_IF_ERROR, exchange.received_at)
            }
            (_, Ok(response), Known::Part(part)) if self.completes(part) => {
                match complete(part, response) {
                    Ok(completed) => self.keep(completed, &asked),
                    // Neither the rest nor the whole: the part is of no use.
                    Err(_unusable) => {
                        Box::pin(self.run(origins, Known::Nothing, Body::empty())).await
                    }
                }
            }
            (_, Ok(response), _) => {
                let known = known.answer().filter(|_| self.passage.asked.method == Method::Head);
                self.compare_with_head(known, &response, &asked);
                self.keep(Fetched::from(response), &asked)
            }
            (_, Err(error), Known::Fallback(stale) | Known::ToConfirm(stale))
                if stale.stored.forbids_stale && !matches!(error, UpstreamError::Open { .. }) =>
            {
                self.end_turn(End::Failed);
                answer::problem(&Problem::must_revalidate())
            }
            (_, Err(error), _) => {
                self.end_turn(End::Failed);
                unanswered(self.passage, error)
            }
        }
    }

    /// Lets those go who wait.
    fn end_turn(&mut self, end: End) {
        if let Some(turn) = self.turn.take() {
            turn.end(end, clock::now());
        }
    }

    /// The stored answers that a 304 may be about: none unless one was to be confirmed.
    fn candidates(&self, known: &Known) -> Vec<Arc<Answer>> {
        match known {
            Known::ToConfirm(chosen) => {
                self.passage.store().candidates(&self.key, &self.passage.parts.headers, chosen)
            }
            Known::Nothing | Known::Fallback(_) | Known::Part(_) => Vec::new(),
        }
    }

    /// Answers in maintenance with what is stored, if it may serve when the origin fails.
    fn run_without_origin(self, known: &Known, closed: Closed<'_>) -> Response<Body> {
        let now = clock::now();
        let may_serve = |stale: &&Arc<Answer>| serves_on_error(&stale.stored, now);
        match known.answer().filter(may_serve) {
            Some(stale) => self.serve_stale(stale, STALE_IF_ERROR, now),
            None => answer::closed(self.passage, closed, now),
        }
    }

    /// What an answer with this head can be invalidated by, besides its URI.
    fn tags(&self, head: &HeaderMap) -> Arc<[Tag]> {
        let Passage { plan, asked, visitor, .. } = self.passage;
        plan.tags(asked, &visitor.identity, head).into()
    }

    /// Whether the request is for the whole of which `part` is the begin, so that the rest
    /// completes it (RFC 9111 §3.4).
    fn completes(&self, part: &Answer) -> bool {
        let is_begin = part.stored.part.is_some_and(|range| range.first == 0);
        is_begin && !self.passage.asked.has_range && self.passage.asked.method == Method::Get
    }

    /// Answers with what upstream said, and records it where it may be kept.
    fn keep(mut self, fetched: Fetched, asked: &Asked) -> Response<Body> {
        let Fetched { status, head: fields, begin, incoming } = fetched;
        let head = upstream::end_to_end(&fields);
        let now = asked.exchange.received_at;
        let answered = Answered::read(Tier::Origin, status.as_u16(), &head, now);
        let decision = store(self.rule, self.passage.asked, &answered, &asked.exchange);
        let decision = self.passage.own_variance(decision, &head);
        let decision = match &self.shadow {
            Some(shadow) => shadow.what.keep(decision),
            None => decision,
        };

        self.passage.invalidate(status, &head);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        response.headers_mut().clone_from(&head);
        let has_it = answer::client_has(self.passage, status, &head, now);
        self.say(&mut response, status.as_u16(), &decision, &asked.exchange);
        answer::finish(self.passage, &mut response, &head);
        let shadow = self.shadow.take();
        let comparison =
            shadow.and_then(|shadow| shadow.compare(self.passage, &self.key, status, &head));
        let came_with = self.passage.offer.map(|_| head.clone());
        let is_kept = matches!(decision, Store::Keep { .. });
        let mut coder = None;
        if !is_for_others(&decision, now) {
            // What fails may be another's soon.
            let fails = status.is_server_error();
            self.end_turn(if fails { End::Failed } else { End::Unshared });
        }
        match decision {
            Store::Skip(_) => match comparison {
                Some(comparison) => {
                    let recorder = comparison.of_body(begin, incoming);
                    answer::fill_recorded(&mut response, recorder, has_it);
                }
                None if begin.is_empty() => *response.body_mut() = Body::Answer(incoming),
                None => {
                    *response.body_mut() = Body::Recorded(Recorder::unrecorded(begin, incoming));
                }
            },
            Store::Keep { stored, vary } => {
                self.passage.remember_alike(&self.key, &head);
                coder = self.passage.offer.map(|_| Coder::new(self.key.clone()));
                let answer = Answer {
                    stored,
                    signature: vary.signature(&self.passage.parts.headers),
                    tags: self.tags(&head),
                    terms: self.passage.plan.terms(),
                    head: storable(&head),
                    body: Bytes::new(),
                    coded: CodedBodies::default(),
                    coder: coder.clone(),
                    vary,
                    resource: Resource::kept(&self.rule.key, self.passage.asked),
                    // What invalidated it just now was this very answer's request.
                    began: match self.passage.asked.method {
                        Method::Get => asked.began,
                        _ => self.passage.in_force.answers.begin(),
                    },
                };
                let stores = self.passage.stores();
                let waiting = (self.turn, comparison);
                let recorder = record(stores, self.key, (begin, incoming), answer, waiting);
                answer::fill_recorded(&mut response, recorder, has_it);
            }
        }
        if let Some(head) = came_with {
            let record =
                |coding| Some(Record::new(coder?, Arc::clone(self.passage.store()), coding));
            self.passage.compress(&mut response, &head, is_kept, record);
        }
        response
    }

    /// What the answer to a HEAD says of the stored answer to GET: it is still good, or it is
    /// not what it was (RFC 9111 §4.3.5).
    fn compare_with_head(
        &self,
        known: Option<&Arc<Answer>>,
        response: &Response<AnswerBody>,
        asked: &Asked,
    ) {
        let Some(known) = known.filter(|_| response.status() == StatusCode::OK) else { return };
        let changed = ["etag", "last-modified", "content-length"].into_iter().any(|name| {
            let said = response.headers().first(name);
            said.is_some() && said != known.head.first(name)
        });
        if changed {
            self.passage.stores().remove(&self.key, known);
            return;
        }
        let (head, decision) = self.judge_again(known, response.headers(), asked);
        if let Store::Keep { stored, vary } = decision {
            let request = &self.passage.parts.headers;
            let answer = known.renewed((stored, vary), storable(&head), request, asked.began);
            self.passage.stores().replace(
                self.key.clone(),
                known,
                answer,
                asked.exchange.received_at,
            );
        }
    }

    /// The head of a stored answer brought up to date, and the terms under which it goes on.
    fn judge_again(&self, known: &Answer, update: &HeaderMap, asked: &Asked) -> (HeaderMap, Store) {
        let head = merge(&known.head, update);
        let now = asked.exchange.received_at;
        let answered = Answered::read(Tier::Origin, known.stored.status, &head, now);
        let decision = renew(self.rule, self.passage.asked, &answered, &asked.exchange);
        let decision = self.passage.own_variance(decision, &head);
        (head, decision)
    }

    /// Answers with a stored answer that upstream has confirmed, its head brought up to date.
    fn freshen(mut self, confirmed: &Answer, update: &HeaderMap, asked: &Asked) -> Response<Body> {
        let (answer, decision) = self.update(confirmed, update, asked);
        let now = asked.exchange.received_at;
        let is_for_others = is_for_others(&decision, now);
        self.end_turn(if is_for_others { End::Stored } else { End::Unshared });
        let age = answer.stored.age(now);
        let mut response = answer::stored(self.passage, &Arc::new(answer), now);
        respond::age(&mut overlay::fields_mut(&mut response), age);
        self.say(&mut response, 304, &decision, &asked.exchange);
        response
    }

    /// Puts a stored answer with its head brought up to date in place of it, if it may be kept.
    fn update(&self, known: &Answer, update: &HeaderMap, asked: &Asked) -> (Answer, Store) {
        let (head, decision) = self.judge_again(known, update, asked);
        let terms = match &decision {
            Store::Keep { stored, vary } => (*stored, vary.clone()),
            Store::Skip(_) => (known.stored, known.vary.clone()),
        };
        let request = &self.passage.parts.headers;
        match decision {
            Store::Keep { .. } => {
                let kept = storable(&head);
                let answer = known.renewed(terms.clone(), kept, request, asked.began);
                let now = asked.exchange.received_at;
                self.passage.stores().replace(self.key.clone(), known, answer, now);
            }
            Store::Skip(_) => self.passage.stores().remove(&self.key, known),
        }
        (known.renewed(terms, StoredHead::of(&head), request, asked.began), decision)
    }

    /// Answers with what is stored although it is stale, since upstream fails; `why` says how
    /// (RFC 5861 §4, RFC 9111 §4.2.4).
    fn serve_stale(self, stale: &Arc<Answer>, why: &'static str, now: Timestamp) -> Response<Body> {
        // A client may have asked for confirmation of what is fresh.
        let ttl = match stale.stored.fresh_for(now) {
            Some(left) => Ttl::fresh(left),
            None => Ttl::stale(stale.stored.staleness(now)),
        };
        let age = stale.stored.age(now);
        answer::from_store(self.passage, stale, age, ttl, Some(why), now)
    }

    /// Says in Cache-Status what happened.
    fn say(
        &self,
        response: &mut Response<Body>,
        status: u16,
        decision: &Store,
        exchange: &Exchange,
    ) {
        let Passage { plan, asked, visitor, .. } = self.passage;
        let key = plan.key_name(asked, &visitor.identity);
        let now = exchange.received_at;
        let key = key.as_deref();
        let status = match &self.shadow {
            Some(shadow) => shadow.status(self.passage, status, decision, now, key),
            None => respond::forwarded(plan.tier, self.why, status, decision, now, key),
        };
        respond::cache_status(&mut overlay::fields_mut(response), &status);
    }
}

fn end_call<B>(call: Option<Call<'_>>, answered: &Result<Response<B>, UpstreamError>) {
    if let Some(call) = call {
        call.end(answered.as_ref().map(|response| response.status().as_u16()));
    }
}

/// When upstream was asked.
struct Asked {
    exchange: Exchange,
    began: Moment,
}

impl Passage<'_> {
    /// Counts a question to the upstream of the route.
    fn begin_call(&self) -> Option<Call<'_>> {
        self.in_force.metrics.upstream_of(&self.plan).map(CallMetrics::begin)
    }

    /// Drops what an unsafe request has made void (RFC 9111 §4.4).
    fn invalidate(&self, status: StatusCode, head: &HeaderMap) {
        let Passage { in_force, plan, asked, visitor, .. } = self;
        let mut voids = Vec::new();
        for resource in invalidated(asked, status.as_u16(), head) {
            in_force.outbox.resource(&in_force.policy, &resource);
            voids.extend(plan.kept_for(&resource, asked.fields).map(Void::Resource));
        }
        for tag in plan.invalidates(asked, &visitor.identity, status.as_u16(), head) {
            in_force.outbox.tag(&in_force.policy, &tag);
            voids.push(Void::Tag(tag));
        }
        if !voids.is_empty() {
            in_force.invalidate(voids);
        }
    }
}

fn question(passage: &Passage<'_>) -> Question {
    let Passage { asked, parts, visitor, offer, .. } = passage;
    let mut question = upstream::question(parts, asked.target, visitor, asked.scheme);
    question.interim.clone_from(&passage.interim);
    if passage.in_force.policy.model().shim.forwarded {
        upstream::tell_in_forwarded(&mut question.head, visitor, asked.scheme);
    }
    if let Some(offer) = offer {
        upstream::ask_without_coding(&mut question.head, offer);
        if passage.has_coded_files() {
            question.head.remove(ACCEPT_ENCODING);
            for line in parts.headers.get_all(ACCEPT_ENCODING) {
                question.head.append(ACCEPT_ENCODING, line.clone());
            }
        }
        if !passage.has_range() {
            question.head.remove(RANGE);
            question.head.remove(IF_RANGE);
        }
    }
    question
}

/// Whether an answer serves others than who asked for it, once it is stored.
fn is_for_others(decision: &Store, now: Timestamp) -> bool {
    match decision {
        Store::Keep { stored, .. } => stored.serves(now),
        Store::Skip(_) => false,
    }
}

/// A recorder that puts `answer` with the body into `stores` once that is whole, and lets those go
/// who wait for it.
fn record(
    stores: Stores,
    key: CacheKey,
    (begin, incoming): (Bytes, AnswerBody),
    answer: Answer,
    (turn, comparison): (Option<Turn>, Option<Comparison>),
) -> Recorder {
    let limit = stores.memory.object_max();
    let notice = turn.as_ref().map(Turn::notice);
    let hand_over = move |recorded: Result<Bytes, NotWhole>| {
        let now = clock::now();
        if let Some(comparison) = comparison {
            comparison.end(recorded.as_ref());
        }
        let end = match recorded {
            Ok(body) => {
                stores.put(key, Answer { body, ..answer }, now);
                End::Stored
            }
            Err(NotWhole::TooLong) => End::Unshared,
            Err(NotWhole::Broken) => End::Failed,
        };
        if let Some(turn) = turn {
            turn.end(end, now);
        }
    };
    let recorder = Recorder::new(begin, incoming, limit, Box::new(hand_over));
    if let Some(notice) = notice {
        notice.is_recorded(recorder.recording());
    }
    recorder
}

fn no_route(passage: &Passage<'_>) -> Response<Body> {
    let path = passage.asked.target.path();
    let detail = match passage.plan.route {
        Some(route) => format!("The route `{}` names no upstream.", route.name),
        None => format!("No route of the policy matches {path}."),
    };
    answer::problem(&Problem::no_route(detail))
}

fn unanswered(passage: &Passage<'_>, error: UpstreamError) -> Response<Body> {
    answer::problem(&match error {
        UpstreamError::Silent => Problem::upstream_silent(error.explain()),
        UpstreamError::Unreachable | UpstreamError::Broken(_) | UpstreamError::Files(_) => {
            Problem::upstream_failed(error.explain())
        }
        UpstreamError::Open { retry_after } => Problem::upstream_open(error.explain(), retry_after),
        UpstreamError::Crowded { retry_after } => {
            Problem::upstream_crowded(error.explain(), retry_after)
        }
        UpstreamError::Service(_) => Problem::service_failed(),
        UpstreamError::Request(BodyError::TooLarge) => {
            Problem::body_too_large(passage.plan.max_body())
        }
        UpstreamError::Request(_) => Problem::bad_request(error.explain()),
    })
}
