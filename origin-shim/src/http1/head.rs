//! The grammar of heads (RFC 9112 §2 to §5): where one ends, and which lines it has.

mod name;
pub mod request;
pub mod response;

use memchr::memchr;

use super::Malformed;

/// A request line or status line is at most so long, its end included: 8 KiB, the least that
/// RFC 9112 §3 recommends.
pub const LINE_MAX: usize = 8 * 1024;
/// A head is at most so long: 64 KiB.
pub const HEAD_MAX: usize = 64 * 1024;
/// A head has at most so many fields.
pub const FIELDS_MAX: usize = 100;

/// Looks for the end of a head that comes piece by piece. Linear in its length, however it is
/// cut; what can be told from the lines that are there is told at once.
#[derive(Clone, Debug, Default)]
pub struct HeadEnd {
    /// So far it was looked.
    seen: usize,
    /// Where the line begins whose end is not there.
    line: usize,
    /// Lines that are whole.
    lines: usize,
}

/// Where a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its length, with the empty line at its end.
    pub length: usize,
    /// How many fields it has.
    pub fields: usize,
}

impl HeadEnd {
    /// Where the head ends at whose begin `so_far` is; `None` if its end is not there. Each call
    /// gets what the last one got, and more.
    pub fn find(&mut self, so_far: &[u8]) -> Result<Option<Extent>, Malformed> {
        while let Some(at) = memchr(b'\n', &so_far[self.seen..]) {
            let feed = self.seen + at;
            if feed == self.line || so_far[feed - 1] != b'\r' {
                return Err(Malformed::BareLineFeed);
            }
            let length = feed + 1 - self.line;
            self.seen = feed + 1;
            self.line = feed + 1;
            self.check_length(length)?;
            if length == 2 {
                return Ok(Some(Extent {
                    length: self.seen,
                    fields: self.lines.saturating_sub(1),
                }));
            }
            self.lines += 1;
            if self.lines > 1 + FIELDS_MAX {
                return Err(Malformed::TooManyFields);
            }
        }
        self.seen = so_far.len();
        self.check_length(self.seen - self.line)?;
        Ok(None)
    }

    fn check_length(&self, line: usize) -> Result<(), Malformed> {
        if self.lines == 0 && line > LINE_MAX {
            return Err(Malformed::LineTooLong);
        }
        if self.seen > HEAD_MAX {
            return Err(Malformed::HeadTooLong);
        }
        Ok(())
    }
}

/// Takes the first line off a head, without its end.
pub fn first_line(head: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    match memchr(b'\r', head) {
        Some(end) if head.get(end + 1) == Some(&b'\n') => Ok((&head[..end], &head[end + 2..])),
        _ => Err(Malformed::BareCarriageReturn),
    }
}

/// The fields of a head, line by line, with the white space around values taken off. Ends at the
/// empty line, and after the first error.
#[derive(Clone, Debug)]
pub struct FieldLines<'a> {
    rest: &'a [u8],
}

/// A field's name and value.
pub type FieldLine<'a> = (&'a [u8], &'a [u8]);

impl<'a> FieldLines<'a> {
    /// Those in `rest`, a head without its first line.
    pub const fn of(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn line(&mut self) -> Result<FieldLine<'a>, Malformed> {
        let (line, rest) = first_line(self.rest)?;
        let colon = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
        match line.get(colon) {
            Some(b':') if colon > 0 => {}
            Some(b' ' | b'\t') if colon == 0 => return Err(Malformed::Folded),
            Some(b' ' | b'\t') => return Err(Malformed::SpaceBeforeColon),
            _ => return Err(Malformed::FieldName),
        }
        let value = &line[colon + 1..];
        if has_control(value) {
            return Err(match value.contains(&b'\n') {
                true => Malformed::BareLineFeed,
                false => Malformed::Control,
            });
        }
        self.rest = rest;
        Ok((&line[..colon], trim(value)))
    }
}

impl<'a> Iterator for FieldLines<'a> {
    type Item = Result<FieldLine<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.starts_with(b"\r\n") || self.rest.is_empty() {
            return None;
        }
        let line = self.line();
        if line.is_err() {
            self.rest = &[];
        }
        Some(line)
    }
}

