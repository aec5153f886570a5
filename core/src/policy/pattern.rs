//! What a route matches: a path, with parameters and a tail.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::Malformed;
use crate::target::Target;

/// A path pattern: `/api/v1/teams/:id/my-plugins`, `/plugins/*`, `/*.{js,css}`.
///
/// `:name` stands for one whole segment that is not empty. `*` stands only at the end, for
/// all that follows its slash, further slashes included; with `.{a,b}` or `.a` behind it
/// for what ends so. It compares with normalised paths, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: Box<str>,
    segments: Box<[Segment]>,
    tail: Tail,
}

/// One segment between slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(Box<str>),
    Parameter(Box<str>),
}

/// What may follow the segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing: the segments are the whole path.
    End,
    /// A slash and anything.
    Anything,
    /// A slash and anything that ends in a dot and one of these.
    Extensions(Box<[Box<str>]>),
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let path = text.strip_prefix('/').ok_or_else(|| {
            Malformed::new("a pattern starts with a slash", format!("write \"/{text}\""))
        })?;
        let mut segments: Vec<Segment> = Vec::new();
        let mut tail = Tail::End;
        let mut rest = path.split('/').peekable();
        while let Some(part) = rest.next() {
            if let Some(ending) = part.strip_prefix('*') {
                if rest.peek().is_some() {
                    return Err(Malformed::new(
                        "`*` stands for all that follows, so nothing can follow it",
                        "use `:name` for a single segment",
                    ));
                }
                tail = Tail::parse(ending)?;
                break;
            }
            if part.is_empty() && rest.peek().is_some() {
                return Err(Malformed::new(
                    "an empty segment never matches: `//` is read differently by different servers",
                    "write a single slash",
                ));
            }
            let segment = Segment::parse(part)?;
            if matches!(segment, Segment::Parameter(_)) && segments.contains(&segment) {
                return Err(Malformed::new(
                    format!("the parameter `{part}` stands twice"),
                    "give each parameter a name of its own",
                ));
            }
            segments.push(segment);
        }
        Ok(Self { text: text.into(), segments: segments.into(), tail })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the parameter `name` stands for in `path`, which this pattern matches.
    pub fn parameter<'p>(&self, name: &str, path: &'p str) -> Option<&'p str> {
        let named = |segment: &Segment| matches!(segment, Segment::Parameter(n) if **n == *name);
        let at = self.segments.iter().position(named)?;
        path.split('/').nth(at + 1)
    }

    /// The names of the parameters in their order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(&**name),
            Segment::Literal(_) => None,
        })
    }

    /// Whether both match the same paths, whatever their parameters are called, or compete
    /// for some with equal right: literals and tails are the same.
    pub fn is_alike(&self, other: &Self) -> bool {
        let alike = |(one, two): (&Segment, &Segment)| match (one, two) {
            (Segment::Literal(one), Segment::Literal(two)) => one == two,
            (Segment::Parameter(_), Segment::Parameter(_)) => true,
            _ => false,
        };
        let tails = match (&self.tail, &other.tail) {
            (Tail::Extensions(one), Tail::Extensions(two)) => one.iter().any(|e| two.contains(e)),
            (one, two) => one == two,
        };
        tails
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(alike)
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }
}

impl Segment {
    fn parse(part: &str) -> Result<Self, Malformed> {
        if let Some(name) = part.strip_prefix(':') {
            let is_name = |n: &str| {
                n.starts_with(|c: char| c.is_ascii_alphabetic())
                    && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            return match is_name(name) {
                true => Ok(Self::Parameter(name.into())),
                false => Err(Malformed::new(
                    format!("`{part}` is no parameter"),
                    "a name has letters, digits and `_`, and starts with a letter",
                )),
            };
        }
        if part.contains(['*', '{', '}', '?', '#']) {
            return Err(Malformed::new(
                format!("`{part}` has a character that means nothing here"),
                "`*` stands alone at the end, or as `*.{js,css}`; queries belong to `key.query`",
            ));
        }
        let path = format!("/{part}");
        match Target::parse(&path) {
            Ok(target) if target.path() == path && target.ambiguity().is_none() => {
                Ok(Self::Literal(part.into()))
            }
            Ok(target) if target.ambiguity().is_none() => Err(Malformed::new(
                format!("`{part}` never matches, since paths are normalised first"),
                format!("write `{}`", &target.path()[1..]),
            )),
            _ => Err(Malformed::new(
                format!("`{part}` is no path segment that every server reads alike"),
                "leave out encoded slashes, `;`, `//` and the like: such paths are never cached",
            )),
        }
    }
}

impl Tail {
    fn parse(ending: &str) -> Result<Self, Malformed> {
        let bad = || {
            Malformed::new(
                format!("`*{ending}` is no tail"),
                "write `*` for anything, `*.js` or `*.{js,css}` for what ends so",
            )
        };
        if ending.is_empty() {
            return Ok(Self::Anything);
        }
        let ending = ending.strip_prefix('.').ok_or_else(bad)?;
        let list = match ending.strip_prefix('{') {
            Some(list) => list.strip_suffix('}').ok_or_else(bad)?,
            None => ending,
        };
        let extensions: Box<[Box<str>]> = list.split(',').map(|e| e.trim().into()).collect();
        let is_extension = |e: &str| !e.is_empty() && e.bytes().all(|b| b.is_ascii_alphanumeric());
        extensions
            .iter()
            .all(|e| is_extension(e))
            .then_some(Self::Extensions(extensions))
            .ok_or_else(bad)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_again_in_the_path() {
        let pattern = Pattern::parse("/teams/:id/plugins/:plugin").unwrap();
        assert_eq!(pattern.parameter("plugin", "/teams/42/plugins/x"), Some("x"));
        assert_eq!(pattern.parameter("id", "/teams/42/plugins/x"), Some("42"));
        assert_eq!(pattern.parameter("other", "/teams/42/plugins/x"), None);
        assert!(pattern.parameters().eq(["id", "plugin"]));
    }

    #[test]
    fn what_cannot_match_or_misleads_is_refused() {
        for text in [
            "plugins",
            "/a/*/b",
            "/a/*b",
            "/a*",
            "/a/:",
            "/a/:1",
            "/:a/:a",
            "/a?b",
            "/a/../b",
            "/%61",
            "/a//b",
            "/a;b",
            "/a%2fb",
            "/a/*.",
            "/a/*.{js",
            "/a/*.{js,}",
            "/a b",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_name_the_remedy() {
        let malformed = Pattern::parse("/%61").unwrap_err();
        assert_eq!(malformed.hint, "write `a`");
    }
}
