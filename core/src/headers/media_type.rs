//! Media types (RFC 9110 §8.3.1) and which of them a policy means.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::list::is_token_byte;

/// Some media types: one (`application/json`), all of a kind (`text/*`), or those of a kind
/// with a suffix (`application/*+json`, RFC 6839). In lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaRange {
    text: String,
    /// Where its `*` stands.
    star: Option<usize>,
}

/// Text that is no media range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMediaRange;

impl MediaRange {
    /// Reads `type/subtype`, `type/*` or `type/*+suffix`.
    pub fn parse(text: &str) -> Result<Self, NoMediaRange> {
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
        let (kind, subtype) = text.split_once('/').ok_or(NoMediaRange)?;
        let exact = match subtype {
            "*" => "any",
            _ => subtype.strip_prefix("*+").unwrap_or(subtype),
        };
        match is_token(kind) && is_token(exact) && !kind.contains('*') && !exact.contains('*') {
            true => Ok(Self { text: text.to_ascii_lowercase(), star: text.find('*') }),
            false => Err(NoMediaRange),
        }
    }

    /// Whether it means this type, written `type/subtype` in any case. All of a kind are all but
    /// `text/event-stream`, which is no text to be read at its end but news as they come: that
    /// is meant by its name alone.
    pub fn means(&self, essence: &[u8]) -> bool {
        let range = self.text.as_bytes();
        let Some(star) = self.star else { return essence.eq_ignore_ascii_case(range) };
        let (kind, suffix) = (&range[..star], &range[star + 1..]);
        let Some((begin, rest)) = essence.split_at_checked(kind.len()) else { return false };
        let behind = rest.len().checked_sub(suffix.len()).map(|at| &rest[at..]);
        // What differs most often first.
        behind.is_some_and(|behind| behind.eq_ignore_ascii_case(suffix))
            && begin.eq_ignore_ascii_case(kind)
            && !essence.eq_ignore_ascii_case(EVENT_STREAM)
    }

    /// The range as the policy writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Server-sent events.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// `type/subtype` of a Content-Type, without its parameters.
pub fn essence(content_type: &[u8]) -> &[u8] {
    let end = content_type.iter().position(|b| *b == b';').unwrap_or(content_type.len());
    content_type[..end].trim_ascii()
}

impl TryFrom<String> for MediaRange {
    type Error = NoMediaRange;

    fn try_from(text: String) -> Result<Self, NoMediaRange> {
        Self::parse(&text)
    }
}

impl From<MediaRange> for String {
    fn from(range: MediaRange) -> Self {
        range.text
    }
}

impl fmt::Display for NoMediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no media type like `text/html`, `text/*` or `application/*+json`")
    }
}

impl core::error::Error for NoMediaRange {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_means_one_type_a_kind_or_a_suffix() {
        for (range, content_type, means) in [
            ("text/html", "text/html; charset=utf-8", true),
            ("text/html", "Text/HTML", true),
            ("text/html", "text/html5", false),
            ("text/*", "text/css", true),
            ("TEXT/*", "text/css ;a=b", true),
            ("text/*", "text/event-stream", false),
            ("text/*", "Text/Event-Stream; charset=utf-8", false),
            ("text/event-stream", "text/event-stream", true),
            ("text/*", "texty/css", false),
            ("application/*+json", "application/problem+json", true),
            ("application/*+json", "application/json", false),
            ("application/*+json", "text/x+json", false),
            ("text/*", "", false),
        ] {
            let parsed = MediaRange::parse(range).unwrap();
            assert_eq!(
                parsed.means(essence(content_type.as_bytes())),
                means,
                "{range} {content_type}"
            );
        }
        for text in ["", "text", "text/", "/html", "*/*", "te*/x", "text/h*", "text/*+", "a b/c"] {
            assert_eq!(MediaRange::parse(text), Err(NoMediaRange), "{text}");
        }
    }
}
