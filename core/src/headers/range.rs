//! Range and Content-Range (RFC 9110 §14).

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use super::list;

/// More ranges than this in one request are not honoured (RFC 9110 §14.2 warns of them).
const RANGES_MAX: usize = 16;

/// One `ranges-specifier` in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last`, both included.
    Closed(u64, u64),
    /// `first-`
    From(u64),
    /// `-length`: the last bytes.
    Last(u64),
}

impl ByteRange {
    /// Reads a Range field. `None` for one that is malformed, repeated, in another unit, or
    /// asks for too many ranges: it is to be ignored, as every Range may be (§14.2).
    pub fn parse_all<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Self>> {
        let line = lines.next().filter(|_| lines.next().is_none())?.trim_ascii();
        let (unit, set) = line.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes=") {
            return None;
        }
        let ranges: Vec<Self> =
            list::tokens(set).take(RANGES_MAX + 1).map(Self::parse).collect::<Option<_>>()?;
        (1..=RANGES_MAX).contains(&ranges.len()).then_some(ranges)
    }

    fn parse(spec: &[u8]) -> Option<Self> {
        let dash = spec.iter().position(|b| *b == b'-')?;
        match (&spec[..dash], &spec[dash + 1..]) {
            (b"", length) => Some(Self::Last(number(length)?)),
            (first, b"") => Some(Self::From(number(first)?)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Closed(first, last))
            }
        }
    }

    /// The bytes that this range has of a representation of `length` bytes; `None` when it
    /// has none (§14.1.2).
    pub fn within(self, length: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::Closed(first, last) => first..last.saturating_add(1).min(length),
            Self::From(first) => first..length,
            Self::Last(count) => length.saturating_sub(count)..length,
        };
        (range.start < range.end).then_some(range)
    }
}

/// `Content-Range: bytes first-last/complete`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRange {
    /// The position of the first byte.
    pub first: u64,
    /// The position of the last byte.
    pub last: u64,
    /// The length of the whole, if the sender knows it.
    pub complete: Option<u64>,
}

impl ContentRange {
    /// Reads a Content-Range field of a 206; `None` for one that is invalid (§14.4), whose
    /// answer must not be combined with anything.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = value.trim_ascii().split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let slash = rest.iter().position(|b| *b == b'/')?;
        let (range, complete) = (&rest[..slash], &rest[slash + 1..]);
        let dash = range.iter().position(|b| *b == b'-')?;
        let (first, last) = (number(&range[..dash])?, number(&range[dash + 1..])?);
        let complete = match complete {
            b"*" => None,
            length => Some(number(length)?),
        };
        let valid = first <= last && complete.is_none_or(|length| last < length);
        valid.then_some(Self { first, last, complete })
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}-{}/", self.first, self.last)?;
        match self.complete {
            Some(length) => write!(f, "{length}"),
            None => f.write_str("*"),
        }
    }
}

/// A number of at most 18 digits: more than any length, less than any overflow.
fn number(text: &[u8]) -> Option<u64> {
    let fits = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    fits.then(|| text.iter().fold(0, |n, b| n * 10 + u64::from(b - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn parse(line: &str) -> Option<Vec<ByteRange>> {
        ByteRange::parse_all([line.as_bytes()].into_iter())
    }

    #[test]
    fn every_form_is_read_and_nonsense_ignored() {
        use ByteRange::*;
        assert_eq!(parse("bytes=0-4, 9-,-5"), Some(vec![Closed(0, 4), From(9), Last(5)]));
        assert_eq!(parse("Bytes=0-0"), Some(vec![Closed(0, 0)]));
        for line in [
            "",
            "bytes=",
            "bytes=4-0",
            "bytes=a-b",
            "bytes=-",
            "lines=0-1",
            "bytes 0-1",
            "bytes=0-1;2",
            "bytes=+1-2",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
        assert_eq!(parse(&alloc::format!("bytes={}", "0-0,".repeat(17))), None);
        assert_eq!(parse(&alloc::format!("bytes={}-", "9".repeat(40))), None);
        let twice = [&b"bytes=0-1"[..], b"bytes=0-1"];
        assert_eq!(ByteRange::parse_all(twice.into_iter()), None);
    }

    #[test]
    fn ranges_are_cut_to_what_there_is() {
        use ByteRange::*;
        for (range, length, expected) in [
            (Closed(0, 4), 10, Some(0..5)),
            (Closed(8, 20), 10, Some(8..10)),
            (Closed(10, 20), 10, None),
            (From(9), 10, Some(9..10)),
            (From(10), 10, None),
            (Last(3), 10, Some(7..10)),
            (Last(30), 10, Some(0..10)),
            (Last(0), 10, None),
            (Last(1), 0, None),
        ] {
            assert_eq!(range.within(length), expected, "{range:?} of {length}");
        }
    }

    #[test]
    fn content_range_must_make_sense() {
        let range = ContentRange::parse(b"bytes 4-9/10").unwrap();
        assert_eq!(range, ContentRange { first: 4, last: 9, complete: Some(10) });
        assert_eq!(range.to_string(), "bytes 4-9/10");
        assert_eq!(ContentRange::parse(b"bytes 4-9/*").unwrap().to_string(), "bytes 4-9/*");
        for text in [
            "bytes 9-4/10",
            "bytes 4-10/10",
            "bytes */10",
            "bytes 4-9",
            "items 4-9/10",
            "bytes=4-9/10",
            "ABC",
        ] {
            assert_eq!(ContentRange::parse(text.as_bytes()), None, "{text}");
        }
    }
}
