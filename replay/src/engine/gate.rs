//! One tier: limit → key → look up → reuse → (serve | revalidate | forward) → store, in the order
//! of the shells.

use std::time::Duration;

use tidegate_core::headers::FieldsMut;
use tidegate_core::invalidate::{Resource, invalidated};
use tidegate_core::policy::EdgeCache;
use tidegate_core::rate::{Counted, EdgeStore, Verdict};
use tidegate_core::refresh::refresh;
use tidegate_core::reuse::{ForwardReason, reuse};
use tidegate_core::store::{NotStored, renew, store};
use tidegate_core::{
    CacheKey, CacheRule, Exchange, LimitKey, Method, Plan, Policy, Refresh, Response, Reuse, Store,
    Tier, Timestamp, respond,
};

use super::clients::Clients;
use super::shelf::{Bounds, Held, Shelf};
use super::voids::Voids;
use super::{Passage, Setup, Trace};
use crate::asked::Field;
use crate::assumptions::About;
use crate::counts::{Kind, Outcomes, Reasons};
use crate::digest;
use crate::report::{LimitFound, StoreFound};
use crate::sketch::{Curves, Seen};

/// The shim's memory for answers of routes without a zone, in bytes.
const SHIM_BYTES: u64 = 256 << 20;
/// The longest body that the shim stores, in bytes.
const SHIM_OBJECT_MAX: u64 = 8 << 20;
/// The longest that the Cache API stores, in bytes.
const EDGE_OBJECT_MAX: u64 = 512 << 20;
/// Answers remembered of all locations of the edge at most.
const EDGE_ANSWERS_MAX: u64 = 1 << 20;

/// One tier with all its places.
#[derive(Debug)]
pub(crate) struct Gate {
    tier: Tier,
    /// At the edge one for each location; at the origin the zones, and last what has none.
    shelves: Vec<Shelf>,
    voids: Voids,
    /// What one location voids, the others hear of.
    voids_everywhere: bool,
    /// At the positions of the policy's limits.
    limits: Vec<Clients>,
    /// At the positions of the policy's routes; last what matches none.
    routes: Vec<RouteCounts>,
    curves: Curves,
}

/// What became of the requests for one route.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteCounts {
    pub(crate) outcomes: Outcomes,
    pub(crate) reasons: Reasons,
}

/// An answer on its way back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came {
    pub(crate) status: u16,
    /// Bytes of the whole body.
    pub(crate) bytes: u64,
    pub(crate) age: Duration,
}

/// Where an answer lies, or would.
#[derive(Clone, Copy)]
struct Place {
    shelf: usize,
    key: u64,
    route: usize,
}

impl Gate {
    pub(crate) fn new(tier: Tier, policy: &Policy, setup: &Setup) -> Self {
        let model = policy.model();
        let shelves = match tier {
            Tier::Edge => {
                let locations = u64::from(setup.edge_locations.max(1));
                let bounds = Bounds {
                    bytes: setup.assumptions.edge_memory,
                    answers: Some((EDGE_ANSWERS_MAX / locations).max(1)),
                    object: EDGE_OBJECT_MAX,
                };
                (0..locations).map(|_| Shelf::new(bounds)).collect()
            }
            Tier::Origin => {
                let rest = Bounds { bytes: SHIM_BYTES, answers: None, object: SHIM_OBJECT_MAX };
                let zones = model.zones.iter().map(|zone| Bounds::of(zone, SHIM_OBJECT_MAX));
                zones.chain([rest]).map(Shelf::new).collect()
            }
        };
        Self {
            tier,
            shelves,
            voids: Voids::default(),
            voids_everywhere: tier == Tier::Origin || model.edge.url.is_some(),
            limits: model.limits.iter().map(Clients::new).collect(),
            routes: vec![RouteCounts::default(); model.routes.len() + 1],
            curves: Curves::new(model.routes.len() + 1),
        }
    }

    pub(crate) const fn tier(&self) -> Tier {
        self.tier
    }

    pub(crate) fn routes(&self) -> &[RouteCounts] {
        &self.routes
    }

