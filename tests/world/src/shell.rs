//! The smallest shell there can be: the request loop in the order of the real ones, with every
//! decision the core's, over a store in memory and a clock that is a number.

mod answer;
mod fetch;

use std::sync::Arc;
use std::time::Duration;

use tidegate_core::alike;
use tidegate_core::headers::cache_status::Ttl;
use tidegate_core::headers::http_date::HttpDate;
use tidegate_core::headers::{Fields, FieldsMut};
use tidegate_core::partial::Selection;
use tidegate_core::policy::Bypass;
use tidegate_core::respond::Problem;
use tidegate_core::reuse::{ForwardReason, reuse};
use tidegate_core::{
    CacheKey, CacheRule, Host, Identity, Lookup, Method, Plan, Policy, Reuse, Scheme, Target, Tier,
    Timestamp,
};

use crate::expectation::Seen;
use crate::message::{Head, Request, Response, Script};
use crate::store::{Answer, Store};
use fetch::{Fetch, Known};

const SCHEME: Scheme = Scheme::Http;

/// A gate, its store and its clock.
pub(crate) struct World {
    policy: Policy,
    tier: Tier,
    store: Store,
    now: Timestamp,
}

/// The origin as far as one step of a script goes.
pub(crate) struct Origin {
    script: std::vec::IntoIter<Script>,
    asked: Vec<Request>,
}

/// One request on its way through.
pub(crate) struct Passage<'a> {
    request: &'a Request,
    asked: &'a tidegate_core::Request<'a, Head>,
    plan: Plan<'a>,
    identity: Identity,
    tier: Tier,
    now: Timestamp,
}

/// What is left to do when the client has its answer.
type Later = Option<(CacheKey, Arc<Answer>)>;

impl World {
    pub(crate) fn new(policy: Policy, tier: Tier, now: Timestamp) -> Self {
        Self { policy, tier, store: Store::default(), now }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    /// Asks the gate, behind which the origin does what `script` says, and is not there any more
    /// after that.
    pub(crate) fn ask(&mut self, request: &Request, script: Vec<Script>) -> Seen {
        let mut origin = Origin { script: script.into_iter(), asked: Vec::new() };
        let mut answer = self.handle(request, &mut origin);
        if request.method == "HEAD" {
            answer.body.clear();
        }
        Seen { answer, asked: origin.asked }
    }

    fn handle(&mut self, request: &Request, origin: &mut Origin) -> Response {
        let Self { policy, tier, store, now } = self;
        let (host, target) = match read_target(request) {
            Ok(read) => read,
            Err(problem) => return answer::problem(&problem, *tier),
        };
        let method = Method::parse(&request.method);
        let asked = tidegate_core::Request::read(method, SCHEME, &host, &target, &request.head);
        let plan = policy.plan(*tier, &asked);
        let identity = policy.unverified(&request.head);
        let passage = Passage { request, asked: &asked, plan, identity, tier: *tier, now: *now };
        match plan.cache {
            Err(Bypass::Method) => passage.pass_method(store, origin),
            Err(_) => passage.bypass(store, origin),
            Ok(rule) => {
                let (answer, later) = passage.answer(rule, store, origin);
                if let Some((key, stale)) = later {
                    let fetch = Fetch { passage: &passage, rule, key, why: ForwardReason::Stale };
                    fetch.run(Known::to_confirm(stale), store, origin);
                }
                answer
            }
        }
    }
}

impl Passage<'_> {
    /// Answers from the store where that is allowed, else from the origin.
    fn answer(
        &self,
        rule: &CacheRule,
        store: &mut Store,
        origin: &mut Origin,
    ) -> (Response, Later) {
        let key = CacheKey::of(&rule.key, self.asked, &self.identity);
        let found = match store.find(&key, &self.request.head) {
            Lookup::Nothing if alike::applies(rule) => {
                let path = CacheKey::of_any_query(&rule.key, self.asked, &self.identity);
                let query = self.asked.target.query();
                store.find_alike(&path, query, &self.request.head, self.now)
            }
            found => found,
        };
        let fetch = |key, why| Fetch { passage: self, rule, key, why };
        let decision = reuse(rule, self.asked, found, self.now);
        if decision.answer().is_some_and(|answer| self.select(answer) == Selection::Missing) {
            let response = match decision.for_the_rest(rule, self.asked) {
                Some((part, why)) => fetch(key, why).run(Known::Part(part), store, origin),
                None => answer::problem(&Problem::not_in_cache(), self.tier),
            };
            return (response, None);
        }
        match decision {
            Reuse::Serve { answer, age, ttl } => {
                (self.serve(&answer, age, Ttl::fresh(ttl), None), None)
            }
            Reuse::ServeStale { answer, age, staleness, refresh } => {
                let response = self.serve(&answer, age, Ttl::stale(staleness), None);
                (response, refresh.then_some((key, answer)))
            }
            Reuse::Revalidate { answer, why } => {
                (fetch(key, why).run(Known::ToConfirm(answer), store, origin), None)
            }
            Reuse::Forward { fallback, why } => {
                let known = fallback.map_or(Known::Nothing, Known::Fallback);
                (fetch(key, why).run(known, store, origin), None)
            }
            Reuse::Unsatisfiable => (answer::problem(&Problem::not_in_cache(), self.tier), None),
        }
    }
}

/// Host and target of a request, or the 400 for one that has none.
fn read_target(request: &Request) -> Result<(Host<'_>, Target<'_>), Problem> {
    // An absolute target names the host itself (RFC 9112 §3.2.2).
    let absolute = request.target.strip_prefix("http://");
    let (host, target) =
        match absolute.map(|rest| rest.split_at(rest.find('/').unwrap_or(rest.len()))) {
            Some((host, target)) => (Some(host), target),
            None => {
                let mut lines = request.head.0.iter().filter(|(name, _)| name == "host");
                let only = lines.next().filter(|_| lines.next().is_none());
                (only.map(|(_, host)| host.as_str()), request.target.as_str())
            }
        };
    let host = Host::parse(host.unwrap_or_default(), SCHEME)
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    let target = Target::parse(target).map_err(Problem::bad_target)?;
    Ok((host, target))
}

impl Origin {
    /// What comes back, if anything.
    fn ask(&mut self, question: Request, now: Timestamp) -> Result<Response, Problem> {
        let is_head = question.method == "HEAD";
        self.asked.push(question);
        match self.script.next() {
            Some(Script::Answers(mut response)) => {
                if is_head {
                    response.body.clear();
                }
                // RFC 9110 §6.6.1: whoever receives an answer without Date dates it.
                if response.head.first("date").is_none() {
                    response.head.set("date", &HttpDate(now).to_string());
                }
                Ok(response)
            }
            Some(Script::Silent) => Err(Problem::upstream_silent("It is silent.")),
            Some(Script::Unreachable) | None => Err(Problem::upstream_failed("It is not there.")),
        }
    }
}
