//! The origin: the shim or whatever else `TIDEGATE_ORIGIN` names, asked by `fetch`.

use std::time::Duration;

use tidegate_core::headers::FieldsMut;
use tidegate_core::respond::Problem;
use tidegate_core::signature::{self, Client};
use tidegate_core::{Method, Policy, Scheme, Timestamp};
use worker::js_sys::futures::JsFuture;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Env, console_error, console_warn, web_sys};

use crate::edits::Edits;
use crate::{clock, platform, signing};

/// The variable in `wrangler.toml`.
const VARIABLE: &str = "TIDEGATE_ORIGIN";

/// Where requests go that the edge does not answer.
pub(crate) struct Origin {
    /// `scheme://host[:port]`, nothing behind it.
    base: String,
}

/// The origin gave no answer: refused, unknown, cut off before the head, or timed out.
pub(crate) struct Unreachable(JsValue);

/// A request on its way to the origin.
pub(crate) struct Question<'a> {
    /// The client's, whose method and body it has.
    pub(crate) request: &'a web_sys::Request,
    pub(crate) method: &'a str,
    /// What is asked for: as the wire has it.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    /// What the client's fields become.
    pub(crate) fields: Edits,
    pub(crate) caller: Caller<'a>,
}

/// Who asked the edge, and for what.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// The client's address, which Cloudflare writes over whatever the client sent.
    pub(crate) ip: Option<&'a str>,
    pub(crate) host: &'a str,
    pub(crate) scheme: Scheme,
}

impl Origin {
    /// The origin that `wrangler.toml` names; an error says how to name one.
    pub(crate) fn from_env(env: &Env) -> Result<Self, worker::Error> {
        let base = env.var(VARIABLE)?.to_string();
        let base = base.trim_end_matches('/');
        let authority = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
        match authority {
            Some(authority)
                if !authority.is_empty() && !authority.contains(['/', '?', '#', '@']) =>
            {
                Ok(Self { base: base.into() })
            }
            _ => Err(worker::Error::RustError(format!(
                "{VARIABLE} must be http:// or https://, a host and perhaps a port, not {base:?}"
            ))),
        }
    }

    /// Asks the origin, and once more where that changes nothing: a safe request without a body
    /// (RFC 9110 §9.2.2) to which no answer has begun, in what is left of the policy's time. Says
    /// when it was asked.
    pub(crate) async fn ask(
        &self,
        question: &Question<'_>,
        policy: &Policy,
        env: &Env,
    ) -> Result<(Timestamp, web_sys::Response), Unreachable> {
        let (timeout, begun) = (policy.model().edge.timeout(), clock::now());
        let sent = self.send(question, policy, env, timeout).await;
        let Err(error) = sent else { return Ok((begun, sent?)) };
        let again = clock::now();
        let left = timeout.saturating_sub(again.since(begun));
        if error.is_unsent() || error.is_late() || left.is_zero() || !question.may_be_repeated() {
            return Err(error);
        }
        console_warn!("tidegate: the origin is asked once more: {error}");
        Ok((again, self.send(question, policy, env, left).await?))
    }

    /// Sends `question` once, signed where the policy says so, and waits for the head of the
    /// answer for so long; a body that has begun is never cut off. Bodies stream both ways.
    pub(crate) async fn send(
        &self,
        question: &Question<'_>,
        policy: &Policy,
        env: &Env,
        timeout: Duration,
    ) -> Result<web_sys::Response, Unreachable> {
        let Question { request, method, path, query, .. } = *question;
        let mut fields = Edits::default();
        fields.extend(&question.fields);
        question.caller.put(&mut fields);
        let signed = signature::Question { method, path, query };
        signing::sign(policy, env, &signed, &question.caller.client(), &mut fields);
        let target = query.map_or_else(String::new, |query| ["?", query].concat());
        let url = [&*self.base, path, &target].concat();
        let outgoing = platform::forward(request, &url, fields.as_str());
        let outgoing = outgoing.map_err(|_| Unreachable(JsValue::UNDEFINED))?;
        let answer = platform::ask(&outgoing, timeout.as_millis() as u32);
        Ok(JsFuture::from(answer).await?.unchecked_into())
    }
}

impl Question<'_> {
    fn may_be_repeated(&self) -> bool {
        Method::parse(self.method).is_safe() && self.request.body().is_none()
    }
}

impl<'a> Caller<'a> {
    /// Says who the client is and what it asked for, in place of whatever the client said of
    /// itself: nobody behind us can tell a forwarding field that we let pass from our own.
    fn put(&self, edits: &mut Edits) {
        for name in ["forwarded", "x-client-ip", "x-cluster-client-ip", "true-client-ip"] {
            edits.remove(name);
        }
        edits.remove(signature::CLIENT);
        match self.ip {
            Some(ip) => {
                edits.set("x-forwarded-for", ip);
                edits.set("x-real-ip", ip);
            }
            None => {
                edits.remove("x-forwarded-for");
                edits.remove("x-real-ip");
            }
        }
        edits.set("x-forwarded-host", self.host);
        edits.set("x-forwarded-proto", self.scheme.as_str());
    }

    /// The same, to be signed.
    fn client(&self) -> Client<'a> {
        let ip = self.ip.and_then(|ip| ip.parse().ok());
        Client { ip, host: self.host, scheme: self.scheme }
    }
}

impl Unreachable {
    /// It was never sent: what we made of it is no request.
    pub(crate) fn is_unsent(&self) -> bool {
        self.0.is_undefined()
    }

    /// The time was up.
    fn is_late(&self) -> bool {
        self.0.is_string()
    }

    /// What the client is told: 504 if the time was up, else 502. What the platform says of it
    /// names hosts and ports, and is for the log alone.
    pub(crate) fn problem(&self) -> Problem {
        console_error!("tidegate: the origin does not answer: {self}");
        match self.is_late() {
            true => Problem::upstream_silent("The origin did not begin to answer in time."),
            false => Problem::upstream_failed("The origin does not answer."),
        }
    }
}

impl From<JsValue> for Unreachable {
    fn from(error: JsValue) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for Unreachable {
    /// What the platform says about it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.dyn_ref::<worker::js_sys::Error>() {
            Some(error) => f.write_str(&String::from(error.message())),
            None if self.is_late() => f.write_str("it takes longer than `[edge] timeout`"),
            None => f.write_str("no answer"),
        }
    }
}