    /// What the limit at this position of the policy has said, but for what the policy says of it.
    pub(crate) fn limit(&self, at: usize) -> Option<LimitFound> {
        let clients = self.limits.get(at).filter(|clients| clients.counts().asked > 0)?;
        Some(LimitFound {
            limit: String::new(),
            tier: self.tier.as_str(),
            dry_run: false,
            counts: clients.counts().clone(),
            refused_clients: clients.refused_clients().count(),
        })
    }

    /// What its stores hold; those of all locations together.
    pub(crate) fn stores(&self, policy: &Policy) -> Vec<StoreFound> {
        let found = |name: &str, shelves: &[Shelf]| {
            let sum = |of: fn(&Shelf) -> u64| shelves.iter().map(of).sum();
            StoreFound {
                name: name.into(),
                peak_bytes: sum(Shelf::peak),
                capacity_bytes: sum(Shelf::capacity),
                answers: sum(Shelf::len),
                bytes: sum(Shelf::bytes),
                evicted: sum(Shelf::evicted),
            }
        };
        if self.tier == Tier::Edge {
            return vec![found("locations", &self.shelves)];
        }
        let zones = policy.model().zones.iter().map(|zone| &*zone.name).chain(["default"]);
        let stores = zones.zip(&self.shelves);
        let stores = stores.map(|(name, shelf)| found(name, std::slice::from_ref(shelf)));
        stores.filter(|store| store.peak_bytes > 0).collect()
    }

    pub(crate) const fn curves(&self) -> &Curves {
        &self.curves
    }

    pub(super) fn entries(&self) -> usize {
        let stored: u64 = self.shelves.iter().map(Shelf::len).sum();
        stored as usize + self.curves.keys()
    }

    /// Answers a request; `rest` are the tiers behind this one.
    pub(crate) fn answer(
        &mut self,
        plan: &Plan<'_>,
        passage: &Passage<'_>,
        rest: &mut [Self],
        trace: &mut Trace,
    ) -> Came {
        let route = plan.position().unwrap_or(self.routes.len() - 1);
        self.routes[route].outcomes.requests += 1;
        let admission = self.admit(plan, passage, Counted::All, trace);
        let came = match (admission, plan.cache) {
            (Err(refused), _) => return self.refused(route, refused),
            (Ok(()), Err(bypass)) => self.pass(plan, passage, bypass.as_str(), rest, trace),
            (Ok(()), Ok(_)) if self.is_shadowed(plan) => {
                let word = NotStored::Shadowed.as_str();
                self.pass(plan, passage, word, rest, trace)
            }
            (Ok(()), Ok(rule)) => self.look_up(plan, passage, rule, rest, trace),
        };
        match came {
            Ok(came) => {
                self.routes[route].outcomes.bytes += sent(passage, came);
                came
            }
            Err(refused) => self.refused(route, refused),
        }
    }

    /// Asks the limits of the route that count such requests. `Err` is the answer to who is refused.
    fn admit(
        &mut self,
        plan: &Plan<'_>,
        passage: &Passage<'_>,
        counted: Counted,
        trace: &mut Trace,
    ) -> Result<(), Came> {
        let Some(route) = plan.route else { return Ok(()) };
        let mut verdict = Verdict::default();
        for at in &route.limits {
            let Some(limit) = passage.policy.model().limits.get(*at) else { continue };
            if limit.count != counted {
                continue;
            }
            trace.rests_on.add_if(passage.asked.client.is_none(), About::Client);
            let key = LimitKey::of(limit, &passage.facts(Some(&route.name)), passage.asked.fields);
            let place = match (self.tier, limit.stores.edge) {
                (Tier::Origin, _) | (Tier::Edge, EdgeStore::Global) => 0,
                (Tier::Edge, _) => passage.location as u64,
            };
            let said = self.limits[*at].admit(limit, &key, place, passage.now);
            if !verdict.add(limit, Ok(said)) {
                break;
            }
        }
        match verdict.refused() {
            None => Ok(()),
            Some(_) => {
                trace.refused_by = Some(self.tier);
                Err(Came { status: 429, bytes: 0, age: Duration::ZERO })
            }
        }
    }

    fn refused(&mut self, route: usize, came: Came) -> Came {
        self.routes[route].outcomes.refused += 1;
        came
    }

