//! Bodies of requests: JSON, of a bounded length, in a bounded time.

use std::time::Duration;

use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value};
use tidegate_core::Timestamp;
use tidegate_core::policy::overrides::{JSON_MAX, Objection};
use tidegate_core::policy::units;
use tidegate_core::time::rfc3339::Rfc3339;

use super::answer::Problem;

/// The whole body must be here within this time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The body as text; an empty one stands for an empty object.
pub(super) async fn read(body: Incoming) -> Result<String, Problem> {
    let collected = Limited::new(body, JSON_MAX).collect();
    let bytes = match tokio::time::timeout(TIMEOUT, collected).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = format!("The body is longer than {JSON_MAX} bytes.");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail, ""));
        }
        Ok(Err(_)) => {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "The body broke off.", ""));
        }
        Err(_) => {
            let detail = format!("The body did not come within {TIMEOUT:?}.");
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail, ""));
        }
    };
    match std::str::from_utf8(&bytes) {
        Ok("") => Ok("{}".into()),
        Ok(text) => Ok(text.into()),
        Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "The body is no UTF-8.", "")),
    }
}

/// The body with the `until` that its `for` means, counted from `now`: who asks for an hour
/// means this machine's hour.
pub(super) fn with_end(text: String, now: Timestamp) -> Result<String, Problem> {
    let Ok(Value::Object(mut all)) = serde_json::from_str::<Value>(&text) else { return Ok(text) };
    let end = end(&mut all, now).map_err(|objection| Problem::objections(&[objection]))?;
    if let Some(end) = end {
        all.insert("until".into(), Rfc3339(end).to_string().into());
    }
    Ok(Value::Object(all).to_string())
}

fn end(all: &mut Map<String, Value>, now: Timestamp) -> Result<Option<Timestamp>, Objection> {
    let object = |place: &str, message: &str, hint: &str| Objection {
        place: place.into(),
        message: message.into(),
        hint: hint.into(),
    };
    let Some(span) = all.remove("for") else { return Ok(None) };
    if all.contains_key("until") {
        return Err(object("for", "`for` and `until` say the same", "give one of them"));
    }
    let span = span.as_str().ok_or_else(|| object("for", "this is no text", "write `\"1h\"`"))?;
    let span = units::duration(span).map_err(|bad| object("for", &bad.message, &bad.hint))?;
    Ok(Some(now + span))
}

/// An end that lies behind `now` is one that nobody means.
pub(super) fn check_end(until: Option<Timestamp>, now: Timestamp) -> Result<(), Objection> {
    match until {
        Some(until) if until <= now => Err(Objection {
            place: "until".into(),
            message: format!("{} is past", Rfc3339(until)),
            hint: format!("it is {} on this machine; `for` counts from then", Rfc3339(now)),
        }),
        _ => Ok(()),
    }
}
