//! The core in a web page: what a policy does with a request, on both tiers, as it is typed.
//!
//! One question, as JSON, and its answer. Everything is decided by the core; nothing is asked of
//! anybody, so that the page works without a server. The clock is an argument.

mod answer;
mod question;
#[cfg(target_family = "wasm")]
pub mod wasm;

use tidegate_core::document::{self, Reading};
use tidegate_core::explain::{Who, explain};
use tidegate_core::policy::identify::{Evidence, Identified};
use tidegate_core::token::Refusal;
use tidegate_core::{ClientFacts, Identity, Method, Policy, Request, Tier};

pub use answer::{Answer, Asked, Decision, Line};
pub use question::{Objection, Question};

use question::Parts;

/// What the policy of a question does with its request. All that is wrong with either is in the
/// answer, each with its place.
pub fn decide(question: &Question) -> Answer {
    let variables = question.variables();
    let reading = document::read_closely(&question.policy, &|name| {
        let known = variables.iter().find(|(known, _)| *known == name);
        known.map(|(_, value)| (*value).to_owned())
    });
    let (parts, objections) = match question.parts() {
        Ok(parts) => (Some(parts), Vec::new()),
        Err(objections) => (None, objections),
    };
    match reading {
        Err(report) => Answer { errors: Line::all(&report), objections, ..Answer::default() },
        Ok(reading) => Answer {
            warnings: Line::all(&reading.warnings),
            policy: Some(reading.policy.hash()),
            asked: parts.map(|parts| ask(&reading, question, &parts)),
            objections,
            ..Answer::default()
        },
    }
}

fn ask(Reading { policy, places, .. }: &Reading, question: &Question, parts: &Parts<'_>) -> Asked {
    let Parts { scheme, host, target, fields, client, now } = parts;
    let method = Method::parse(question.method());
    let request = Request::read(method, *scheme, host, target, fields);
    let Identified { identity, refusal } = who(policy, question, parts);
    let client = ClientFacts { user: identity.user(), ip: *client, route: None };
    let decisions = [Tier::Edge, Tier::Origin].map(|tier| {
        let mut told = explain(policy, tier, &request, &identity, &client, *now);
        told.locate(policy, |path| Some(format!("line {}", places.get(path)?.line)));
        Decision::of(&told)
    });
    Asked {
        url: format!("{}://{}{target}", scheme.as_str(), host.as_str()),
        identity: Who::of(&identity, refusal, policy).to_string(),
        decisions,
    }
}

/// Who asks: the user that the question names, as if a token had proved it; else what the fields
/// show. There are no keys here, so that a token proves nothing.
fn who(policy: &Policy, question: &Question, parts: &Parts<'_>) -> Identified {
    if let Some(user) = question.user() {
        return Identity::Verified(user.into()).into();
    }
    let proxies = &policy.model().shim.trusted_proxies;
    let is_trusted = proxies.iter().any(|proxy| proxy.is(parts.client));
    match policy.evidence(&parts.fields, is_trusted) {
        Evidence::Settled(identity) => identity.into(),
        Evidence::Refused(refusal) => policy.conclude(&parts.fields, Err(refusal)),
        Evidence::Token(_) => policy.conclude(&parts.fields, Err(Refusal::NoKeys)),
    }
}

#[cfg(test)]
mod tests;
