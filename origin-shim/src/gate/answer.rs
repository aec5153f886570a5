//! Answers that need no upstream: from the store, and of our own.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use tidegate_core::compress::{Uncompressed, Verdict};
use tidegate_core::conditional::{is_not_modified, may_be_not_modified};
use tidegate_core::forward;
use tidegate_core::headers::FieldsMut;
use tidegate_core::headers::cache_status::{CacheStatus, Outcome, Ttl};
use tidegate_core::http_types::Edits;
use tidegate_core::partial::{self, Selection};
use tidegate_core::policy::Closed;
use tidegate_core::policy::health::{Check, CheckState};
use tidegate_core::respond::Problem;
use tidegate_core::{Method, Stored, Tier, Timestamp, respond};

use super::Passage;
use crate::answer_store::Answer;
use crate::body::Body;
use crate::multipart;
use crate::operating;
use crate::recording::Recorder;

/// How `Cache-Status` calls the store behind the memory.
const FROM_REDIS: &str = "redis";

/// A stored answer, or 304 for a client that has it.
pub(super) fn from_store(
    passage: &Passage<'_>,
    answer: &Answer,
    age: Duration,
    ttl: Ttl,
    detail: Option<&'static str>,
    now: Timestamp,
) -> Response<Body> {
    let (mut response, verdict) = chosen(passage, answer, now);
    let key = passage.plan.key_name(passage.asked, &passage.visitor.identity);
    let outcome = match passage.collapsed {
        Some(why) => Outcome::Collapsed { why, ttl },
        None => Outcome::Hit { ttl },
    };
    let cache_status = CacheStatus {
        cache: passage.plan.tier.cache_name(),
        outcome,
        key: key.as_deref(),
        detail: detail.or(passage.is_from_redis.then_some(FROM_REDIS)),
    };
    let status = response.status().as_u16();
    let mut edits = Edits::of(response.headers_mut());
    describe(passage, &mut edits, status, answer, verdict.as_ref());
    respond::age(&mut edits, age);
    respond::cache_status(&mut edits, &cache_status);
    drop(edits);
    response
}

/// Head and body of a stored answer, without what this hop says of itself: all of it, the
/// ranges asked for, or 304 for a client that has it.
pub(super) fn stored(passage: &Passage<'_>, answer: &Answer, now: Timestamp) -> Response<Body> {
    let (mut response, verdict) = chosen(passage, answer, now);
    let status = response.status().as_u16();
    let mut edits = Edits::of(response.headers_mut());
    describe(passage, &mut edits, status, answer, verdict.as_ref());
    drop(edits);
    response
}

/// What the head says besides what is stored: what browsers are told, and what the body is.
fn describe(
    passage: &Passage<'_>,
    fields: &mut impl FieldsMut,
    status: u16,
    answer: &Answer,
    verdict: Option<&Verdict>,
) {
    respond::browser(fields, &passage.plan, passage.asked, status, &answer.head);
    passage.describe(fields, status, &answer.head, verdict);
}

/// The stored head with the body that suits the request, and in which coding that is.
fn chosen(
    passage: &Passage<'_>,
    answer: &Answer,
    now: Timestamp,
) -> (Response<Body>, Option<Verdict>) {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(answer.stored.status).unwrap_or_default();
    response.headers_mut().clone_from(&answer.head);
    let length = Some(answer.body.len() as u64);
    let mut verdict = passage.verdict(answer.stored.status, &answer.head, length, true);
    if client_has(passage, response.status(), &answer.head, now) {
        not_modified(&mut response);
        forgo(&mut verdict, Uncompressed::Status);
        return (response, verdict);
    }
    let selection = select(passage, answer, now);
    if selection == Selection::Whole {
        if !fill_coded(passage, &mut response, answer, verdict.as_ref()) {
            forgo(&mut verdict, Uncompressed::NoEncoder);
            fill(&mut response, answer, selection);
        }
    } else {
        forgo(&mut verdict, Uncompressed::Partial);
        fill(&mut response, answer, selection);
    }
    (response, verdict)
}

/// Leaves the body as it is, where it was to be coded.
fn forgo(verdict: &mut Option<Verdict>, why: Uncompressed) {
    if let Some(Verdict { coding: coding @ Ok(_), .. }) = verdict {
        *coding = Err(why);
    }
}

/// Puts the coded body in, if it is to be one and can be had.
fn fill_coded(
    passage: &Passage<'_>,
    response: &mut Response<Body>,
    answer: &Answer,
    verdict: Option<&Verdict>,
) -> bool {
    let (Some(offer), Some(Verdict { coding: Ok(coding), .. })) = (passage.offer, verdict) else {
        return false;
    };
    if let Some(coded) = answer.coded.get(*coding) {
        *response.body_mut() = Body::whole(coded.clone());
        return true;
    }
    // A HEAD is not worth making it: its length is not known yet.
    if passage.asked.method == Method::Head {
        return true;
    }
    let Some(coder) = &answer.coder else { return false };
    match coder.make(passage.store(), &answer.body, *coding, offer.level(*coding)) {
        Ok(body) => {
            *response.body_mut() = body;
            true
        }
        Err(_) => false,
    }
}

/// What of a stored answer suits the request's Range, if it has one that counts: only GET has
/// ranges, and only of 200 and 206 (RFC 9110 §14.2).
pub(super) fn select(passage: &Passage<'_>, answer: &Answer, now: Timestamp) -> Selection {
    let Stored { status, part, .. } = answer.stored;
    let has_ranges = passage.asked.method == Method::Get && matches!(status, 200 | 206);
    match passage.has_range() && has_ranges {
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
    may_be_not_modified(passage.asked, status.as_u16())
        && (is_not_modified(&passage.parts.headers, head, now) || passage.has_coded(head))
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

/// Gives a client the body that is recorded on its way, or 304 if it has that, and then it is
/// recorded behind its back.
pub(super) fn fill_recorded(response: &mut Response<Body>, recorder: Recorder, has_it: bool) {
    if has_it {
        tokio::spawn(recorder.drain());
        not_modified(response);
    } else {
        *response.body_mut() = Body::Recorded(recorder);
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
pub(crate) fn problem(problem: &Problem) -> Response<Body> {
    let mut response = Response::new(Body::whole(problem.body()));
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or_default();
    problem.fields(response.headers_mut(), Tier::Origin);
    response
}

/// The answer to who is kept out by maintenance.
pub(super) fn closed(passage: &Passage<'_>, closed: Closed<'_>, now: Timestamp) -> Response<Body> {
    problem(&closed.problem(passage.asked, now))
}

/// The answer to who asks whether requests should come here: what they need, and how it is.
pub(super) fn ready(checks: &[Check]) -> Response<Body> {
    let all = CheckState::of_all(checks);
    let mut response = Response::new(Body::whole(operating::checks(checks).to_string() + "\n"));
    *response.status_mut() = StatusCode::from_u16(all.status()).unwrap_or_default();
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
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
