//! Parts of answers: which part of a stored one suits a Range request, and when parts may be
//! put together (RFC 9110 §14, RFC 9111 §3.3, §3.4).

use alloc::vec::Vec;
use core::ops::Range;

use crate::headers::etag::ETag;
use crate::headers::range::{ByteRange, ContentRange};
use crate::headers::{Fields, http_date, last_modified};
use crate::time::Timestamp;

/// What of a stored body answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of a whole body: 200, or whatever its status is.
    Whole,
    /// One piece: 206 with this Content-Range.
    Piece {
        /// The bytes of the stored body.
        bytes: Range<usize>,
        /// What they are of the representation.
        content_range: ContentRange,
    },
    /// Several pieces of a whole body: 206 as `multipart/byteranges`.
    Pieces(Vec<Range<usize>>),
    /// None of the ranges has a byte of the representation: 416 with its length.
    Unsatisfiable {
        /// The length of the representation.
        length: u64,
    },
    /// The stored part does not hold what is asked for.
    Missing,
}

/// Selects from a stored body of `stored_len` bytes what `request` asks for. `part` says which
/// part of the representation the body is, if it is not the whole.
///
/// `head` is the stored head, for If-Range (RFC 9110 §13.1.5). Only a status of 200 or 206 has
/// ranges, and only for GET: for anything else pass no request fields' Range.
pub fn select(
    part: Option<ContentRange>,
    stored_len: usize,
    request: &(impl Fields + ?Sized),
    head: &(impl Fields + ?Sized),
    now: Timestamp,
) -> Selection {
    let asked = ByteRange::parse_all(request.lines_of("range"))
        .filter(|_| if_range_holds(request, head, now));
    match (part, asked.as_deref()) {
        (None, None) => Selection::Whole,
        (None, Some(ranges)) => from_whole(stored_len, ranges),
        (Some(held), Some([range])) => from_part(held, stored_len, *range),
        (Some(_), _) => Selection::Missing,
    }
}

fn from_whole(stored_len: usize, ranges: &[ByteRange]) -> Selection {
    let length = stored_len as u64;
    let mut pieces: Vec<Range<usize>> = ranges
        .iter()
        .filter_map(|range| range.within(length))
        // Within the stored length, so they fit.
        .map(|range| range.start as usize..range.end as usize)
        .collect();
    match pieces.as_slice() {
        [] => Selection::Unsatisfiable { length },
        [_] => {
            let bytes = pieces.remove(0);
            let content_range = ContentRange {
                first: bytes.start as u64,
                last: bytes.end as u64 - 1,
                complete: Some(length),
            };
            Selection::Piece { bytes, content_range }
        }
        // §14.2: many overlapping ranges are an attack; together they may not exceed the whole.
        pieces_of_it if pieces_of_it.iter().map(Range::len).sum::<usize>() > stored_len => {
            Selection::Whole
        }
        _ => Selection::Pieces(pieces),
    }
}

/// Positions count from the first byte held; a suffix is cut from a part that holds the end.
fn from_part(held: ContentRange, stored_len: usize, range: ByteRange) -> Selection {
    let stored_len = stored_len as u64;
    let ends = held.complete.filter(|length| held.last + 1 == *length);
    let bytes = match (range, ends) {
        (ByteRange::Last(count), Some(_)) => {
            stored_len.checked_sub(count).map(|start| start..stored_len)
        }
        (ByteRange::Last(_), None) | (ByteRange::From(_), None) => None,
        (ByteRange::From(first), Some(_)) => {
            first.checked_sub(held.first).map(|start| start..stored_len)
        }
        (ByteRange::Closed(first, last), _) => {
            let last = held.complete.map_or(last, |length| last.min(length.saturating_sub(1)));
            let start = first.checked_sub(held.first);
            start.filter(|_| last <= held.last).map(|start| start..last - held.first + 1)
        }
    };
    let bytes = bytes.filter(|bytes| bytes.start < bytes.end && bytes.end <= stored_len);
    match bytes {
        None => Selection::Missing,
        Some(bytes) => {
            let first = match (range, ends) {
                (ByteRange::Last(_), Some(length)) => length - (bytes.end - bytes.start),
                _ => held.first + bytes.start,
            };
            let last = first + (bytes.end - bytes.start) - 1;
            let content_range = ContentRange { first, last, complete: held.complete };
            Selection::Piece { bytes: bytes.start as usize..bytes.end as usize, content_range }
        }
    }
}

