//! The request target, normalised once: the path that routes are matched against is
//! the path that goes into the key and the path that is fetched.
//!
//! Percent-encoded unreserved characters are decoded, other encodings spelt in upper
//! case, dot segments removed (RFC 3986 §6.2.2). What different servers read differently
//! is not guessed at: such a path is [`Ambiguity`] and is never cached, so that nobody
//! can have a private answer stored under a public path (cache deception).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Longer targets are refused: 16 KiB, twice what servers usually accept.
pub const MAX_LEN: usize = 16 * 1024;

/// A normalised path and its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    path: Cow<'a, str>,
    query: Option<&'a str>,
    ambiguity: Option<Ambiguity>,
    /// For an ambiguous path: what the most lenient server takes it for.
    lenient: Option<String>,
}

/// Why servers may disagree about which resource a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ambiguity {
    /// `%2F`, `%5C` or `\`: a separator to some, a letter to others.
    EncodedSeparator,
    /// `//`: merged by some.
    EmptySegment,
    /// `;`: the begin of parameters to some, who drop them.
    PathParameter,
    /// An encoded control character, space or delimiter (`%00`, `%0A`, `%23`, `%3F`, …) at
    /// which some cut the path off, or an encoding that another decoding would change (`%25`).
    EncodedDelimiter,
}

impl Ambiguity {
    /// The word for logs, Cache-Status and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EncodedSeparator => "encoded-separator",
            Self::EmptySegment => "empty-segment",
            Self::PathParameter => "path-parameter",
            Self::EncodedDelimiter => "encoded-delimiter",
        }
    }
}

/// Why a request target is refused with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadTarget {
    /// It does not start with `/`.
    NotOriginForm,
    /// It is longer than [`MAX_LEN`].
    TooLong,
    /// `%` without two hexadecimal digits behind it.
    BadEncoding,
    /// A control, white space, a fragment, or a character that must be percent-encoded.
    BadByte,
    /// Dot segments that lead above the root, or that only appear once `%2F` is decoded.
    Traversal,
}

impl BadTarget {
    /// The word for logs, Cache-Status and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOriginForm => "not-origin-form",
            Self::TooLong => "target-too-long",
            Self::BadEncoding => "bad-percent-encoding",
            Self::BadByte => "bad-byte-in-target",
            Self::Traversal => "path-traversal",
        }
    }
}

impl fmt::Display for BadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOriginForm => "the request target does not start with a slash",
            Self::TooLong => "the request target is longer than 16 KiB",
            Self::BadEncoding => "the request target has a % without two hexadecimal digits",
            Self::BadByte => "the request target has a byte that no URI may hold",
            Self::Traversal => "the path leads outside of itself by dot segments",
        })
    }
}

impl core::error::Error for BadTarget {}

impl<'a> Target<'a> {
    /// Normalises a request target in origin form (`/path?query`). Linear in its length;
    /// allocates only where the path is not already normal.
    pub fn parse(text: &'a str) -> Result<Self, BadTarget> {
        if text.len() > MAX_LEN {
            return Err(BadTarget::TooLong);
        }
        if !text.starts_with('/') {
            return Err(BadTarget::NotOriginForm);
        }
        let (path, query) = match text.bytes().position(|b| b == b'?') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        check_query(query.unwrap_or_default())?;
        let Scan { normal, ambiguity } = scan(path)?;
        let path = match normal {
            true => Cow::Borrowed(path),
            false => Cow::Owned(remove_dot_segments(&decode_unreserved(path))?),
        };
        let lenient = ambiguity.map(|_| read_leniently(&path)).transpose()?;
        Ok(Self { path, query, ambiguity, lenient })
    }

    /// The normalised path; starts with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path that routes are matched by: the normalised one, but for an ambiguous path
    /// what the most lenient server takes it for, so that no spelling evades a limit.
    pub fn route_path(&self) -> &str {
        self.lenient.as_deref().unwrap_or(&self.path)
    }

    /// The query as it came, without `?`; an empty one differs from none.
    pub fn query(&self) -> Option<&str> {
        self.query
    }

    /// Whether its path came as it is normalised, so that whoever has read it before has read the
    /// same.
    pub fn is_as_it_came(&self) -> bool {
        matches!(self.path, Cow::Borrowed(_))
    }

    /// Why this target must not be cached, if servers may disagree about it.
    pub fn ambiguity(&self) -> Option<Ambiguity> {
        self.ambiguity
    }
}

impl fmt::Display for Target<'_> {
    /// What is fetched: the normalised path with the query as it came.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

