//! The head of a stored answer: its lines as they go to clients, in one piece of memory. A map of
//! fields takes three times the room, and would be written line by line for each hit.

use std::fmt;
use std::ops::Range;

use http::HeaderMap;
use http::header::{DATE, HeaderName, HeaderValue};
use tidegate_core::headers::Fields;

use crate::name_bits::bit;

/// Fields in their order, those of one name together. Never changed, only replaced.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoredHead {
    /// `name: value` and the end of the line, one behind the other.
    text: Box<[u8]>,
    lines: Box<[Line]>,
    /// So much of the text goes to clients whatever becomes of the body.
    steady: usize,
    names: u64,
    has_date: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Line {
    start: u32,
    /// Where its end begins.
    end: u32,
    /// The length of its name.
    name: u16,
}

const COLON: &[u8] = b": ";
const LINE_END: &[u8] = b"\r\n";

impl StoredHead {
    /// The fields of `map`.
    pub fn of(map: &HeaderMap) -> Self {
        Self::of_some(map, |_| true)
    }

    /// The fields of `map` whose names are to be kept.
    pub fn of_some(map: &HeaderMap, is_kept: impl Fn(&str) -> bool) -> Self {
        let kept = || map.iter().filter(|(name, _)| is_kept(name.as_str()));
        let length = |(name, value): (&HeaderName, &HeaderValue)| {
            name.as_str().len() + COLON.len() + value.len() + LINE_END.len()
        };
        let mut text = Vec::with_capacity(kept().map(length).sum());
        let mut lines = Vec::with_capacity(kept().count());
        let mut names = 0;
        let mut steady = 0;
        for framing in [false, true] {
            for (name, value) in kept().filter(|(n, _)| is_of_framing(n.as_str()) == framing) {
                let start = text.len();
                text.extend_from_slice(name.as_str().as_bytes());
                text.extend_from_slice(COLON);
                text.extend_from_slice(value.as_bytes());
                // Heads of 4 GiB and names of 64 KiB are refused long before.
                if let (Ok(start), Ok(end), Ok(name)) =
                    (start.try_into(), text.len().try_into(), name.as_str().len().try_into())
                {
                    lines.push(Line { start, end, name });
                }
                text.extend_from_slice(LINE_END);
                names |= bit(name.as_str());
            }
            if !framing {
                steady = text.len();
            }
        }
        let has_date = kept().any(|(name, _)| *name == DATE);
        Self { text: text.into(), lines: lines.into(), steady, names, has_date }
    }

    /// The same as a map.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.lines.len());
        for (name, value) in self.lines() {
            // They came out of a map.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
            {
                map.append(name, value);
            }
        }
        map
    }

    /// How many lines it has.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.lines)
    }

    /// Whether there is a line of this name.
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Whether a name with one of these [`bits`](crate::name_bits::bits) may be among the lines; if
    /// not, none is.
    #[inline]
    pub(crate) fn may_have_any(&self, bits: u64) -> bool {
        self.names & bits != 0
    }

    /// Whether it says when the answer was made: what nearly all do.
    pub(crate) const fn has_date(&self) -> bool {
        self.has_date
    }

    /// All lines, as they go to clients.
    pub(crate) const fn text(&self) -> &[u8] {
        &self.text
    }

    /// The length of each line's name, and where the line with its end is in the text.
    pub(crate) fn places(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let place = |line: &Line| line.start as usize..line.end as usize + LINE_END.len();
        self.lines.iter().map(move |line| (line.name.into(), place(line)))
    }

    /// The [`bits`](crate::name_bits::bits) of all names.
    pub(crate) const fn names(&self) -> u64 {
        self.names
    }

    /// The lines that a client gets as they are; not those that say how long the body is, or
    /// belong to a connection.
    pub(crate) fn steady_lines(&self) -> &[u8] {
        &self.text[..self.steady]
    }

    fn name(&self, line: &Line) -> &[u8] {
        &self.text[line.start as usize..][..line.name.into()]
    }

    fn value(&self, line: &Line) -> &[u8] {
        &self.text[line.start as usize + usize::from(line.name) + COLON.len()..line.end as usize]
    }

    /// Those of this name; constant time if there is none, for nearly all names.
    fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Line> {
        let lines = if self.may_have_any(bit(name)) { &*self.lines } else { &[] };
        lines.iter().filter(move |line| self.name(line) == name.as_bytes())
    }

    fn find(&self, name: &str) -> Option<&[u8]> {
        let line = self.lines.iter().find(|line| self.name(line) == name.as_bytes())?;
        Some(self.value(line))
    }
}

/// Whether a field says how the body is sent, rather than what it is.
pub(crate) fn is_of_framing(name: &str) -> bool {
    matches!(
        name,
        "content-length"
            | "transfer-encoding"
            | "connection"
            | "keep-alive"
            | "proxy-connection"
            | "upgrade"
    )
}

impl Fields for StoredHead {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.iter().map(|line| {
            // A name is ASCII.
            (str::from_utf8(self.name(line)).unwrap_or_default(), self.value(line))
        })
    }

    fn lines_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.named(name).map(|line| self.value(line))
    }

    // Most names that are asked for are known to the compiler, and not there.
    #[inline(always)]
    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        if self.may_have_any(bit(name)) { self.find(name) } else { None }
    }
}

impl fmt::Debug for StoredHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.lines().map(|(name, value)| (name, value.escape_ascii())))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 7] = ["age", "via", "x-a", "x-b", "content-length", "etag", "date"];

    proptest! {
        #[test]
        fn it_says_what_the_map_says(
            fields in prop::collection::vec((0..NAMES.len(), "[ -~]{0,9}"), 0..12)
        ) {
            let mut map = HeaderMap::new();
            for (name, value) in &fields {
                map.append(NAMES[*name], HeaderValue::from_str(value).unwrap());
            }
            let head = StoredHead::of(&map);
            prop_assert_eq!(head.to_map(), map.clone());
            prop_assert_eq!((head.len(), head.is_empty()), (map.len(), map.is_empty()));
            for name in NAMES.into_iter().chain(["", "x-c"]) {
                prop_assert_eq!(head.first(name), Fields::first(&map, name));
                let said: Vec<&[u8]> = map.lines_of(name).collect();
                prop_assert_eq!(head.lines_of(name).collect::<Vec<_>>(), said);
                prop_assert_eq!(head.has(name), map.contains_key(name));
            }
            prop_assert_eq!(head.has_date(), map.contains_key("date"));
        }
    }

    #[test]
    fn what_says_how_the_body_is_sent_stands_last() {
        let fields =
            [("content-length", "3"), ("etag", "x"), ("connection", "close"), ("via", "a")];
        let map: HeaderMap = fields
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect::<HeaderMap>();
        let head = StoredHead::of(&map);
        let steady = String::from_utf8(head.steady_lines().into()).unwrap();
        let mut steady: Vec<&str> = steady.lines().collect();
        steady.sort_unstable();
        assert_eq!(steady, ["etag: x", "via: a"]);
        assert_eq!(head.len(), 4);
    }
}