/// Whether a Range still counts: If-Range is absent, or names the stored answer by a strong
/// validator (RFC 9110 §13.1.5).
fn if_range_holds(
    request: &(impl Fields + ?Sized),
    head: &(impl Fields + ?Sized),
    now: Timestamp,
) -> bool {
    let Some(condition) = request.first("if-range") else { return true };
    if let Some(tag) = ETag::parse(condition) {
        let current = head.first("etag").and_then(ETag::parse);
        return current.is_some_and(|current| current.matches_strongly(&tag));
    }
    // A date matches exactly, and only where it is strong.
    let modified = last_modified::read_strong(head, now);
    modified.is_some() && http_date::parse(condition, now) == modified
}

/// Whether two answers for one key are parts of the same representation: they share a strong
/// validator (RFC 9111 §3.4).
pub fn may_combine(one: &(impl Fields + ?Sized), two: &(impl Fields + ?Sized)) -> bool {
    let tag = |fields: Option<&[u8]>, other: Option<&[u8]>| {
        let (one, two) = (fields.and_then(ETag::parse), other.and_then(ETag::parse));
        matches!((one, two), (Some(one), Some(two)) if one.matches_strongly(&two))
    };
    tag(one.first("etag"), two.first("etag"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn of_whole(range: &str, extra: &[(&str, &str)], head: &[(&str, &str)]) -> Selection {
        let mut request = vec![("range", range)];
        request.extend_from_slice(extra);
        select(None, 10, &request, head, NOW)
    }

    fn piece(bytes: Range<usize>, first: u64, last: u64) -> Selection {
        let content_range = ContentRange { first, last, complete: Some(10) };
        Selection::Piece { bytes, content_range }
    }

    #[test]
    fn a_whole_answer_serves_every_kind_of_range() {
        assert_eq!(of_whole("bytes=0-1", &[], &[]), piece(0..2, 0, 1));
        assert_eq!(of_whole("bytes=8-", &[], &[]), piece(8..10, 8, 9));
        assert_eq!(of_whole("bytes=-1", &[], &[]), piece(9..10, 9, 9));
        assert_eq!(of_whole("bytes=10-", &[], &[]), Selection::Unsatisfiable { length: 10 });
        assert_eq!(of_whole("bytes=0-0,9-9", &[], &[]), Selection::Pieces(vec![0..1, 9..10]));
        assert_eq!(of_whole("bytes=0-0,99-", &[], &[]), piece(0..1, 0, 0));
        assert_eq!(of_whole("bytes=0-8,1-9", &[], &[]), Selection::Whole, "more than the whole");
        assert_eq!(of_whole("nonsense", &[], &[]), Selection::Whole);
    }

    #[test]
    fn if_range_needs_a_strong_match() {
        let (old, date) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT");
        let held = |condition, head: &[(&str, &str)]| {
            of_whole("bytes=0-1", &[("if-range", condition)], head) != Selection::Whole
        };
        assert!(held("\"a\"", &[("etag", "\"a\"")]));
        assert!(!held("\"b\"", &[("etag", "\"a\"")]));
        assert!(!held("W/\"a\"", &[("etag", "W/\"a\"")]));
        assert!(held(old, &[("last-modified", old), ("date", date)]));
        assert!(!held(old, &[("last-modified", old), ("date", old)]), "weak");
        assert!(!held(date, &[("last-modified", old), ("date", date)]), "exact match only");
    }

    #[test]
    fn a_part_serves_what_lies_within_it() {
        let held = Some(ContentRange { first: 4, last: 8, complete: Some(10) });
        let of_part = |range: &str| select(held, 5, &[("range", range)], &[("a", "b")], NOW);
        assert_eq!(of_part("bytes=4-8"), piece(0..5, 4, 8));
        assert_eq!(of_part("bytes=6-7"), piece(2..4, 6, 7));
        for outside in ["bytes=3-5", "bytes=6-9", "bytes=6-", "bytes=-2", "bytes=5-6,7-8", "x"] {
            assert_eq!(of_part(outside), Selection::Missing, "{outside}");
        }
        let end = Some(ContentRange { first: 5, last: 9, complete: Some(10) });
        let of_end = |range: &str| select(end, 5, &[("range", range)], &[("a", "b")], NOW);
        assert_eq!(of_end("bytes=6-"), piece(1..5, 6, 9));
        assert_eq!(of_end("bytes=-2"), piece(3..5, 8, 9));
        assert_eq!(of_end("bytes=7-99"), piece(2..5, 7, 9));
        assert_eq!(of_end("bytes=-6"), Selection::Missing);
    }

    #[test]
    fn parts_are_combined_by_strong_etags_alone() {
        let combine = |one: &[(&str, &str)], two: &[(&str, &str)]| may_combine(one, two);
        assert!(combine(&[("etag", "\"a\"")], &[("etag", "\"a\"")]));
        assert!(!combine(&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")]));
        assert!(!combine(&[("etag", "\"a\"")], &[("etag", "\"b\"")]));
        assert!(!combine(&[], &[]));
    }
}