    fn is_shadowed(&self, plan: &Plan<'_>) -> bool {
        self.tier == Tier::Origin && plan.route.is_some_and(|route| route.shadow)
    }

    /// Passes a request on that no stored answer can serve.
    fn pass(
        &mut self,
        plan: &Plan<'_>,
        passage: &Passage<'_>,
        why: &'static str,
        rest: &mut [Self],
        trace: &mut Trace,
    ) -> Result<Came, Came> {
        self.admit(plan, passage, Counted::Misses, trace)?;
        let route = plan.position().unwrap_or(self.routes.len() - 1);
        self.routes[route].outcomes.passed += 1;
        self.routes[route].reasons.count(Kind::Passed, why);
        let came = self.ask(passage, route, None, rest, trace);
        if !passage.request.method.is_safe() && trace.refused_by.is_none() {
            self.invalidate(plan, passage, came.status);
        }
        Ok(came)
    }

    /// Answers from the store where that is allowed, else by who is behind.
    fn look_up(
        &mut self,
        plan: &Plan<'_>,
        passage: &Passage<'_>,
        rule: &CacheRule,
        rest: &mut [Self],
        trace: &mut Trace,
    ) -> Result<Came, Came> {
        let place = self.place(plan, passage, rule);
        rests_on(rule, passage, trace);
        // Whether it is a miss in a cache of the platform's, the worker does not know before.
        let is_counted = self.tier == Tier::Edge && plan.edge_cache() != EdgeCache::CacheApi;
        if is_counted {
            self.admit(plan, passage, Counted::Misses, trace)?;
        }
        let fields = passage.asked.fields;
        let (shelf, voids) = (&self.shelves[place.shelf], &self.voids);
        let found = shelf.find(place.key, fields, |held| held.is_void(voids));
        let decision = reuse(rule, passage.request, found, passage.now);
        match decision {
            Reuse::Serve { answer, age, .. } => {
                let (status, bytes, weight) = (answer.stored.status, answer.bytes, answer.weight);
                self.serve(place, passage, weight, trace).fresh += 1;
                Ok(Came { status, bytes, age })
            }
            Reuse::ServeStale { answer, age, refresh, .. } => {
                let held = answer.clone();
                self.serve(place, passage, held.weight, trace).stale += 1;
                let came = Came { status: held.stored.status, bytes: held.bytes, age };
                if refresh {
                    self.refresh(plan, passage, (rule, place), &held, rest, trace);
                }
                Ok(came)
            }
            Reuse::Revalidate { answer, why } => {
                let held = answer.clone();
                self.missed(place, why);
                if !is_counted {
                    self.admit(plan, passage, Counted::Misses, trace)?;
                }
                let known = Known { held: &held, is_asked_about: true };
                Ok(self.fetch(plan, passage, (rule, place), Some(known), rest, trace))
            }
            Reuse::Forward { fallback, why } => {
                let held = fallback.cloned();
                self.missed(place, why);
                if !is_counted {
                    self.admit(plan, passage, Counted::Misses, trace)?;
                }
                let known = held.as_ref().map(|held| Known { held, is_asked_about: false });
                Ok(self.fetch(plan, passage, (rule, place), known, rest, trace))
            }
            Reuse::Unsatisfiable => {
                self.routes[place.route].outcomes.unsatisfiable += 1;
                Ok(Came { status: 504, bytes: 0, age: Duration::ZERO })
            }
        }
    }

    /// Notes why no stored answer serves.
    fn missed(&mut self, place: Place, why: ForwardReason) {
        let word = why.detail().unwrap_or_else(|| why.fwd().as_str());
        self.routes[place.route].reasons.count(Kind::Missed, word);
    }

    /// Notes that a stored answer served.
    fn serve(
        &mut self,
        place: Place,
        passage: &Passage<'_>,
        weight: u64,
        trace: &mut Trace,
    ) -> &mut Outcomes {
        let bytes = passage.asked.bytes;
        self.curves.see(place.key, place.route, (bytes, weight), passage.now, Seen::Served);
        trace.served_by.get_or_insert(self.tier);
        let outcomes = &mut self.routes[place.route].outcomes;
        outcomes.stored_bytes += bytes;
        outcomes
    }

