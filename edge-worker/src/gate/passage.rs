//! One request at the gate: what it asks, what the policy plans for it, and the steps that
//! concern the client.

use std::cell::Cell;
use std::rc::Rc;

use tidegate_core::headers::cache_status::{Fwd, Outcome};
use tidegate_core::policy::Closed;
use tidegate_core::policy::identify::Identified;
use tidegate_core::rate::{Counted, Verdict};
use tidegate_core::respond::{self, Problem};
use tidegate_core::{
    CacheKey, CacheRule, ClientFacts, Host, Identity, LimitKey, Method, Plan, Request, Scheme,
    Target, Tier, token,
};
use worker::{console_log, web_sys};

use super::{Gate, Stop, debug};
use crate::account::Part;
use crate::asking::Turn;
use crate::edits::Edits;
use crate::head::{Head, RequestHead};
use crate::url::Url;
use crate::{admission, clock, rehearsals, tokens, turn};

/// Where a request goes, as the core reads it.
pub(crate) struct Address<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) host: Host<'a>,
    pub(crate) target: Target<'a>,
}

/// A request on its way through the gate.
pub(super) struct Passage<'a> {
    pub(super) gate: &'a Rc<Gate>,
    pub(super) request: &'a web_sys::Request,
    /// The method, in the client's word.
    pub(super) method: &'a str,
    pub(super) asked: Request<'a, Head>,
    pub(super) plan: Plan<'a>,
    pub(super) who: Identity,
    /// Why the token that was shown does not count.
    refusal: Option<token::Refusal>,
    /// What the limits say that were asked so far.
    pub(super) verdict: Verdict<'a>,
    /// The right to ask the origin on behalf of others, until the answer is stored.
    pub(super) turn: Cell<Option<Turn>>,
    /// Who asks shows the token, and wants to know what was decided.
    pub(super) is_debugged: bool,
    /// Why another request asked on behalf of this one.
    pub(super) collapsed: Option<Fwd>,
}

impl<'a> Address<'a> {
    /// The address in a request's URL. A target that no server should see is refused.
    pub(crate) fn of(head: &'a RequestHead) -> Result<Self, Stop> {
        let url = Url::split(head.url()).ok_or(Stop::Broken("unknown-url"))?;
        let bad = |what: &dyn ToString| Stop::Refused(Problem::bad_request(what.to_string()), None);
        // The platform reads a path out of a Host that holds one.
        if let Some(host) = head.fields().text("host") {
            Host::parse(host, url.scheme).map_err(|error| bad(&error))?;
        }
        Ok(Self {
            scheme: url.scheme,
            host: Host::parse(url.authority, url.scheme).map_err(|error| bad(&error))?,
            target: Target::parse(url.target)
                .map_err(|error| Stop::Refused(Problem::bad_target(error), None))?,
        })
    }
}

impl<'a> Passage<'a> {
    pub(super) async fn new(
        gate: &'a Rc<Gate>,
        request: &'a web_sys::Request,
        head: &'a RequestHead,
        address: &'a Address<'a>,
    ) -> Self {
        let Address { scheme, host, target } = address;
        let method = Method::parse(head.method());
        let asked = Request::read(method, *scheme, host, target, head.fields());
        let plan = gate.policy.plan(Tier::Edge, &asked);
        let Gate { policy, env, context, .. } = &**gate;
        let Identified { identity: who, refusal } =
            tokens::identify(&policy.base, env, context, head.fields()).await;
        Self {
            gate,
            request,
            method: head.method(),
            asked,
            plan,
            who,
            refusal,
            verdict: Verdict::default(),
            turn: Cell::new(None),
            is_debugged: debug::is_asked_for(gate, head.fields()),
            collapsed: None,
        }
    }

    /// May this client proceed? The limits that count such requests are asked, until one
    /// refuses; what comes ahead of an even pace waits here for its turn (R5).
    pub(super) async fn admit(&mut self, counted: Counted) -> Result<(), Stop> {
        let mut verdict = Verdict::default();
        for limit in self.plan.limits().filter(|limit| limit.count == counted) {
            let key = LimitKey::of(limit, &self.client(), self.asked.fields);
            let own = self.gate.policy.limit_for(limit, &key);
            let asking = admission::admit(&self.gate.env, &own, &key);
            let says = self.gate.account.timed(Part::Limit, asking).await;
            if !verdict.add(limit, says) {
                break;
            }
        }
        if !verdict.wait().is_zero() && !turn::wait(verdict.wait()).await {
            verdict = verdict.without_waiting();
        }
        if let Some((limit, _)) = verdict.rehearsed()
            && let Some(requests) = rehearsals::count(&limit.name, clock::now())
        {
            let name = &limit.name;
            console_log!("tidegate: dry run: `{name}` would have refused {requests} requests");
        }
        self.verdict.merge(verdict);
        match verdict.refused() {
            Some(refused) => Err(self.refuse(Problem::refused(refused))),
            None => Ok(()),
        }
    }

    /// The end of a request that maintenance keeps out, unless what is stored may serve.
    pub(super) fn maintain(&self) -> Result<(), Stop> {
        self.stay_out(|closed| !closed.serves_cached())
    }

    /// The end of a request that would go to the origin while maintenance keeps it out.
    pub(super) fn stay_here(&self) -> Result<(), Stop> {
        self.stay_out(|_| true)
    }

    fn stay_out(&self, applies: impl FnOnce(&Closed<'_>) -> bool) -> Result<(), Stop> {
        let now = clock::now();
        let closed = self.gate.policy.maintenance(&self.asked, self.client().ip, now);
        let end = |closed: Closed<'_>| Err(self.refuse(closed.problem(&self.asked, now)));
        closed.filter(applies).map_or(Ok(()), end)
    }

    /// The end of a request whose token the policy will not have, once it is counted.
    pub(super) fn object(&self) -> Result<(), Stop> {
        let objection = self.gate.policy.objection(self.refusal);
        objection.map_or(Ok(()), |problem| Err(self.refuse(problem)))
    }

    /// What identifies the answer.
    pub(super) fn key(&self, rule: &CacheRule) -> CacheKey {
        CacheKey::of(&rule.key, &self.asked, &self.who)
    }

    /// The end of a request that gets `problem` for an answer.
    pub(super) fn refuse(&self, problem: Problem) -> Stop {
        let mut told = Edits::default();
        respond::headers(&mut told, self.plan.headers());
        respond::rate_limit(&mut told, &self.verdict, None);
        let way = (Outcome::Generated.x_cache(), Some(problem.reason));
        self.conclude(&mut told, way, problem.status);
        Stop::Refused(problem, Some(told))
    }

    /// Why there is no answer, in the words for the client.
    pub(super) fn unanswered(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Unreachable(error) => self.refuse(error.problem()),
            other => other,
        }
    }

    /// The client's address, which Cloudflare writes over whatever the client sent.
    pub(super) fn client_ip(&self) -> Option<&'a str> {
        self.asked.fields.text("cf-connecting-ip")
    }

    fn client(&self) -> ClientFacts<'_> {
        ClientFacts {
            user: self.who.user(),
            ip: self.client_ip().and_then(|ip| ip.parse().ok()),
            route: self.plan.route.map(|route| &*route.name),
        }
    }
}
