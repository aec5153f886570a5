//! The origin: the shim or whatever else `TIDEGATE_ORIGIN` names, asked by `fetch`.

use tidegate_core::headers::FieldsMut;
use tidegate_core::{Scheme, Target};
use worker::js_sys::futures::JsFuture;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Env, web_sys};

use crate::edits::Edits;
use crate::platform;

/// The variable in `wrangler.toml`.
const VARIABLE: &str = "TIDEGATE_ORIGIN";

/// Where requests go that the edge does not answer.
pub(crate) struct Origin {
    /// `scheme://host[:port]`, nothing behind it.
    base: String,
}

/// The origin gave no answer: refused, unknown, cut off before the head, or timed out.
pub(crate) struct Unreachable(JsValue);

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

    /// The URL of `target` at the origin: its normalised path, so that what was matched and
    /// what is in the key is what is fetched.
    pub(crate) fn url(&self, target: &Target<'_>) -> String {
        match target.query() {
            Some(query) => [&self.base, target.path(), "?", query].concat(),
            None => [&self.base, target.path()].concat(),
        }
    }

    /// The URL of a target that nobody normalised: for requests that nothing is decided on.
    pub(crate) fn url_of(&self, target: &str) -> String {
        [&self.base, target].concat()
    }
}

/// Sends `request` and waits for the head of the answer; bodies stream both ways.
pub(crate) async fn fetch(request: &web_sys::Request) -> Result<web_sys::Response, Unreachable> {
    let answer = JsFuture::from(platform::fetch(request)).await.map_err(Unreachable)?;
    Ok(answer.unchecked_into())
}

/// Says who the client is and what it asked for, in place of whatever the client said of
/// itself: nobody behind us can tell a forwarding field that we let pass from our own.
pub(crate) fn put_client(edits: &mut Edits, client_ip: Option<&str>, host: &str, scheme: Scheme) {
    for name in ["forwarded", "x-client-ip", "x-cluster-client-ip", "true-client-ip"] {
        edits.remove(name);
    }
    match client_ip {
        Some(ip) => {
            edits.set("x-forwarded-for", ip);
            edits.set("x-real-ip", ip);
        }
        None => {
            edits.remove("x-forwarded-for");
            edits.remove("x-real-ip");
        }
    }
    edits.set("x-forwarded-host", host);
    edits.set("x-forwarded-proto", scheme.as_str());
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
            None => f.write_str("no answer"),
        }
    }
}