    /// Asks anew for what was served stale, with no client waiting.
    fn refresh(
        &mut self,
        plan: &Plan<'_>,
        passage: &Passage<'_>,
        (rule, place): (&CacheRule, Place),
        held: &Held,
        rest: &mut [Self],
        trace: &mut Trace,
    ) {
        self.routes[place.route].outcomes.refreshed += 1;
        // What the tiers behind say of it is nothing that the client hears.
        let mut behind = Trace { rests_on: trace.rests_on, ..Trace::default() };
        let known = Known { held, is_asked_about: held.stored.has_validator };
        let asked = Some(known.held.bytes).filter(|_| known.is_asked_about);
        let came = self.ask(passage, place.route, asked, rest, &mut behind);
        if behind.refused_by.is_none() {
            self.keep(plan, passage, (rule, place), came, Some(known), &mut behind);
        }
        trace.origin_requests += behind.origin_requests;
        trace.origin_bytes += behind.origin_bytes;
        trace.rests_on = behind.rests_on;
    }

    /// Asks who is behind, and keeps what may be kept.
    fn fetch(
        &mut self,
        plan: &Plan<'_>,
        passage: &Passage<'_>,
        (rule, place): (&CacheRule, Place),
        known: Option<Known<'_>>,
        rest: &mut [Self],
        trace: &mut Trace,
    ) -> Came {
        let asked = known.filter(|known| known.is_asked_about).map(|known| known.held.bytes);
        let came = self.ask(passage, place.route, asked, rest, trace);
        if trace.refused_by.is_some() {
            self.routes[place.route].outcomes.missed += 1;
            return came;
        }
        let end = self.keep(plan, passage, (rule, place), came, known, trace);
        let outcomes = &mut self.routes[place.route].outcomes;
        match (end, known) {
            (End::Confirmed, _) => outcomes.confirmed += 1,
            (End::Failed, Some(Known { held, .. })) => {
                outcomes.on_error += 1;
                outcomes.stored_bytes += passage.asked.bytes;
                trace.served_by = Some(self.tier);
                let age = held.stored.age(passage.now);
                return Came { status: held.stored.status, bytes: held.bytes, age };
            }
            (End::Failed, None) | (End::Replaced, _) => outcomes.missed += 1,
        }
        came
    }

    /// What becomes of an answer that was asked for.
    fn keep(
        &mut self,
        plan: &Plan<'_>,
        passage: &Passage<'_>,
        (rule, place): (&CacheRule, Place),
        came: Came,
        known: Option<Known<'_>>,
        trace: &mut Trace,
    ) -> End {
        let now = passage.now;
        let end = known.map_or(End::Replaced, |known| known.end(came, now));
        if let End::Failed = end {
            return end;
        }
        let began = self.voids.begin();
        let (decision, tags) = self.decide(plan, passage, rule, came, &end);
        let body = match passage.request.method {
            // What a HEAD was told has no length of its own.
            Method::Head => known.map_or(came.bytes, |known| known.held.bytes),
            _ => came.bytes,
        };
        let (head, bytes) = (passage.assumptions.head, passage.asked.bytes);
        let weight = head + body;
        let seen = match decision {
            Store::Keep { stored, vary } => {
                let until = stored.fresh_until.max(stored.serve_while_refreshing_until);
                let held = Held { stored, bytes: body, weight, names: tags, began };
                match self.shelves[place.shelf].put(place.key, vary, passage.asked.fields, held) {
                    true => Seen::Kept(until),
                    false => {
                        self.not_stored(place.route, NotStored::TooLarge);
                        Seen::NotKept
                    }
                }
            }
            Store::Skip(why) => {
                self.not_stored(place.route, why);
                match why {
                    // With a time to live it would be.
                    NotStored::NoFreshness => Seen::Kept(Timestamp::EPOCH),
                    _ => Seen::NotKept,
                }
            }
        };
        trace.rests_on.add_if(matches!(seen, Seen::Kept(_)), About::Head);
        if passage.request.method == Method::Get {
            self.curves.see(place.key, place.route, (bytes, weight), now, seen);
        }
        end
    }

