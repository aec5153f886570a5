//! One request: limit → key → look up → reuse → (serve | revalidate | forward) → store →
//! headers → body. The worker at the edge is the same loop in the same order.

mod admission;
mod answer;
mod coding;
mod fetch;
mod fetched;
mod find;
mod heads;
mod known;
mod shadow;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use admission::Waiting;
pub(crate) use answer::problem;
use arc_swap::ArcSwap;
use fetch::Fetch;
use http::header::HOST;
use http::request::Parts;
use http::{Response, StatusCode};
use known::Known;
use tidegate_core::compress::Offer;
use tidegate_core::headers::FieldsMut;
use tidegate_core::headers::cache_status::{Fwd, Ttl};
use tidegate_core::http_types::Edits;
use tidegate_core::identity::User;
use tidegate_core::partial::Selection;
use tidegate_core::policy::health::{self, Check, Probe};
use tidegate_core::policy::{Bypass, Closed};
use tidegate_core::rate::Counted;
use tidegate_core::respond::Problem;
use tidegate_core::signature::Verified;
use tidegate_core::{
    CacheKey, CacheRule, Host, Method, Plan, Request, Reuse, Scheme, Target, Tier, Timestamp,
    respond,
};

use crate::account::{Account, Asked, Kind};
use crate::answer_store::Answer;
use crate::asking::Turns;
use crate::body::Body;
use crate::client::Client;
use crate::clock;
use crate::http1::Interim;
use crate::in_force::InForce;
use crate::metrics::{History, Hottest, Misses};
use crate::origin::Origins;
use crate::overlay;
use crate::request_log::RequestLog;
use crate::server::Capacity;
use crate::upstream::OpenTunnels;
use crate::visitor::Visitor;

/// What all threads share: what is in force, and what is remembered between requests.
#[derive(Debug)]
pub struct Shared {
    in_force: ArcSwap<InForce>,
    waiting: Waiting,
    /// Who asks upstream on behalf of all.
    turns: Arc<Turns>,
    capacity: OnceLock<Arc<Capacity>>,
    tunnels: OpenTunnels,
    log: RequestLog,
    #[cfg(feature = "otel")]
    exporter: OnceLock<crate::otel::Exporter>,
    history: History,
    hottest: Hottest,
    misses: Misses,
    /// The process ends when those are done who are served.
    drains: AtomicBool,
}

/// Applies the policy to requests; one for each thread.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Shared>,
    origins: Origins,
}

/// One request on its way through.
struct Passage<'a> {
    in_force: &'a Arc<InForce>,
    asked: &'a Request<'a, http::HeaderMap>,
    parts: &'a Parts,
    plan: Plan<'a>,
    /// What the policy offers to compress; `None` where it compresses nothing.
    offer: Option<Offer<'a>>,
    visitor: &'a Visitor,
    /// Maintenance keeps it from the origin.
    closed: Option<Closed<'a>>,
    /// The time by which it is limited and looked up.
    now: Timestamp,
    /// Why another request asked on behalf of this one.
    collapsed: Option<Fwd>,
    /// What is stored was in Redis, and not in memory.
    is_from_redis: bool,
    /// Where answers go that come before the one; none that its client would take.
    interim: Option<Interim>,
}

impl Shared {
    /// Nothing is remembered yet.
    pub fn new(in_force: InForce) -> Self {
        Self {
            in_force: ArcSwap::from_pointee(in_force),
            waiting: Waiting::default(),
            turns: Arc::default(),
            capacity: OnceLock::new(),
            tunnels: OpenTunnels::default(),
            log: RequestLog::default(),
            #[cfg(feature = "otel")]
            exporter: OnceLock::new(),
            history: History::default(),
            hottest: Hottest::default(),
            misses: Misses::default(),
            drains: AtomicBool::new(false),
        }
    }

    /// What is in force at this moment. Takes no lock, so that a change never holds a request
    /// up, nor a request a change.
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// How many requests wait for the answer to another one like them (C11).
    pub fn waiting_for_others(&self) -> usize {
        self.turns.waiting()
    }

    /// How many connections of clients there are; nobody knows before a server runs.
    pub fn capacity(&self) -> Option<&Capacity> {
        self.capacity.get().map(|capacity| &**capacity)
    }

    /// The connections of clients in which another protocol is spoken with an upstream.
    pub const fn tunnels(&self) -> &OpenTunnels {
        &self.tunnels
    }