/// Without the optional white space around it (RFC 9110 §5.6.3).
fn trim(value: &[u8]) -> &[u8] {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let value = &value[value.iter().take_while(is_space).count()..];
    &value[..value.len() - value.iter().rev().take_while(is_space).count()]
}

/// Whether a value has a byte that none may have (RFC 9110 §5.5). Looks at eight of them at a
/// time, since few values have any.
pub(crate) fn has_control(value: &[u8]) -> bool {
    let is_control = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == DELETE;
    let Some(last) = value.last_chunk() else { return value.iter().any(is_control) };
    // What is left behind the eights is in the last one, too.
    let (words, _) = value.as_chunks();
    let suspects = words.iter().fold(suspects(last), |found, word| found | suspects(word));
    suspects != 0 && value.iter().any(is_control)
}

const DELETE: u8 = 0x7f;

/// Zero if none of these is below a space, a tab among them, or DEL. The highest bit of each byte
/// tells; a byte above one that tells may, too, though it is none.
const fn suspects(bytes: &[u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x80 * ONES;
    let word = u64::from_le_bytes(*bytes);
    let other_than_delete = word ^ (DELETE as u64 * ONES);
    let below_space = word.wrapping_sub(b' ' as u64 * ONES) & !word;
    let is_delete = other_than_delete.wrapping_sub(ONES) & !other_than_delete;
    (below_space | is_delete) & HIGHEST
}

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    IS_TOKEN[byte as usize]
}

const IS_TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        token[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < others.len() {
        token[others[at] as usize] = true;
        at += 1;
    }
    token
};

/// Whether `value`, a list, has this token, in any case (RFC 9110 §5.6.1).
pub(super) fn names(value: &[u8], token: &[u8]) -> bool {
    value.split(|byte| !is_token(*byte)).any(|member| member.eq_ignore_ascii_case(token))
}