    /// Whether an answer may be kept, and by what names it goes.
    fn decide(
        &self,
        plan: &Plan<'_>,
        passage: &Passage<'_>,
        rule: &CacheRule,
        came: Came,
        end: &End,
    ) -> (Store, Box<[u64]>) {
        let assumptions = passage.assumptions;
        let mut said = Head::default();
        said.origin(passage);
        if let Some(behind) = passage.behind.filter(|_| self.tier == Tier::Edge) {
            let origin = said.clone();
            respond::browser(&mut said, &behind, passage.request, came.status, &origin);
        }
        let now = passage.now;
        let mut response = Response::read(self.tier, came.status, &said, now);
        response.age = Some(came.age.as_secs() as u32).filter(|age| *age > 0);
        if assumptions.validators && passage.asked.answer.is_none() {
            response.etag = response.etag.or(Some(b"\"assumed\""));
        }
        let exchange = Exchange { requested_at: now, received_at: now };
        let decision = match end {
            End::Confirmed => renew(rule, passage.request, &response, &exchange),
            _ => store(rule, passage.request, &response, &exchange),
        };
        if let Store::Skip(_) = decision {
            return (decision, Box::default());
        }
        let resource = Resource::kept(&rule.key, passage.request);
        let tags = plan.tags(passage.request, passage.identity, &said);
        let names = std::iter::once(resource.as_str()).chain(tags.iter().map(|tag| tag.as_str()));
        let names = names.map(|name| self.void_name(name, passage.location)).collect();
        (decision, names)
    }

    fn not_stored(&mut self, route: usize, why: NotStored) {
        self.routes[route].reasons.count(Kind::NotStored, why.as_str());
    }

    /// Asks the next tier, or the origin. `known` is the length of what is to be confirmed.
    fn ask(
        &mut self,
        passage: &Passage<'_>,
        route: usize,
        known: Option<u64>,
        rest: &mut [Self],
        trace: &mut Trace,
    ) -> Came {
        let came = match rest.split_first_mut() {
            Some((next, rest)) => {
                let plan = passage.policy.plan(next.tier, passage.request);
                next.answer(&plan, passage, rest, trace)
            }
            None => {
                trace.origin_requests += 1;
                self.origin(passage, trace)
            }
        };
        let is_confirmed = known == Some(came.bytes) && came.status == 200;
        let bytes = if is_confirmed { 0 } else { came.bytes };
        if rest.is_empty() {
            trace.origin_bytes += bytes;
        }
        let outcomes = &mut self.routes[route].outcomes;
        outcomes.asked += 1;
        outcomes.asked_bytes += bytes;
        came
    }

    /// What the origin answers: what it has answered then.
    fn origin(&self, passage: &Passage<'_>, trace: &mut Trace) -> Came {
        let asked = passage.asked;
        trace.rests_on.add_if(asked.took.is_none(), About::ResponseTime);
        let age = Duration::ZERO;
        match asked.status {
            // A cache asks for the whole, whatever its client has.
            304 if passage.request.method == Method::Get => {
                trace.rests_on.add(About::BodyOf304);
                Came { status: 200, bytes: passage.assumptions.body_of_304, age }
            }
            status => Came { status, bytes: asked.bytes, age },
        }
    }

    /// Voids what an answer with this status to an unsafe request does.
    fn invalidate(&mut self, plan: &Plan<'_>, passage: &Passage<'_>, status: u16) {
        let head = passage.asked.answer.unwrap_or_default();
        for resource in invalidated(passage.request, status, head) {
            if let Some(kept) = plan.kept_for(&resource, passage.asked.fields) {
                self.voids.add(self.void_name(kept.as_str(), passage.location));
            }
        }
        for tag in plan.invalidates(passage.request, passage.identity, status, head) {
            self.voids.add(self.void_name(tag.as_str(), passage.location));
        }
    }

    fn void_name(&self, name: &str, location: usize) -> u64 {
        let name = digest::digest(&[name.as_bytes()]);
        if self.voids_everywhere { name } else { digest::with(name, location as u64 + 1) }
    }