    /// Counts the connections of a server that begins to run.
    pub fn watch(&self, capacity: Arc<Capacity>) {
        // A second server in this process is one that nobody asks about.
        let _ = self.capacity.set(capacity);
    }

    /// Where requests are written down, if the policy wants that.
    pub const fn log(&self) -> &RequestLog {
        &self.log
    }

    /// Where spans go, if anywhere.
    #[cfg(feature = "otel")]
    pub fn exporter(&self) -> Option<&crate::otel::Exporter> {
        self.exporter.get()
    }

    /// Sends spans there from now on.
    #[cfg(feature = "otel")]
    pub fn export_to(&self, exporter: crate::otel::Exporter) {
        // The first one stays.
        let _ = self.exporter.set(exporter);
    }

    /// The last hour.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// What is asked for most.
    pub const fn hottest(&self) -> &Hottest {
        &self.hottest
    }

    /// The latest requests that no stored answer served.
    pub const fn misses(&self) -> &Misses {
        &self.misses
    }

    /// From now on this process is not ready for more: it ends.
    pub fn drain(&self) {
        self.drains.store(true, Ordering::Relaxed);
    }

    /// What requests need, and how it is at `now` (P9).
    pub fn checks(&self, now: Timestamp) -> Vec<Check> {
        let in_force = self.in_force();
        let redis = in_force.redis_counted().map(|(what, counted)| (what, !counted.is_open));
        let in_maintenance = in_force.policy.is_in_maintenance(now);
        let upstreams = in_force.upstreams.iter().map(|group| (group.name(), group.seen()));
        let drains = self.drains.load(Ordering::Relaxed);
        let folders =
            in_force.folders.iter().map(|folder| Check::folder(folder.name(), folder.is_there()));
        let others = health::checks(upstreams, redis, in_maintenance, drains);
        folders.chain(others).collect()
    }

    /// Puts something else in force, for requests that begin from now on.
    pub fn put_in_force(&self, next: InForce) {
        self.in_force.store(Arc::new(next));
    }
}

impl Passage<'_> {
    /// Puts the fields on an answer that the policy has all of its route leave with.
    fn take_along(&self, response: &mut Response<Body>) {
        match response.body_mut().overlay() {
            Some(overlay) => {
                overlay.say(self.in_force.fields.of_route(&self.plan));
                self.tell_origin(overlay);
            }
            None => {
                let mut fields = Edits::of(response.headers_mut());
                respond::headers(&mut fields, self.plan.headers());
                self.tell_origin(&mut fields);
            }
        }
    }

    /// Tells a browser whether the page that asks may read the answer (CORS).
    fn tell_origin(&self, fields: &mut impl FieldsMut) {
        if let Some(cors) = self.plan.cors() {
            cors.tell(&self.parts.headers, fields);
        }
    }
}

impl Gate {
    /// A gate before `origins`, with their connections for itself.
    pub fn new(shared: Arc<Shared>, origins: Origins) -> Self {
        Self { shared, origins }
    }

    /// Answers one request of `client`.
    pub async fn handle(
        self: Arc<Self>,
        request: http::Request<Body>,
        client: Client,
    ) -> Response<Body> {
        overlay::complete(self.handle_overlaid(request, client, None).await)
    }

