//! Several ranges in one answer: `multipart/byteranges` (RFC 9110 §14.6).

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use tidegate_core::headers::range::ContentRange;

/// The Content-Type and the body for `pieces` of `whole`, whose own type is `content_type`.
pub fn byteranges(
    whole: &Bytes,
    pieces: &[Range<usize>],
    content_type: Option<&str>,
) -> (String, Bytes) {
    let boundary = boundary(whole);
    let total: usize = pieces.iter().map(Range::len).sum();
    let mut body = BytesMut::with_capacity(total + pieces.len() * 160);
    for piece in pieces {
        let range = ContentRange {
            first: piece.start as u64,
            last: (piece.end as u64).saturating_sub(1),
            complete: Some(whole.len() as u64),
        };
        let mut head = format!("\r\n--{boundary}\r\n");
        if let Some(content_type) = content_type {
            // Writing to a String does not fail.
            let _ = write!(head, "Content-Type: {content_type}\r\n");
        }
        let _ = write!(head, "Content-Range: {range}\r\n\r\n");
        body.put_slice(head.as_bytes());
        body.put_slice(whole.get(piece.clone()).unwrap_or_default());
    }
    body.put_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/byteranges; boundary={boundary}"), body.freeze())
}

/// A line that nobody can have put into the body in advance: it is random.
fn boundary(whole: &Bytes) -> String {
    let random = || RandomState::new().hash_one(whole.len());
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_says_what_it_is() {
        let whole = Bytes::from_static(b"0123456789");
        let (content_type, body) = byteranges(&whole, &[0..2, 8..10], Some("text/plain"));
        let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let expected = format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\
             \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\
             \r\n--{boundary}--\r\n"
        );
        assert_eq!(body, expected);
        assert_ne!(content_type, byteranges(&whole, &[0..2, 8..10], None).0);
    }
}
