//! The way out when something of ours is broken: to the origin, once, uncached, uncounted; but not
//! where the policy says that nobody gets there undecided.

use tidegate_core::headers::cache_status::{CacheStatus, Fwd, Outcome};
use tidegate_core::policy::identify::Identified;
use tidegate_core::respond::Problem;
use tidegate_core::{Method, Request, Tier, respond};
use worker::{Context, Env, console_error, web_sys};

use crate::account::{Account, Part};
use crate::edits::Edits;
use crate::gate::{Address, Answer, OWN_PATHS, Stop};
use crate::head::RequestHead;
use crate::in_force::InForce;
use crate::origin::{Caller, Origin, Question, Zone};
use crate::{clock, connection, platform, tokens};

/// A request for which something of ours is broken.
pub(crate) struct Undecided<'a> {
    pub(crate) request: &'a web_sys::Request,
    /// A word that says what broke.
    pub(crate) reason: &'static str,
    /// The limits have let it through before that.
    pub(crate) admitted: bool,
    pub(crate) account: &'a Account,
}

impl Undecided<'_> {
    /// Sends the request on with who the client is, and signed: behind the edge, that is the word
    /// of the edge, and stays so when the edge is broken.
    ///
    /// What may have reached the origin already is not sent a second time, unless it is safe.
    pub(crate) async fn send(
        &self,
        origin: &Origin,
        policy: &InForce,
        env: &Env,
        context: &Context,
    ) -> Answer {
        let Self { request, reason, admitted, account } = *self;
        console_error!("tidegate: past the gate, {reason}");
        let head = RequestHead::read(request);
        #[cfg(feature = "faults")]
        crate::faults::at("way-out", head.fields())?;
        let Address { scheme, ref host, ref target } = Address::of(&head)?;
        if target.path().starts_with(OWN_PATHS) {
            let problem = Problem::misconfigured("This page of Tidegate cannot be had.");
            return Err(Stop::Refused(problem, None));
        }
        let asked =
            Request::read(Method::parse(head.method()), scheme, host, target, head.fields());
        let plan = policy.plan(Tier::Edge, &asked);
        let ip = head.fields().text("cf-connecting-ip");
        let Identified { refusal, .. } =
            tokens::identify(&policy.base, env, context, head.fields()).await;
        let client = (ip.and_then(|ip| ip.parse().ok()), refusal);
        let route = plan.route.map(|route| &*route.name);
        let refuse = |problem: Problem| {
            let mut told = Edits::default();
            respond::headers(&mut told, plan.headers());
            let way = (Outcome::Generated.x_cache(), Some(problem.reason));
            account.conclude(&mut told, route, way, problem.status);
            Err(Stop::Refused(problem, Some(told)))
        };
        if let Some(problem) = policy.stays_shut(&plan, &asked, client, admitted, clock::now()) {
            return refuse(problem);
        }
        if !platform::may_be_sent(request) {
            return refuse(Problem::upstream_failed("The request cannot be sent once more."));
        }
        let question = Question {
            request,
            method: head.method(),
            path: target.path(),
            query: target.query(),
            fields: connection::travelling(head.fields()),
            caller: Caller { ip, host: host.as_str(), scheme },
            zone: Zone::Unused,
        };
        let timeout = policy.model().edge.timeout();
        let sending = origin.send(&question, policy, env, timeout);
        let answer = match account.timed(Part::Origin, sending).await {
            Ok(answer) => answer,
            Err(error) => return refuse(error.problem()),
        };

        let outcome = Outcome::Forward { why: Fwd::Bypass, status: None, stored: None };
        let cache = Tier::Edge.cache_name();
        let status = CacheStatus { cache, outcome, key: None, detail: Some(reason) };
        let mut edits = Edits::default();
        respond::cache_status(&mut edits, &status);
        respond::headers(&mut edits, plan.headers());
        account.conclude(
            &mut edits,
            route,
            (status.outcome.x_cache(), Some(reason)),
            answer.status(),
        );
        let body = answer.body();
        Ok(platform::respond_like(&answer, body.as_ref(), edits.as_str()).unwrap_or(answer))
    }
}
