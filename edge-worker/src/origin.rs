//! The origin: the shim or whatever else `TIDEGATE_ORIGIN` names, asked by `fetch`.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use tidegate_core::headers::FieldsMut;
use tidegate_core::respond::Problem;
use tidegate_core::signature::{self, Client};
use tidegate_core::{Method, Policy, Scheme, Timestamp};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Env, console_error, console_warn, web_sys};

use crate::edits::Edits;
use crate::task::Settled;
use crate::{clock, platform, signing};

/// The variable in `wrangler.toml`.
const VARIABLE: &str = "TIDEGATE_ORIGIN";

/// Where requests go that the edge does not answer.
pub(crate) struct Origin {
    /// `scheme://host[:port]`, nothing behind it.
    base: String,
}

/// The origin gave no answer.
pub(crate) enum Unreachable {
    /// It was never asked: what we made of the request is none.
    Unsent,
    /// The time was up, ours or Cloudflare's.
    Late,
    /// Cloudflare did not reach it, and says so by a status of its own.
    Cloudflare(u16),
    /// Refused, unknown, or cut off before the head.
    Failed(JsValue),
}

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
    pub(crate) zone: Zone,
}

/// What the zone's own cache, which stands before the origin, has to do with a question.
pub(crate) enum Zone {
    /// What Cloudflare thinks fit: next to nothing.
    Unused,
    /// It answers and keeps by the origin's word, under these tags.
    Keeps(String),
    /// It neither answers nor keeps.
    Avoids,
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
    /// The origin that `wrangler.toml` names, which an isolate asks once; an error says how to name
    /// one.
    pub(crate) fn from_env(env: &Env) -> Result<Rc<Self>, worker::Error> {
        thread_local! {
            static ORIGIN: OnceCell<Rc<Origin>> = const { OnceCell::new() };
        }
        ORIGIN.with(|known| match known.get() {
            Some(origin) => Ok(Rc::clone(origin)),
            None => {
                let origin = Rc::new(Self::read(env)?);
                Ok(Rc::clone(known.get_or_init(|| origin)))
            }
        })
    }

    fn read(env: &Env) -> Result<Self, worker::Error> {
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
                "{VARIABLE} must be http:// or https://, a host and perhaps a port, not `{base}`"
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
        if !error.may_be_tried_again() || left.is_zero() || !question.may_be_repeated() {
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
        let outgoing = outgoing.map_err(|_| Unreachable::Unsent)?;
        let millis = timeout.as_millis() as u32;
        let asking = platform::ask(&outgoing, millis, &question.zone.said());
        let answer = Settled::from(asking).await;
        let answer: web_sys::Response = answer.map_err(Unreachable::of)?.unchecked_into();
        match Unreachable::by(answer.status()) {
            None => Ok(answer),
            Some(unreachable) => {
                platform::discard(&answer);
                Err(unreachable)
            }
        }
    }
}

impl Zone {
    /// As `platform.js` reads it.
    fn said(&self) -> String {
        match self {
            Self::Unused => String::new(),
            Self::Keeps(tags) => ["=", tags].concat(),
            Self::Avoids => "!".into(),
        }
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
        for name in [
            "forwarded",
            "x-client-ip",
            "x-cluster-client-ip",
            "true-client-ip",
            "tidegate-debug",
            "tidegate-token",
        ] {
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
    /// What the platform throws; [`platform::ask`] says a word when the time is up.
    fn of(error: JsValue) -> Self {
        match error.is_string() {
            true => Self::Late,
            false => Self::Failed(error),
        }
    }

    /// What Cloudflare answers in the origin's place. These statuses are its own; that 522 and 524
    /// mean a time that was up is in its documentation.
    const fn by(status: u16) -> Option<Self> {
        match status {
            522 | 524 => Some(Self::Late),
            520..=527 | 530 => Some(Self::Cloudflare(status)),
            _ => None,
        }
    }

    const fn may_be_tried_again(&self) -> bool {
        matches!(self, Self::Cloudflare(_) | Self::Failed(_))
    }

    /// What the client is told: 504 if the time was up, else 502. What the platform says of it
    /// names hosts and ports, and is for the log alone.
    pub(crate) fn problem(&self) -> Problem {
        console_error!("tidegate: the origin does not answer: {self}");
        match self {
            Self::Late => Problem::upstream_silent("The origin did not begin to answer in time."),
            _ => Problem::upstream_failed("The origin does not answer."),
        }
    }
}

impl std::fmt::Display for Unreachable {
    /// What the platform says about it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsent => f.write_str("it was not asked"),
            Self::Late => f.write_str("it takes longer than `[edge] timeout`, or Cloudflare waits"),
            Self::Cloudflare(status) => write!(f, "Cloudflare says {status}"),
            Self::Failed(error) => match error.dyn_ref::<worker::js_sys::Error>() {
                Some(error) => f.write_str(&String::from(error.message())),
                None => f.write_str("no answer"),
            },
        }
    }
}
