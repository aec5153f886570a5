//! Answers that need no upstream: from the store, and of our own.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use tidegate_core::conditional::is_not_modified;
use tidegate_core::forward;
use tidegate_core::headers::cache_status::{CacheStatus, Outcome, Ttl};
use tidegate_core::http_types::Edits;
use tidegate_core::partial::{self, Selection};
use tidegate_core::policy::Closed;
use tidegate_core::respond::Problem;
use tidegate_core::{Method, Stored, Tier, Timestamp, respond};

use super::Passage;
use crate::answer_store::Answer;
use crate::body::Body;
use crate::multipart;

/// A stored answer, or 304 for a client that has it.
pub(super) fn from_store(
    passage: &Passage<'_>,
    answer: &Answer,
    age: Duration,
    ttl: Ttl,
    detail: Option<&'static str>,
    now: Timestamp,
) -> Response<Body> {
    let mut response = stored(passage, answer, now);
    let key = passage.plan.key_name(passage.asked, &passage.visitor.identity);
    let status = CacheStatus {
        cache: passage.plan.tier.cache_name(),
        outcome: Outcome::Hit { ttl },
        key: key.as_deref(),
        detail,
    };
    let mut edits = Edits::of(response.headers_mut());
    respond::age(&mut edits, age);
    respond::cache_status(&mut edits, &status);
    drop(edits);
    response
}

/// Head and body of a stored answer, without what this hop says of itself: all of it, the
/// ranges asked for, or 304 for a client that has it.
pub(super) fn stored(passage: &Passage<'_>, answer: &Answer, now: Timestamp) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(answer.stored.status).unwrap_or_default();
    response.headers_mut().clone_from(&answer.head);
    if client_has(passage, response.status(), &answer.head, now) {
        not_modified(&mut response);
    } else {
        fill(&mut response, answer, select(passage, answer, now));
    }
    finish(passage, &mut response, &answer.head);
    response
}

/// What of a stored answer suits the request's Range, if it has one that counts: only GET has
/// ranges, and only of 200 and 206 (RFC 9110 §14.2).
pub(super) fn select(passage: &Passage<'_>, answer: &Answer, now: Timestamp) -> Selection {
    let Stored { status, part, .. } = answer.stored;
    let has_ranges = passage.asked.method == Method::Get && matches!(status, 200 | 206);
    match passage.asked.has_range && has_ranges {
        true => partial::select(part, answer.body.len(), &passage.parts.headers, &answer.head, now),
        false if part.is_some() => Selection::Missing,
        false => Selection::Whole,
    }
}

/// Puts what was selected of a stored answer into a response that has its status and head.
fn fill(response: &mut Response<Body>, answer: &Answer, selection: Selection) {
    let whole = &answer.body;
    let (status, body) = match selection {
        // What is missing is never served: see `Gate::answer`.
        Selection::Whole | Selection::Missing => {
            *response.body_mut() = Body::whole(whole.clone());
            return;
        }
        Selection::Piece { bytes, content_range } => {
            set(response, CONTENT_RANGE, &content_range.to_string());
            (StatusCode::PARTIAL_CONTENT, whole.slice(bytes))
        }
        Selection::Pieces(pieces) => {
            let own = answer.head.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let (content_type, body) = multipart::byteranges(whole, &pieces, own);
            set(response, CONTENT_TYPE, &content_type);
            (StatusCode::PARTIAL_CONTENT, body)
        }
        Selection::Unsatisfiable { length } => {
            set(response, CONTENT_RANGE, &format!("bytes */{length}"));
            (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new())
        }
    };
    // The stored length is that of another body.
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.status_mut() = status;
    *response.body_mut() = Body::whole(body);
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Whether 304 suffices for a client with these conditions.
pub(super) fn client_has(
    passage: &Passage<'_>,
    status: StatusCode,
    head: &http::HeaderMap,
    now: Timestamp,
) -> bool {
    passage.asked.is_conditional
        && status == StatusCode::OK
        && is_not_modified(&passage.parts.headers, head, now)
}

/// Turns an answer into the 304 that stands for it (RFC 9110 §15.4.5).
pub(super) fn not_modified(response: &mut Response<Body>) {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.body_mut() = Body::empty();
    let described: Vec<HeaderName> = response
        .headers()
        .keys()
        .filter(|name| forward::describes_content(name.as_str()))
        .cloned()
        .collect();
    for name in described {
        response.headers_mut().remove(name);
    }
}

/// What browsers are told of an answer that came with the head `origin`.
pub(super) fn finish(
    passage: &Passage<'_>,
    response: &mut Response<Body>,
    origin: &http::HeaderMap,
) {
    let status = response.status().as_u16();
    respond::browser(
        &mut Edits::of(response.headers_mut()),
        &passage.plan,
        passage.asked,
        status,
        origin,
    );
}

/// An answer of our own that says what went wrong.
pub(super) fn problem(problem: &Problem) -> Response<Body> {
    let mut response = Response::new(Body::whole(problem.body()));
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or_default();
    problem.fields(response.headers_mut(), Tier::Origin);
    response
}

/// The answer to who is kept out by maintenance.
pub(super) fn closed(passage: &Passage<'_>, closed: Closed<'_>, now: Timestamp) -> Response<Body> {
    problem(&closed.problem(passage.asked, now))
}

/// The answer to a health check: this process is alive.
pub(super) fn alive() -> Response<Body> {
    let mut response = Response::new(Body::whole("ok\n"));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
        .headers_mut()
        .insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
