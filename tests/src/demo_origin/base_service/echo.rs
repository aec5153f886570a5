//! `/api/v1/echo`: what arrived here after all the hops before.

use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;

use super::super::body::{self, Answer};

/// The head as JSON, header lines in order of arrival within each name, and
/// how many bytes of body came. The body is counted as it streams by, so its
/// size is free.
pub(super) async fn answer(request: Request<Incoming>, served: u64) -> Answer {
    let (head, body) = request.into_parts();
    let Some(body_bytes) = length(body).await else {
        return body::problem(StatusCode::BAD_REQUEST, "the body broke off");
    };
    let headers: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| [name.as_str().into(), String::from_utf8_lossy(value.as_bytes())])
        .collect();
    let seen = json!({
        "served": served,
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "headers": headers,
        "body_bytes": body_bytes,
    });
    body::json(StatusCode::OK, &seen)
}

async fn length(mut body: Incoming) -> Option<usize> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame.ok()?.data_ref().map_or(0, bytes::Bytes::len);
    }
    Some(length)
}
