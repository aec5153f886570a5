//! An answer from upstream, perhaps the rest of one whose begin is stored.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use http::{HeaderMap, Response, StatusCode};
use tidegate_core::headers::range::ContentRange;
use tidegate_core::partial::may_combine;

use crate::answer_store::Answer;
use crate::origin::AnswerBody;

/// An answer from upstream, with what is known of its body's begin.
pub(super) struct Fetched {
    pub(super) status: StatusCode,
    pub(super) head: HeaderMap,
    pub(super) begin: Bytes,
    pub(super) incoming: AnswerBody,
}

impl From<Response<AnswerBody>> for Fetched {
    fn from(response: Response<AnswerBody>) -> Self {
        let (parts, incoming) = response.into_parts();
        Self { status: parts.status, head: parts.headers, begin: Bytes::new(), incoming }
    }
}

/// Puts a part and what upstream said when asked for the rest together (RFC 9111 §3.4), or
/// takes what it sent in place of that: the whole, or that there is none. The error is a status
/// that only makes sense to who asked for a part.
pub(super) fn complete(
    part: &Answer,
    response: Response<AnswerBody>,
) -> Result<Fetched, StatusCode> {
    let status = response.status();
    let partial =
        [StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::RANGE_NOT_SATISFIABLE];
    if !partial.contains(&status) {
        return Ok(Fetched::from(response));
    }
    let rest =
        response.headers().get(CONTENT_RANGE).and_then(|v| ContentRange::parse(v.as_bytes()));
    let fits = rest.is_some_and(|rest| {
        rest.first == part.body.len() as u64 && rest.complete == Some(rest.last + 1)
    });
    if status != StatusCode::PARTIAL_CONTENT
        || !fits
        || !may_combine(&part.head, response.headers())
    {
        return Err(status);
    }
    let mut fetched = Fetched::from(response);
    fetched.status = StatusCode::OK;
    fetched.begin = part.body.clone();
    let mut head = part.head.to_map();
    for name in fetched.head.keys() {
        head.remove(name);
        for value in fetched.head.get_all(name) {
            head.append(name.clone(), value.clone());
        }
    }
    head.remove(CONTENT_RANGE);
    head.remove(CONTENT_LENGTH);
    fetched.head = head;
    Ok(fetched)
}