    /// Where the answer to this request lies.
    fn place(&self, plan: &Plan<'_>, passage: &Passage<'_>, rule: &CacheRule) -> Place {
        let key = CacheKey::of(&rule.key, passage.request, passage.identity);
        let mut key = digest::digest(&[key.as_bytes()]);
        if passage.is_identity_assumed && rule.key.is_personal() {
            // A cookie that nobody logged tells clients apart, too.
            let who = passage.identity.to_string();
            key = digest::with(key, digest::digest(&[who.as_bytes()]));
        }
        let shelf = match self.tier {
            // What the platform keeps in tiers, all locations share.
            Tier::Edge if plan.edge_cache() != EdgeCache::CacheApi => 0,
            Tier::Edge => passage.location,
            Tier::Origin => {
                plan.route.and_then(|route| route.zone).unwrap_or(self.shelves.len() - 1)
            }
        };
        let key = if shelf > 0 && self.tier == Tier::Edge {
            digest::with(key, shelf as u64)
        } else {
            key
        };
        Place { shelf, key, route: plan.position().unwrap_or(self.routes.len() - 1) }
    }
}

/// A stored answer that does not serve as it is.
#[derive(Clone, Copy)]
struct Known<'a> {
    held: &'a Held,
    /// Whoever is asked hears of its validator.
    is_asked_about: bool,
}

/// What an answer does to what is stored.
enum End {
    /// It is good.
    Confirmed,
    /// Who was asked failed, and it serves once more.
    Failed,
    /// Another takes its place.
    Replaced,
}

impl Known<'_> {
    /// By the word of the core. The same status and length have the same ETag.
    fn end(&self, came: Came, now: Timestamp) -> End {
        const NO_FIELDS: &[Field<'_>] = &[];
        let stored = &self.held.stored;
        let is_same = came.status == stored.status && came.bytes == self.held.bytes;
        let decision = match (self.is_asked_about, is_same) {
            (true, true) => refresh(stored, &[NO_FIELDS], Some((304, NO_FIELDS)), now),
            _ => refresh::<[Field<'_>], _>(stored, &[], Some((came.status, NO_FIELDS)), now),
        };
        match decision {
            Refresh::Freshen { .. } => End::Confirmed,
            Refresh::ServeStale => End::Failed,
            Refresh::AskAgain | Refresh::Replace => End::Replaced,
        }
    }
}

/// What a client gets of an answer: what it got then, unless it is another.
fn sent(passage: &Passage<'_>, came: Came) -> u64 {
    match came.status {
        429 | 504 => came.bytes,
        _ => passage.asked.bytes,
    }
}

/// What the outcome of a request rests on that comes to a cache.
fn rests_on(rule: &CacheRule, passage: &Passage<'_>, trace: &mut Trace) {
    let asked = passage.asked;
    let on = &mut trace.rests_on;
    if asked.answer.is_none() {
        on.add(About::CacheControl);
        on.add(About::SetCookie);
        on.add(About::Vary);
        on.add(About::Validators);
    }
    if !asked.has_all_fields {
        on.add(About::RequestFields);
        on.add_if(!rule.key.separates_credentials(), About::Authorization);
    }
}

/// The head of an answer, as far as caching looks at it.
#[derive(Clone, Default)]
struct Head(Vec<(String, Vec<u8>)>);

impl Head {
    /// What the origin says.
    fn origin(&mut self, passage: &Passage<'_>) {
        if let Some(fields) = passage.asked.answer {
            self.0.extend(fields.iter().map(|(name, value)| ((*name).into(), value.to_vec())));
            return;
        }
        let assumed = passage.assumptions;
        let cookie = assumed.set_cookie.then_some("assumed=1");
        let lines = [
            ("cache-control", assumed.cache_control.as_deref()),
            ("vary", assumed.vary.as_deref()),
            ("set-cookie", cookie),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                self.append(name, value);
            }
        }
    }
}

impl tidegate_core::headers::Fields for Head {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl FieldsMut for Head {
    fn set(&mut self, name: &'static str, value: &str) {
        self.set_named(name, value);
    }

    fn set_named(&mut self, name: &str, value: &str) {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.into(), value.into()));
    }

    fn append(&mut self, name: &'static str, value: &str) {
        self.0.push((name.into(), value.into()));
    }

    fn remove(&mut self, name: &'static str) {
        self.0.retain(|(other, _)| other != name);
    }
}