struct Scan {
    /// Nothing to decode, respell or remove.
    normal: bool,
    ambiguity: Option<Ambiguity>,
}

/// One pass over the path: refuses bad bytes, finds what needs work and what is ambiguous.
fn scan(path: &str) -> Result<Scan, BadTarget> {
    let bytes = path.as_bytes();
    let mut found = Scan { normal: true, ambiguity: None };
    let mut at = 0;
    loop {
        // Most bytes mean nothing but themselves: past them in one go.
        at += bytes[at..].iter().take_while(|byte| IS_PLAIN[usize::from(**byte)]).count();
        let Some(&byte) = bytes.get(at) else { break };
        match byte {
            b'%' => {
                let code = hex_pair(bytes, at + 1).ok_or(BadTarget::BadEncoding)?;
                found.normal &= !is_unreserved(code)
                    && !bytes[at + 1..at + 3].iter().any(u8::is_ascii_lowercase);
                let ambiguity = match code {
                    b'/' | b'\\' => Some(Ambiguity::EncodedSeparator),
                    b';' => Some(Ambiguity::PathParameter),
                    0..=b' ' | 0x7f | b'#' | b'?' | b'%' => Some(Ambiguity::EncodedDelimiter),
                    _ => None,
                };
                found.ambiguity = found.ambiguity.or(ambiguity);
                at += 2;
            }
            b'\\' => found.ambiguity = found.ambiguity.or(Some(Ambiguity::EncodedSeparator)),
            b';' => found.ambiguity = found.ambiguity.or(Some(Ambiguity::PathParameter)),
            b'/' => match bytes.get(at + 1) {
                Some(b'/') => found.ambiguity = found.ambiguity.or(Some(Ambiguity::EmptySegment)),
                Some(b'.') => found.normal = false,
                _ => {}
            },
            _ if !is_path_byte(byte) => return Err(BadTarget::BadByte),
            _ => {}
        }
        at += 1;
    }
    Ok(found)
}

/// The path with every separator decoded, parameters dropped and empty segments merged.
/// Dot segments that only appear here are refused: whoever removes them gets elsewhere.
fn read_leniently(path: &str) -> Result<String, BadTarget> {
    let unified =
        path.replace("%2F", "/").replace("%5C", "/").replace('\\', "/").replace("%3B", ";");
    let mut lenient = String::with_capacity(path.len());
    for segment in unified.split('/').skip(1) {
        match segment.split(';').next().unwrap_or_default() {
            "" => {}
            "." | ".." => return Err(BadTarget::Traversal),
            name => {
                lenient.push('/');
                lenient.push_str(name);
            }
        }
    }
    if unified.ends_with('/') || lenient.is_empty() {
        lenient.push('/');
    }
    Ok(lenient)
}

/// Decodes percent-encoded unreserved characters and spells the other encodings in upper
/// case (RFC 3986 §6.2.2.1, §6.2.2.2). `path` has been scanned: its encodings are whole.
fn decode_unreserved(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = String::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match hex_pair(bytes, at + 1).filter(|_| byte == b'%') {
            Some(code) if is_unreserved(code) => decoded.push(char::from(code)),
            Some(_) => {
                decoded
                    .extend(bytes[at..at + 3].iter().map(|b| char::from(b.to_ascii_uppercase())));
            }
            None => {
                decoded.push(char::from(byte));
                at += 1;
                continue;
            }
        }
        at += 3;
    }
    decoded
}

/// RFC 3986 §5.2.4, but a path that climbs above its root is refused: no client that
/// resolves references sends one.
fn remove_dot_segments(path: &str) -> Result<String, BadTarget> {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_directory = false;
    for segment in path.split('/').skip(1) {
        ends_in_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(kept.pop().ok_or(BadTarget::Traversal)?),
            _ => kept.push(segment),
        }
    }
    let mut normal = String::with_capacity(path.len());
    for segment in &kept {
        normal.push('/');
        normal.push_str(segment);
    }
    if ends_in_directory || normal.is_empty() {
        normal.push('/');
    }
    Ok(normal)
}

/// A query may hold whatever URIs may; its encodings stay as they are, since only the
/// application knows what they mean.
fn check_query(query: &str) -> Result<(), BadTarget> {
    match query.bytes().all(is_path_byte) {
        true => Ok(()),
        false => Err(BadTarget::BadByte),
    }
}

/// Bytes that may stand in a target as they are. Wider than RFC 3986 by ``"<>[]^`{|}``,
/// which browsers leave unencoded in places and which no server takes for a delimiter.
const fn is_path_byte(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && byte != b'#'
}

