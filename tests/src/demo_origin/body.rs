//! The bodies and the few shapes of answer that both services share.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use serde_json::{Value, json};

/// Every body the origin sends: whole or as a stream, never failing.
pub(super) type Body = BoxBody<Bytes, Infallible>;

/// Every answer the origin gives.
pub(super) type Answer = Response<Body>;

pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

pub(super) fn empty(status: StatusCode) -> Answer {
    answer(status, Bytes::new())
}

pub(super) fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = answer(status, body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub(super) fn json(status: StatusCode, value: &Value) -> Answer {
    typed(status, "application/json", format!("{value}\n").into())
}

/// RFC 9457.
pub(super) fn problem(status: StatusCode, detail: &str) -> Answer {
    let value = json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": detail,
    });
    typed(status, "application/problem+json", format!("{value}\n").into())
}

/// RFC 9110 §15.5.6: a 405 must say what would be allowed.
pub(super) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("this path knows {allowed}"));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn answer(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = status;
    answer
}
