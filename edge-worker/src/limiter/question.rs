//! What the gate asks a limiter object, and what that answers: the limit in a URL's query,
//! the answer in one header field. Without bodies there is nothing to wait for twice.
//!
//! The answer is not the verdict but what the object knew and what time it was. The core is
//! pure, so deciding again from these gives the same verdict, and there is no second
//! notation of verdicts that could disagree with the first.

use tidegate_core::rate::{Admission, Limit, LimitKey, State};
use tidegate_core::{Timestamp, canonical};
use worker::js_sys::{decode_uri_component, encode_uri_component};
use worker::{Env, Request, Response, Result};

use crate::admission::{Failure, TIMEOUT};
use crate::{block_log, digest, hex, platform};

/// The binding in `wrangler.toml`.
pub(crate) const BINDING: &str = "LIMITER";
/// `platform.js` reads it, too.
const KNOWN: &str = "tidegate-known";

/// Asks the object of `key` to admit one request under `limit`.
pub(crate) async fn ask(env: &Env, limit: &Limit, key: &LimitKey) -> Result<Admission, Failure> {
    // The name is a digest because Cloudflare shows names, and a key holds addresses and users.
    let name = digest::hex(key.as_bytes());
    let millis = TIMEOUT.as_millis() as u32;
    let asking = platform::ask_object(env, BINDING, &name, &url(limit), None, millis);
    let said = Failure::or_said(asking).await?;
    let (state, now) = read_known(&said).ok_or(Failure::Nonsense)?;
    let admission = Admission::decide(limit, state, now);
    block_log::note(limit, key, state, &admission, now);
    Ok(admission)
}

fn url(limit: &Limit) -> String {
    // A limit is numbers and names: there is always a text of it.
    let limit = serde_json::to_string(limit).unwrap_or_default();
    format!("https://limiter/?{}", String::from(encode_uri_component(&limit)))
}

/// The limit that a question brings along.
pub(super) fn read(request: &Request) -> Result<Limit> {
    let url = request.inner().url();
    let limit = url.split_once('?').map_or("", |(_, query)| query);
    let limit = String::from(decode_uri_component(limit)?);
    canonical::read(&limit).map_err(|error| worker::Error::RustError(error.to_string()))
}

/// The answer: `state` is what was known at `now`.
pub(super) fn answer(state: Option<State>, now: Timestamp) -> Result<Response> {
    let answer = Response::empty()?;
    answer.headers().set(KNOWN, &known(state, now))?;
    Ok(answer)
}

/// `TIME STATE`: milliseconds and hexadecimal digits, none of these if nothing was known.
fn known(state: Option<State>, now: Timestamp) -> String {
    let state = state.map(|state| hex::encode(state.encode().as_bytes()));
    format!("{} {}", now.as_millis(), state.unwrap_or_default())
}

fn read_known(text: &str) -> Option<(Option<State>, Timestamp)> {
    let (now, state) = text.split_once(' ').unwrap_or((text, ""));
    let state = match state {
        "" => None,
        state => Some(State::decode(&hex::decode(state)?)?),
    };
    Some((state, Timestamp::from_millis(now.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_object_knew_arrives_as_it_was() {
        let now = Timestamp::from_millis(1_700_000_000_123);
        for state in [None, Some(State::Counting { since: now, used: 3 })] {
            assert_eq!(read_known(&known(state, now)), Some((state, now)));
        }
        // A field value loses the space at its end on the way.
        assert_eq!(read_known("5"), Some((None, Timestamp::from_millis(5))));
        for text in ["", "x", "5 00", "5 zz"] {
            assert_eq!(read_known(text), None, "{text}");
        }
    }
}
