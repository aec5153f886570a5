//! Answers that need no origin: from the store, and of the gate's own.

use std::ops::Range;
use std::time::Duration;

use tidegate_core::conditional::{is_not_modified, may_be_not_modified};
use tidegate_core::headers::cache_status::{CacheStatus, Outcome, Ttl};
use tidegate_core::headers::range::ContentRange;
use tidegate_core::headers::{Fields, FieldsMut};
use tidegate_core::partial::{self, Selection};
use tidegate_core::respond::{self, Problem};
use tidegate_core::{Method, Stored, Tier, forward, response};

use super::Passage;
use crate::message::{Head, Response};
use crate::store::Answer;

/// Stands between the pieces of a multipart answer; a real shell draws it by lot.
const BOUNDARY: &str = "tidegate-world";

impl Passage<'_> {
    /// A stored answer, or 304 for a client that has it.
    pub(super) fn serve(
        &self,
        answer: &Answer,
        age: Duration,
        ttl: Ttl,
        detail: Option<&'static str>,
    ) -> Response {
        let mut response = self.stored(answer);
        respond::age(&mut response.head, age);
        let status = CacheStatus {
            cache: self.tier.cache_name(),
            outcome: Outcome::Hit { ttl },
            key: None,
            detail,
        };
        respond::cache_status(&mut response.head, &status);
        response
    }

    /// Head and body of a stored answer: all of it, the ranges asked for, or 304.
    pub(super) fn stored(&self, answer: &Answer) -> Response {
        let mut response = Response {
            status: answer.stored.status,
            head: answer.head.clone(),
            body: String::new(),
        };
        match self.client_has(response.status, &answer.head) {
            true => not_modified(&mut response),
            false => fill(&mut response, answer, self.select(answer)),
        }
        self.finish(&mut response, &answer.head);
        response
    }

    /// What of a stored answer suits the request's Range, if it has one that counts.
    pub(super) fn select(&self, answer: &Answer) -> Selection {
        let Stored { status, part, .. } = answer.stored;
        let has_ranges = self.asked.method == Method::Get && matches!(status, 200 | 206);
        let fields = &self.request.head;
        match self.asked.has_range && has_ranges {
            true => partial::select(part, answer.body.len(), fields, &answer.head, self.now),
            false if part.is_some() => Selection::Missing,
            false => Selection::Whole,
        }
    }

    /// Whether 304 suffices for a client with these conditions.
    pub(super) fn client_has(&self, status: u16, head: &Head) -> bool {
        may_be_not_modified(self.asked, status)
            && is_not_modified(&self.request.head, head, self.now)
    }

    /// What browsers are told of an answer that came with the head `origin`.
    pub(super) fn finish(&self, response: &mut Response, origin: &Head) {
        respond::browser(&mut response.head, &self.plan, self.asked, response.status, origin);
    }
}

/// Turns an answer into the 304 that stands for it (RFC 9110 §15.4.5).
pub(super) fn not_modified(response: &mut Response) {
    response.status = 304;
    response.body.clear();
    response.head.0.retain(|(name, _)| !forward::describes_content(name));
}

/// An answer of the gate's own that says what went wrong.
pub(super) fn problem(problem: &Problem, tier: Tier) -> Response {
    let mut response =
        Response { status: problem.status, head: Head::default(), body: problem.body() };
    problem.fields(&mut response.head, tier);
    response
}

/// Puts what was selected of a stored answer into a response that has its status and head.
fn fill(response: &mut Response, answer: &Answer, selection: Selection) {
    let whole = answer.body.as_str();
    let piece = |range: &Range<usize>| whole.get(range.clone()).unwrap_or_default().to_owned();
    (response.status, response.body) = match selection {
        Selection::Whole | Selection::Missing => {
            response.body.push_str(whole);
            return;
        }
        Selection::Piece { bytes, content_range } => {
            response.head.set("content-range", &content_range.to_string());
            (206, piece(&bytes))
        }
        Selection::Pieces(pieces) => {
            let own = answer.head.joined("content-type");
            let parts = pieces.iter().map(|range| {
                let content_range = ContentRange {
                    first: range.start as u64,
                    last: (range.end as u64).saturating_sub(1),
                    complete: Some(whole.len() as u64),
                };
                let own = own.as_ref().map(|own| format!("Content-Type: {own}\r\n"));
                format!(
                    "\r\n--{BOUNDARY}\r\n{}Content-Range: {content_range}\r\n\r\n{}",
                    own.unwrap_or_default(),
                    piece(range)
                )
            });
            let body = parts.collect::<String>() + &format!("\r\n--{BOUNDARY}--\r\n");
            let kind = format!("multipart/byteranges; boundary={BOUNDARY}");
            response.head.set("content-type", &kind);
            (206, body)
        }
        Selection::Unsatisfiable { length } => {
            response.head.set("content-range", &format!("bytes */{length}"));
            (416, String::new())
        }
    };
    // The stored length is that of another body.
    response.head.remove("content-length");
}

/// A copy of a head without the fields of its connection.
pub(super) fn end_to_end(head: &Head) -> Head {
    let options: Vec<&[u8]> = forward::connection_options(head).collect();
    let stays = |name: &str| {
        forward::is_hop_by_hop(name)
            || options.iter().any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
    };
    Head(head.0.iter().filter(|(name, _)| !stays(name)).cloned().collect())
}

/// A head without what is not stored (RFC 9111 §3.1).
pub(super) fn storable(mut head: Head, tier: Tier) -> Head {
    let directives = response::directives(tier, &head);
    head.0.retain(|(name, _)| forward::is_stored(name, &directives));
    head
}

/// The stored head with the fields of a 304 in place of its own (RFC 9111 §3.2).
pub(super) fn merge(stored: &Head, update: &Head) -> Head {
    let mut merged = stored.clone();
    merged.overwrite(&end_to_end(update), forward::is_kept_on_update);
    merged
}

/// Whether what a HEAD was told of a resource differs from what is stored (RFC 9111 §4.3.5).
pub(super) fn contradicts(stored: &Head, said: &Head) -> bool {
    ["etag", "last-modified", "content-length"]
        .into_iter()
        .any(|name| said.first(name).is_some() && said.first(name) != stored.first(name))
}
