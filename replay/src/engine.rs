//! Both tiers on a virtual clock, with every decision the core's.

mod clients;
mod gate;
mod shelf;
mod voids;

use std::net::IpAddr;

pub use clients::LimitCounts;
use gate::Gate;
use tidegate_core::identity::CredentialHash;
use tidegate_core::policy::{IdentityRule, Plan};
use tidegate_core::{
    ClientFacts, Host, Identity, Method, Policy, Request, Target, Tier, Timestamp,
};

use crate::asked::{Asked, Field};
use crate::assumptions::{
    About, AssumedAuthorization, AssumedErrors, AssumedIdentity, Assumptions, Rested, RestsOn,
};
use crate::digest;
use crate::sketch::{Distinct, Hottest, OverTime};

/// Where the policy is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tiers {
    /// At the edge, and behind it at the origin.
    #[default]
    Both,
    /// At the edge alone.
    Edge,
    /// At the origin alone.
    Origin,
}

/// How a replay is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What stands in for what nobody knows.
    pub assumptions: Assumptions,
    /// In how many places the edge stores by itself.
    pub edge_locations: u16,
    /// Where the policy is applied.
    pub tiers: Tiers,
}

impl Default for Setup {
    fn default() -> Self {
        Self { assumptions: Assumptions::default(), edge_locations: 1, tiers: Tiers::Both }
    }
}

/// What one policy would have made of the requests that it is shown.
///
/// Its memory is bounded, however many there are.
#[derive(Debug)]
pub struct Engine {
    policy: Policy,
    setup: Setup,
    tiers: Vec<Gate>,
    /// For each route: its answers are for some clients alone, on either tier.
    is_personal: Vec<bool>,
    /// A token or a proxy names users, who are counted by name then.
    verifies_users: bool,
    now: Timestamp,
    first: Option<Timestamp>,
    pub(crate) totals: Totals,
}

/// What is counted besides the tiers.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    /// Served by a store.
    pub(crate) hits: u64,
    /// Refused by a limit.
    pub(crate) refused: u64,
    /// Requests that came before one that was read earlier.
    pub(crate) early: u64,
    /// By how many milliseconds at most.
    pub(crate) earliest_ms: u64,
    /// Left out: the target or the host is none.
    pub(crate) bad_requests: u64,
    /// Left out: the origin failed, and the assumption is not to count that.
    pub(crate) left_out: u64,
    pub(crate) clients: Distinct,
    pub(crate) hottest: Hottest,
    pub(crate) over_time: OverTime,
    pub(crate) rested: Rested,
}

/// One request on its way through both tiers.
pub(crate) struct Passage<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) request: &'a Request<'a, [Field<'a>]>,
    pub(crate) identity: &'a Identity,
    pub(crate) client: Option<IpAddr>,
    /// Which of the edge's locations it comes to.
    pub(crate) location: usize,
    pub(crate) now: Timestamp,
    /// The plan at the origin, whose browser rule the edge reads; none without that tier.
    pub(crate) behind: Option<Plan<'a>>,
    pub(crate) assumptions: &'a Assumptions,
    pub(crate) is_identity_assumed: bool,
}

/// What a request came to, over both tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The status of the client's answer.
    pub status: u16,
    /// The tier whose store answered.
    pub served_by: Option<Tier>,
    /// The tier whose limit refused.
    pub refused_by: Option<Tier>,
    /// How many questions reached the origin for it.
    pub origin_requests: u32,
}

/// What the tiers behind make of a question, and what comes of it on the way back.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) served_by: Option<Tier>,
    pub(crate) refused_by: Option<Tier>,
    pub(crate) origin_requests: u32,
    pub(crate) origin_bytes: u64,
    pub(crate) rests_on: RestsOn,
}

impl Engine {
    /// An engine that has stored and counted nothing yet.
    pub fn new(policy: Policy, setup: Setup) -> Self {
        let (edge, origin) = match setup.tiers {
            Tiers::Both => (true, true),
            Tiers::Edge => (true, false),
            Tiers::Origin => (false, true),
        };
        let tiers = [(edge, Tier::Edge), (origin, Tier::Origin)].into_iter();
        let tiers = tiers.filter(|(is_there, _)| *is_there);
        let tiers = tiers.map(|(_, tier)| Gate::new(tier, &policy, &setup)).collect();
        let is_personal = policy.model().routes.iter().map(|route| {
            let rules = [&route.edge, &route.origin];
            rules.into_iter().flatten().any(|rule| rule.key.is_personal())
        });
        let is_personal = is_personal.collect();
        let identity = &policy.model().identity;
        let verifies_users = identity.jwt.is_some() || identity.trusted_header.is_some();
        Self {
            policy,
            setup,
            tiers,
            is_personal,
            verifies_users,
            now: Timestamp::EPOCH,
            first: None,
            totals: Totals::default(),
        }
    }