/// `HTTP/1.0` or `HTTP/1.1`, in these letters (RFC 9112 §2.3).
fn version(text: &[u8]) -> Result<http::Version, Malformed> {
    match text {
        b"HTTP/1.1" => Ok(http::Version::HTTP_11),
        b"HTTP/1.0" => Ok(http::Version::HTTP_10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Malformed::UnknownVersion)
        }
        _ => Err(Malformed::Version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &[u8]) -> Result<Option<usize>, Malformed> {
        HeadEnd::default().find(text).map(|found| found.map(|extent| extent.length))
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(end(b"GET / HTTP/1.1\r\na: b\r\n\r\nrest"), Ok(Some(24)));
        assert_eq!(end(b"GET / HTTP/1.1\r\na: b\r\n\r"), Ok(None));
        assert_eq!(end(b""), Ok(None));
        assert_eq!(end(b"\r\n"), Ok(Some(2)), "an empty line is an empty head");
        let found = HeadEnd::default().find(b"x\r\na:1\r\nb:2\r\n\r\n");
        assert_eq!(found, Ok(Some(Extent { length: 15, fields: 2 })));
    }

    #[test]
    fn a_line_feed_alone_is_found_before_the_head_ends() {
        for text in ["GET / HTTP/1.1\n", "\n", "a\r\n\n", "a\r\nb: c\n", "a\r\n\r\r\n\n"] {
            assert_eq!(end(text.as_bytes()), Err(Malformed::BareLineFeed), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_bounded_whether_the_end_is_there_or_not() {
        let line = |length| [vec![b'a'; length - 2], b"\r\n".to_vec()].concat();
        assert_eq!(end(&[line(LINE_MAX), b"\r\n".to_vec()].concat()), Ok(Some(LINE_MAX + 2)));
        assert_eq!(end(&line(LINE_MAX + 1)), Err(Malformed::LineTooLong));
        assert_eq!(end(&[b'a'; LINE_MAX + 1]), Err(Malformed::LineTooLong));
        let fits = [line(3), line(HEAD_MAX - 5), b"\r\n".to_vec()].concat();
        assert_eq!(end(&fits), Ok(Some(HEAD_MAX)));
        let more = [line(3), line(HEAD_MAX - 4), b"\r\n".to_vec()].concat();
        assert_eq!(end(&more), Err(Malformed::HeadTooLong));
        assert_eq!(end(&[line(3), vec![b'a'; HEAD_MAX]].concat()), Err(Malformed::HeadTooLong));
        let many =
            |fields| [b"x\r\n".to_vec(), b"a:\r\n".repeat(fields), b"\r\n".to_vec()].concat();
        assert_eq!(end(&many(FIELDS_MAX)), Ok(Some(3 + 4 * FIELDS_MAX + 2)));
        assert_eq!(end(&many(FIELDS_MAX + 1)), Err(Malformed::TooManyFields));
    }

    fn fields(text: &str) -> Result<Vec<(String, String)>, Malformed> {
        let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        FieldLines::of(text.as_bytes())
            .map(|line| line.map(|(name, value)| (text_of(name), text_of(value))))
            .collect()
    }

    #[test]
    fn values_come_without_the_white_space_around_them() {
        let read = fields("a:b\r\nC: \t d e \t\r\nempty:\r\nspace:  \r\n\r\n").unwrap();
        let expected = [("a", "b"), ("C", "d e"), ("empty", ""), ("space", "")];
        assert_eq!(read, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(fields("\r\n"), Ok(vec![]));
        assert_eq!(fields("a: \u{e9}\r\n\r\n").unwrap()[0].1, "\u{e9}", "obs-text is no control");
    }

    #[test]
    fn what_others_read_differently_is_refused() {
        use Malformed::*;
        for (text, malformed) in [
            (" a: b\r\n\r\n", Folded),
            ("a: b\r\n c\r\n\r\n", Folded),
            ("a: b\r\n\tc: d\r\n\r\n", Folded),
            ("a : b\r\n\r\n", SpaceBeforeColon),
            ("a\t: b\r\n\r\n", SpaceBeforeColon),
            (": b\r\n\r\n", FieldName),
            ("a\r\n\r\n", FieldName),
            ("a(b): c\r\n\r\n", FieldName),
            ("\u{e9}: c\r\n\r\n", FieldName),
            ("a\0: c\r\n\r\n", FieldName),
            ("a: \0\r\n\r\n", Control),
            ("a: b\u{1}c\r\n\r\n", Control),
            ("a: \u{7f}\r\n\r\n", Control),
            ("a: b\rc\r\n\r\n", BareCarriageReturn),
            ("a: b\r\r\n\r\n", BareCarriageReturn),
            ("a: b\nc: d\r\n\r\n", BareLineFeed),
            ("a: b", BareCarriageReturn),
        ] {
            assert_eq!(fields(text), Err(malformed), "{text:?}");
        }
    }

    #[test]
    fn a_control_is_found_wherever_it_stands() {
        for length in 0..40 {
            let mut value = vec![b'a'; length];
            assert!(!has_control(&value));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    value[at] = byte;
                    let is_control = byte.is_ascii_control() && byte != b'\t';
                    assert_eq!(has_control(&value), is_control, "{value:?}");
                }
                value[at] = [b'\t', b' ', b'~', 0x80, 0xff][at % 5];
            }
        }
    }

    #[test]
    fn versions_are_told_apart_by_their_letters() {
        assert_eq!(version(b"HTTP/1.1"), Ok(http::Version::HTTP_11));
        assert_eq!(version(b"HTTP/1.0"), Ok(http::Version::HTTP_10));
        for unknown in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0"] {
            assert_eq!(version(unknown.as_bytes()), Err(Malformed::UnknownVersion), "{unknown}");
        }
        for none in ["", "http/1.1", "HTTP/1", "HTTP/11", "HTTP/1.10", "HTTP/1.1 ", "HTP/1.1"] {
            assert_eq!(version(none.as_bytes()), Err(Malformed::Version), "{none:?}");
        }
    }

    #[test]
    fn a_list_is_searched_in_any_case() {
        assert!(names(b"keep-alive, Close", b"close"));
        assert!(names(b"close", b"close"));
        assert!(!names(b"closed, x-close", b"close"));
        assert!(!names(b"", b"close"));
    }
}
