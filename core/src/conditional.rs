//! Preconditions of a request against a stored answer (RFC 9110 §13, RFC 9111 §4.3.2).

use crate::headers::{Fields, etag, http_date};
use crate::request::Request;
use crate::time::Timestamp;

/// Whether a request is one to which 304 may stand for an answer with this status: only to GET and
/// HEAD, and for a 200 (RFC 9110 §13.1.2, §15.4.5).
pub fn may_be_not_modified<F: Fields + ?Sized>(request: &Request<'_, F>, status: u16) -> bool {
    request.is_conditional && status == 200 && request.method.is_answered_from_cache()
}

/// Whether a condition of the request forbids to answer it with what there is, the head of which is
/// `current`: 412 then (RFC 9110 §13.2.2). If-Match decides alone where it is present, and
/// If-Unmodified-Since otherwise.
pub fn is_forbidden(
    request: &(impl Fields + ?Sized),
    current: &(impl Fields + ?Sized),
    now: Timestamp,
) -> bool {
    if request.first("if-match").is_some() {
        let tag = current.first("etag").and_then(etag::ETag::parse);
        let names = |line: &[u8]| {
            line.trim_ascii() == b"*"
                || tag.is_some_and(|tag| etag::tags(line).any(|one| one.matches_strongly(&tag)))
        };
        return !request.lines_of("if-match").any(names);
    }
    let date_of = |name| http_date::parse(request.first(name)?, now);
    let modified = current.first("last-modified").and_then(|value| http_date::parse(value, now));
    let unmodified = date_of("if-unmodified-since");
    matches!((unmodified, modified), (Some(since), Some(modified)) if modified > since)
}

/// Whether the client already has this answer, so that 304 suffices where
/// [`may_be_not_modified`] allows it.
///
/// If-None-Match decides alone where it is present; If-Modified-Since otherwise (RFC 9110
/// §13.2.2).
pub fn is_not_modified(
    request: &(impl Fields + ?Sized),
    stored: &(impl Fields + ?Sized),
    now: Timestamp,
) -> bool {
    if request.first("if-none-match").is_some() {
        let current = stored.first("etag").and_then(etag::ETag::parse);
        return request
            .lines_of("if-none-match")
            .any(|line| etag::none_match_names(line, current.as_ref()));
    }
    let date_of = |value: Option<&[u8]>| value.and_then(|v| http_date::parse(v, now));
    let since = date_of(request.first("if-modified-since"));
    // Without Last-Modified, Date says when it was surely unchanged (RFC 9111 §4.3.2).
    let modified = date_of(stored.first("last-modified").or_else(|| stored.first("date")));
    matches!((since, modified), (Some(since), Some(modified)) if modified <= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Mon, 07 Nov 1994 08:49:37 GMT";

    #[test]
    fn if_none_match_decides_alone() {
        let stored = [("etag", "\"a\""), ("last-modified", OLD)];
        let not_modified = |request: &[(&str, &str)]| is_not_modified(request, &stored, NOW);
        assert!(not_modified(&[("if-none-match", "\"b\", W/\"a\"")]));
        assert!(not_modified(&[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")]));
        assert!(!not_modified(&[("if-none-match", "\"b\""), ("if-modified-since", NEW)]));
        assert!(not_modified(&[("if-none-match", "*")]));
    }

    #[test]
    fn if_modified_since_compares_with_last_modified_or_date() {
        let not_modified = |since, stored: &[(&str, &str)]| {
            is_not_modified(&[("if-modified-since", since)], stored, NOW)
        };
        assert!(not_modified(OLD, &[("last-modified", OLD)]));
        assert!(!not_modified(OLD, &[("last-modified", NEW)]));
        assert!(not_modified(NEW, &[("date", OLD)]));
        assert!(!not_modified("nonsense", &[("last-modified", OLD)]));
        assert!(!not_modified(NEW, &[]));
    }
}