    /// The same for who can write an [`Overlay`](overlay::Overlay), which is cheaper out of
    /// memory, and perhaps interim answers.
    pub(crate) async fn handle_overlaid(
        self: &Arc<Self>,
        request: http::Request<Body>,
        client: Client,
        interim: Option<Interim>,
    ) -> Response<Body> {
        let mut account = Account::open();
        let (mut parts, body) = request.into_parts();
        let in_force = &self.shared.in_force();
        let InForce { policy, edge, tokens, .. } = &**in_force;
        // A service says itself how it is.
        let probe = (!self.origins.has_service())
            .then(|| policy.probe(parts.method.as_str(), parts.uri.path()));
        match probe.flatten() {
            Some(Probe::Alive) => return answer::alive(),
            Some(Probe::Ready) => return answer::ready(&self.shared.checks(clock::now())),
            None => {}
        }
        account.trace(policy, &mut parts.headers);
        let refuse = |problem: &Problem| {
            let asked = Asked { method: &parts.method, path: parts.uri.path() };
            self.refused(in_force, &account, Some(asked), problem)
        };
        let now = clock::now();
        let signed = edge.verify(&parts, now);
        let (scheme, host, target) = match read_target(&parts, client.scheme, signed.as_ref().ok())
        {
            Ok(read) => read,
            Err(problem) => return refuse(&problem),
        };
        if self.origins.has_service() && !target.is_as_it_came() {
            let asked = Asked { method: &parts.method, path: parts.uri.path() };
            let response = answer::as_normalised(&target);
            return self.unplanned(in_force, &account, Some(asked), response);
        }
        let method = Method::parse(parts.method.as_str());
        let asked = Request::read(method, scheme, &host, &target, &parts.headers);
        if let Err(refusal) = signed
            && edge.is_required()
            && !policy.is_health_check(&asked)
        {
            edge.count(refusal);
            return refuse(&Problem::not_from_the_edge(refusal));
        }
        let signed = signed.clone().ok();
        let mut visitor =
            Visitor::identify(policy, tokens, client, signed, &parts.headers, now).await;
        if self.origins.has_service()
            && let Some(user) = parts.extensions.get::<User>()
        {
            visitor = visitor.known_as(user.clone());
        }
        let plan = policy.plan(Tier::Origin, &asked);
        if let Some(answer) = preflight(&plan, &parts) {
            let asked = Asked { method: &parts.method, path: parts.uri.path() };
            let (shared, plan) = (&self.shared, Some(&plan));
            account.close(shared, in_force, Some(asked), plan, Kind::Preflight, &answer);
            return answer;
        }
        // Whoever it is, its keys may have had to be fetched.
        let now = if tokens.may_wait() { clock::now() } else { now };
        let closed = policy.maintenance(&asked, visitor.ip, now);
        let offer = plan.compression().ok().map(|rule| Offer::to(rule, &asked));
        let (asked, parts, visitor) = (&asked, &parts, &visitor);
        let (collapsed, is_from_redis) = (None, false);
        let mut passage = Passage {
            in_force,
            asked,
            parts,
            plan,
            offer,
            visitor,
            closed,
            now,
            collapsed,
            is_from_redis,
            interim,
        };
        if let Some(closed) = closed.filter(|closed| !closed.serves_cached()) {
            let mut response = answer::closed(&passage, closed, now);
            passage.close(&self.shared, &account, &response);
            passage.take_along(&mut response);
            return response;
        }

        let verdict = self.admit(&passage, Counted::All).await;
        if !verdict.wait().is_zero() {
            passage.now = clock::now();
        }
        let refused = match verdict.refused() {
            Some(refused) => Some(Problem::refused(refused)),
            None => policy.objection(visitor.refusal),
        };
        let mut response = match (refused, plan.cache, body.limited(plan.max_body())) {
            (Some(problem), ..) => answer::problem(&problem),
            (.., Err(_)) => answer::problem(&Problem::body_too_large(plan.max_body())),
            (_, Err(_), Ok(body)) => self.pass(&passage, body).await,
            (_, Ok(rule), _) if passage.is_shadowed() => {
                self.answer_in_shadow(&mut passage, rule).await
            }
            (_, Ok(rule), _) => self.answer(&mut passage, rule).await,
        };
        passage.close(&self.shared, &account, &response);
        passage.take_along(&mut response);
        admission::tell(in_force, &verdict, &mut response);
        response
    }

    /// The answer to what is no request that could be decided on.
    pub fn refuse(&self, problem: &Problem) -> Response<Body> {
        self.refused(&self.shared.in_force(), &Account::open(), None, problem)
    }

    fn refused(
        &self,
        in_force: &InForce,
        account: &Account,
        asked: Option<Asked<'_>>,
        problem: &Problem,
    ) -> Response<Body> {
        self.unplanned(in_force, account, asked, answer::problem(problem))
    }

    /// An answer to what no route was looked for.
    fn unplanned(
        &self,
        in_force: &InForce,
        account: &Account,
        asked: Option<Asked<'_>>,
        mut response: Response<Body>,
    ) -> Response<Body> {
        account.close(&self.shared, in_force, asked, None, Kind::Plain, &response);
        respond::headers(response.headers_mut(), in_force.policy.headers(None));
        response
    }