/// Which bytes a path may hold that neither end a segment nor are read in two ways.
const IS_PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let special = matches!(byte as u8, b'/' | b'%' | b';' | b'\\');
        plain[byte] = is_path_byte(byte as u8) && !special;
        byte += 1;
    }
    plain
};

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The bytes that percent-encoded ones stand for; `None` where a `%` stands for nothing.
pub(crate) fn percent_decoded(encoded: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some(&byte) = encoded.get(at) {
        let is_encoded = byte == b'%';
        decoded.push(if is_encoded { hex_pair(encoded, at + 1)? } else { byte });
        at += if is_encoded { 3 } else { 1 };
    }
    Some(decoded)
}

fn hex_pair(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*bytes.get(at)?)? * 16 + digit(*bytes.get(at + 1)?)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn path(text: &str) -> String {
        Target::parse(text).map_or_else(|bad| bad.as_str().into(), |t| t.path().into())
    }

    #[test]
    fn spellings_of_one_path_become_one() {
        for text in ["/a/b", "/%61/b", "/./a/b", "/x/../a/b", "/x/%2e%2E/a/./b", "/%2E/a/%62"] {
            assert_eq!(path(text), "/a/b", "{text}");
        }
        assert_eq!(path("/a/b/.."), "/a/");
        assert_eq!(path("/caf%c3%a9"), "/caf%C3%A9");
        assert_eq!(path("/.well-known/x"), "/.well-known/x");
        assert_eq!(path("/..."), "/...");
        assert_eq!(path("/"), "/");
    }

    #[test]
    fn a_normal_path_is_borrowed() {
        let target = Target::parse("/plugins/app.js?v=1").unwrap();
        assert!(matches!(target.path, Cow::Borrowed(_)));
        assert_eq!(target.query(), Some("v=1"));
    }

    #[test]
    fn a_path_that_leaves_its_root_is_refused() {
        for text in [
            "/..",
            "/a/../..",
            "/%2e%2e/x",
            "/plugins/..%2fapi/v1/user/profile",
            "/a/%2e%2e%5Cb",
            "/a/..\\b",
            "/a/..;/b",
            "/a/..%3bx/b",
        ] {
            assert_eq!(Target::parse(text), Err(BadTarget::Traversal), "{text}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_named() {
        use Ambiguity::*;
        for (text, ambiguity) in [
            ("/@scope%2fname", Some(EncodedSeparator)),
            ("/a%5cb", Some(EncodedSeparator)),
            ("//api/x", Some(EmptySegment)),
            ("/api/profile;x.css", Some(PathParameter)),
            ("/api/profile%3bx.css", Some(PathParameter)),
            ("/api/profile%00.css", Some(EncodedDelimiter)),
            ("/api/profile%3f.css", Some(EncodedDelimiter)),
            ("/api/profile%23.css", Some(EncodedDelimiter)),
            ("/api/profile%0a.css", Some(EncodedDelimiter)),
            ("/a%252e", Some(EncodedDelimiter)),
            ("/a/b.css", None),
            ("/caf%C3%A9", None),
        ] {
            assert_eq!(Target::parse(text).unwrap().ambiguity(), ambiguity, "{text}");
        }
    }

    #[test]
    fn an_ambiguous_path_is_routed_as_the_most_lenient_server_reads_it() {
        for (text, route_path) in [
            ("//api//x", "/api/x"),
            ("/%2fapi/x", "/api/x"),
            ("/api;v=1/x;y.css", "/api/x"),
            ("/api\\x/", "/api/x/"),
            ("/api/x", "/api/x"),
        ] {
            assert_eq!(Target::parse(text).unwrap().route_path(), route_path, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        use BadTarget::*;
        for (text, bad) in [
            ("", NotOriginForm),
            ("http://a/", NotOriginForm),
            ("*", NotOriginForm),
            ("/a b", BadByte),
            ("/a\u{0}", BadByte),
            ("/é", BadByte),
            ("/a?b\r\nc", BadByte),
            ("/a#b", BadByte),
            ("/%", BadEncoding),
            ("/%2", BadEncoding),
            ("/%zz", BadEncoding),
        ] {
            assert_eq!(Target::parse(text), Err(bad), "{text:?}");
        }
        assert_eq!(Target::parse(&"/".repeat(MAX_LEN + 1)), Err(TooLong));
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for text in ["/x/%2e%2E/a/./b?q=%2e", "/%7Euser/", "/a%2Fb", "/a/b/..", "/a//b/../c"] {
            let once = Target::parse(text).unwrap().to_string();
            assert_eq!(Target::parse(&once).unwrap().to_string(), once, "{text}");
        }
    }
}
