//! Answers that need no upstream: from the store, and of our own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use tidegate_core::compress::{Uncompressed, Verdict};
use tidegate_core::conditional::{is_not_modified, may_be_not_modified};
use tidegate_core::forward;
use tidegate_core::headers::cache_status::{CacheStatus, Outcome, Ttl};
use tidegate_core::headers::{Fields, FieldsMut};
use tidegate_core::http_types::Edits;
use tidegate_core::partial::{self, Selection};
use tidegate_core::policy::Closed;
use tidegate_core::policy::health::{Check, CheckState};
use tidegate_core::respond::Problem;
use tidegate_core::{Method, Stored, Target, Tier, Timestamp, respond};

use super::Passage;
use crate::answer_store::Answer;
use crate::body::Body;
use crate::multipart;
use crate::operating;
use crate::overlay::Overlay;
use crate::recording::Recorder;

/// How `Cache-Status` calls the store behind the memory.
const FROM_REDIS: &str = "redis";

/// A stored answer, or 304 for a client that has it.
pub(super) fn from_store(
    passage: &Passage<'_>,
    answer: &Arc<Answer>,
    age: Duration,
    ttl: Ttl,
    detail: Option<&'static str>,
    now: Timestamp,
) -> Response<Body> {
    let Chosen { status, mut head, body, verdict } = chosen(passage, answer, now);
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
    describe(passage, &mut head, status.as_u16(), answer, verdict.as_ref());
    respond::age(&mut head, age);
    respond::cache_status(&mut head, &cache_status);
    head.with(status, body)
}

/// Head and body of a stored answer, without what this hop says of itself: all of it, the
/// ranges asked for, or 304 for a client that has it.
pub(super) fn stored(
    passage: &Passage<'_>,
    answer: &Arc<Answer>,
    now: Timestamp,
) -> Response<Body> {
    let Chosen { status, mut head, body, verdict } = chosen(passage, answer, now);
    describe(passage, &mut head, status.as_u16(), answer, verdict.as_ref());
    head.with(status, body)
}

/// What of a stored answer suits a request.
struct Chosen {
    status: StatusCode,
    head: Overlay,
    body: Body,
    /// In which coding it is; `None` where the policy compresses nothing.
    verdict: Option<Verdict>,
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
fn chosen(passage: &Passage<'_>, answer: &Arc<Answer>, now: Timestamp) -> Chosen {
    let status = StatusCode::from_u16(answer.stored.status).unwrap_or_default();
    let mut head = Overlay::on(Arc::clone(answer));
    let length = Some(answer.body.len() as u64);
    let mut verdict = passage.verdict(answer.stored.status, &answer.head, length, true);
    if client_has(passage, status, &answer.head, now) {
        head.leave_content_out();
        forgo(&mut verdict, Uncompressed::Status);
        return Chosen { status: StatusCode::NOT_MODIFIED, head, body: Body::empty(), verdict };
    }
    match select(passage, answer, now) {
        // What is missing is never served: see `Gate::answer`.
        Selection::Whole | Selection::Missing => {
            let body = coded(passage, answer, verdict.as_ref()).unwrap_or_else(|| {
                forgo(&mut verdict, Uncompressed::NoEncoder);
                Body::whole(answer.body.clone())
            });
            Chosen { status, head, body, verdict }
        }
        selection => {
            forgo(&mut verdict, Uncompressed::Partial);
            let (status, body) = part(&mut head, answer, selection);
            Chosen { status, head, body: Body::whole(body), verdict }
        }
    }
}

/// Leaves the body as it is, where it was to be coded.
fn forgo(verdict: &mut Option<Verdict>, why: Uncompressed) {
    if let Some(Verdict { coding: coding @ Ok(_), .. }) = verdict {
        *coding = Err(why);
    }
}

/// The coded body, if it is to be one and can be had.
fn coded(passage: &Passage<'_>, answer: &Answer, verdict: Option<&Verdict>) -> Option<Body> {
    let (Some(offer), Some(Verdict { coding: Ok(coding), .. })) = (passage.offer, verdict) else {
        return None;
    };
    if let Some(coded) = answer.coded.get(*coding) {
        return Some(Body::whole(coded.clone()));
    }
    // A HEAD is not worth making it: its length is not known yet.
    if passage.asked.method == Method::Head {
        return Some(Body::empty());
    }
    let coder = answer.coder.as_ref()?;
    coder.make(passage.store(), &answer.body, *coding, offer.level(*coding)).ok()
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

/// The status and body of what was selected of a stored answer, which `head` then says.
fn part(head: &mut Overlay, answer: &Answer, selection: Selection) -> (StatusCode, Bytes) {
    // The stored length is that of another body.
    head.remove("content-length");
    let whole = &answer.body;
    match selection {
        Selection::Whole | Selection::Missing => (StatusCode::OK, whole.clone()),
        Selection::Piece { bytes, content_range } => {
            head.set_display("content-range", &content_range);
            (StatusCode::PARTIAL_CONTENT, whole.slice(bytes))
        }
        Selection::Pieces(pieces) => {
            let own = answer.head.first("content-type").and_then(|v| str::from_utf8(v).ok());
            let (content_type, body) = multipart::byteranges(whole, &pieces, own);
            head.set("content-type", &content_type);
            (StatusCode::PARTIAL_CONTENT, body)
        }
        Selection::Unsatisfiable { length } => {
            head.set_display("content-range", &format_args!("bytes */{length}"));
            (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new())
        }
    }
}

/// Whether 304 suffices for a client with these conditions.
pub(super) fn client_has(
    passage: &Passage<'_>,
    status: StatusCode,
    head: &(impl Fields + ?Sized),
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

/// The answer to a path that others may have read otherwise than we do: the same in normal form.
pub(super) fn as_normalised(target: &Target<'_>) -> Response<Body> {
    // Where it leads must be a path here, and no other host.
    let location = HeaderValue::from_str(&target.to_string()).ok();
    match location.filter(|_| !target.path().starts_with("//")) {
        Some(location) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(LOCATION, location);
            response
        }
        None => problem(&Problem::bad_request("The path can be read in several ways.")),
    }
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