    /// Answers from the store where that is allowed, else from upstream.
    async fn answer(
        self: &Arc<Self>,
        passage: &mut Passage<'_>,
        rule: &CacheRule,
    ) -> Response<Body> {
        let key = CacheKey::of(&rule.key, passage.asked, &passage.visitor.identity);
        let decision = passage.find(rule, &key);
        let (decision, turn) = self.find_more(passage, rule, &key, decision).await;
        let (passage, now) = (&*passage, passage.now);
        let lacks =
            |answer: &Arc<Answer>| answer::select(passage, answer, now) == Selection::Missing;
        if decision.answer().is_some_and(lacks) {
            return match decision.for_the_rest(rule, passage.asked) {
                Some((part, why)) => {
                    let fetch = Fetch { passage, rule, key, why, turn, shadow: None };
                    self.fetch(fetch, Known::Part(part)).await
                }
                None => answer::problem(&Problem::not_in_cache()),
            };
        }
        match decision {
            Reuse::Serve { answer, age, ttl } => {
                answer::from_store(passage, &answer, age, Ttl::fresh(ttl), None, now)
            }
            Reuse::ServeStale { answer, age, staleness, refresh } => {
                let ttl = Ttl::stale(staleness);
                let response = answer::from_store(passage, &answer, age, ttl, None, now);
                if refresh && passage.closed.is_none() {
                    self.refresh_in_background(passage, key, answer);
                }
                response
            }
            Reuse::Revalidate { answer, why } => {
                let fetch = Fetch { passage, rule, key, why, turn, shadow: None };
                self.fetch(fetch, Known::ToConfirm(answer)).await
            }
            Reuse::Forward { fallback, why } => {
                let known = fallback.map_or(Known::Nothing, Known::Fallback);
                let fetch = Fetch { passage, rule, key, why, turn, shadow: None };
                self.fetch(fetch, known).await
            }
            Reuse::Unsatisfiable => answer::problem(&Problem::not_in_cache()),
        }
    }

    /// Asks upstream, where the limits on misses let it.
    async fn fetch(&self, fetch: Fetch<'_>, known: Known) -> Response<Body> {
        let in_force = fetch.passage.in_force;
        let verdict = self.admit(fetch.passage, Counted::Misses).await;
        let mut response = match verdict.refused() {
            Some(refused) => answer::problem(&Problem::refused(refused)),
            None => fetch.run(&self.origins, known, Body::empty()).await,
        };
        admission::tell(in_force, &verdict, &mut response);
        response
    }

    /// Passes a request on that no stored answer can serve, where the limits on misses let it.
    async fn pass(&self, passage: &Passage<'_>, body: Body) -> Response<Body> {
        let verdict = self.admit(passage, Counted::Misses).await;
        let mut response = match (verdict.refused(), passage.plan.cache) {
            (Some(refused), _) => answer::problem(&Problem::refused(refused)),
            (None, Err(Bypass::Method)) => self.pass_method(passage, body).await,
            (None, _) => self.bypass(passage, body).await,
        };
        admission::tell(passage.in_force, &verdict, &mut response);
        response
    }
}

impl Passage<'_> {
    /// Counts the request with its answer.
    fn close(&self, shared: &Shared, account: &Account, response: &Response<Body>) {
        let asked = Asked { method: &self.parts.method, path: self.parts.uri.path() };
        let kind = if self.collapsed.is_some() { Kind::Collapsed } else { Kind::Plain };
        account.close(shared, self.in_force, Some(asked), Some(&self.plan), kind, response);
    }
}

/// What a browser hears that asks whether it may ask; the origin is not asked, and
/// no limit counts it.
fn preflight(plan: &Plan<'_>, parts: &Parts) -> Option<Response<Body>> {
    let cors = plan.cors()?;
    let asked = cors.preflight(parts.method.as_str(), &parts.headers)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    respond::headers(response.headers_mut(), plan.headers());
    cors.answer(&asked, response.headers_mut());
    Some(response)
}

/// Scheme, host and target of a request that came over a connection of `scheme`, or the 400 for
/// one that has none. Scheme and host are those that the client asked for, where the edge vouches
/// for them.
fn read_target<'a>(
    parts: &'a Parts,
    scheme: Scheme,
    edge: Option<&'a Verified>,
) -> Result<(Scheme, Host<'a>, Target<'a>), Problem> {
    let scheme = edge.map_or(scheme, |edge| edge.scheme);
    // An absolute target names the host itself (RFC 9112 §3.2.2).
    let host = match (edge, parts.uri.authority()) {
        (Some(edge), _) => &*edge.host,
        (None, Some(authority)) => authority.as_str(),
        (None, None) => {
            let mut lines = parts.headers.get_all(HOST).iter();
            let only = lines.next().filter(|_| lines.next().is_none());
            only.and_then(|line| line.to_str().ok()).unwrap_or_default()
        }
    };
    let host =
        Host::parse(host, scheme).map_err(|error| Problem::bad_request(error.to_string()))?;
    let text = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let target = Target::parse(text).map_err(Problem::bad_target)?;
    Ok((scheme, host, target))
}