    /// The policy.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How it was set up.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// When the first request came and when the last did.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.first.map(|first| (first, self.now))
    }

    pub(crate) fn gates(&self) -> &[Gate] {
        &self.tiers
    }

    /// Shows it one more request; `None` for one that is left out. The clock never runs backward: a
    /// request from before the last one counts as if it came with that.
    pub fn ask(&mut self, asked: &Asked<'_>) -> Option<Outcome> {
        let Self { policy, setup, tiers, totals, now, is_personal, verifies_users, first } = self;
        let (policy, assumptions) = (&*policy, &setup.assumptions);
        let mut rests_on = RestsOn::default();
        if asked.status >= 500 {
            if assumptions.errors == AssumedErrors::LeftOut {
                totals.left_out += 1;
                return None;
            }
            rests_on.add(About::Errors);
        }
        rests_on.add_if(asked.host.is_none(), About::Host);
        rests_on.add_if(asked.scheme.is_none(), About::Scheme);
        let scheme = asked.scheme.unwrap_or(assumptions.scheme);
        let host = Host::parse(asked.host.unwrap_or(&assumptions.host), scheme);
        let (Ok(host), Ok(target)) = (host, Target::parse(asked.target)) else {
            totals.bad_requests += 1;
            return None;
        };
        let mut request =
            Request::read(Method::parse(asked.method), scheme, &host, &target, asked.fields);
        let authorized = match assumptions.authorization {
            AssumedAuthorization::None => None,
            AssumedAuthorization::Users => asked.user.map(str::as_bytes),
            AssumedAuthorization::All => Some(asked.user.map_or(&b"assumed"[..], str::as_bytes)),
        };
        if !asked.has_all_fields {
            request.authorization = request.authorization.or(authorized);
        }

        let came = match asked.took {
            Some(_) => asked.at,
            None => asked.at.before(assumptions.response_time),
        };
        if came < *now {
            totals.early += 1;
            totals.earliest_ms = totals.earliest_ms.max(now.since(came).as_millis() as u64);
        }
        *now = came.max(*now);
        first.get_or_insert(*now);

        let client = asked.client.or(assumptions.client);
        let client_digest = client_digest(client, asked.user);
        let plan = policy.plan(tiers[0].tier(), &request);
        let is_personal = plan.position().is_some_and(|at| is_personal[at]);
        let assumes_identity = is_personal && asked.user.is_none() && !asked.has_all_fields;
        rests_on.add_if(assumes_identity, About::Identity);
        let is_identity_assumed =
            assumes_identity && setup.assumptions.identity == AssumedIdentity::Client;
        let identity = match asked.user {
            Some(user) if *verifies_users => Identity::Verified(user.into()),
            Some(_) if policy.model().identity == IdentityRule::default() => Identity::Anonymous,
            Some(user) => Identity::Opaque(CredentialHash::of(user.as_bytes())),
            None if is_identity_assumed => {
                Identity::Opaque(CredentialHash::of(&client_digest.to_be_bytes()))
            }
            None if asked.has_all_fields => policy.unverified(asked.fields),
            None => Identity::Anonymous,
        };
        let behind = tiers.get(1).map(|behind| policy.plan(behind.tier(), &request));
        let passage = Passage {
            policy,
            asked,
            request: &request,
            identity: &identity,
            client,
            location: (client_digest % u64::from(setup.edge_locations.max(1))) as usize,
            now: *now,
            behind,
            assumptions: &setup.assumptions,
            is_identity_assumed,
        };
        let mut trace = Trace { rests_on, ..Trace::default() };
        let (front, rest) = tiers.split_first_mut()?;
        let came = front.answer(&plan, &passage, rest, &mut trace);

        totals.requests += 1;
        let sent = if trace.refused_by.is_some() { 0 } else { asked.bytes };
        totals.bytes += sent;
        totals.hits += u64::from(trace.served_by.is_some());
        totals.refused += u64::from(trace.refused_by.is_some());
        totals.clients.add(client_digest);
        totals.rested.count(trace.rests_on);
        let slice = totals.over_time.at(*now);
        slice.requests += 1;
        slice.bytes += sent;
        slice.edge_hits += u64::from(trace.served_by == Some(Tier::Edge));
        slice.origin_hits += u64::from(trace.served_by == Some(Tier::Origin));
        slice.refused += u64::from(trace.refused_by.is_some());
        slice.reached_origin += u64::from(trace.origin_requests);
        slice.origin_bytes += trace.origin_bytes;
        let route = plan.route.map_or("", |route| &route.name);
        let path = target.path();
        let name = digest::digest(&[host.as_str().as_bytes(), path.as_bytes()]);
        totals.hottest.add(name, trace.origin_requests > 0, route, |text| {
            text.push_str(host.as_str());
            text.push_str(path);
        });
        Some(Outcome {
            status: came.status,
            served_by: trace.served_by,
            refused_by: trace.refused_by,
            origin_requests: trace.origin_requests,
        })
    }

    /// How many things it remembers: what must not grow with the number of requests.
    pub fn entries(&self) -> usize {
        self.tiers.iter().map(Gate::entries).sum()
    }
}

impl<'a> Passage<'a> {
    pub(crate) fn facts(&self, route: Option<&'a str>) -> ClientFacts<'a> {
        ClientFacts { user: self.identity.user(), ip: self.client, route }
    }
}

fn client_digest(client: Option<IpAddr>, user: Option<&str>) -> u64 {
    match (client, user) {
        (Some(IpAddr::V4(ip)), _) => digest::with(u64::from(ip.to_bits()), 4),
        (Some(IpAddr::V6(ip)), _) => digest::digest(&[&ip.octets()]),
        (None, Some(user)) => digest::digest(&[user.as_bytes()]),
        (None, None) => 0,
    }
}
