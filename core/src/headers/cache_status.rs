//! Cache-Status (RFC 9211): what this hop did with the request, and why.

use core::fmt;
use core::time::Duration;

use super::Spelled;
use crate::text::Text;

/// One member of a Cache-Status field; its `Display` is what goes on the wire.
///
/// Each hop appends its member behind those of the hops nearer to the origin (§2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// The name of this cache: [`crate::Tier::cache_name`].
    pub cache: &'static str,
    /// Whether the stored answer served, or why the request went forward.
    pub outcome: Outcome,
    /// The key for people to read, where the policy gives the route one.
    pub key: Option<&'a str>,
    /// Why, in a word that logs, metrics and `explain` share.
    pub detail: Option<&'static str>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The stored answer served.
    Hit {
        /// How long it stays fresh.
        ttl: Ttl,
    },
    /// The request went towards the origin.
    Forward {
        /// Why.
        why: Fwd,
        /// The status that the next hop answered with, if it answered.
        status: Option<u16>,
        /// How long the answer stays fresh, when it was stored.
        stored: Option<Ttl>,
    },
    /// The request waited for the answer to another like it, which then served (§2.6).
    Collapsed {
        /// Why one of them went forward.
        why: Fwd,
        /// How long the answer stays fresh.
        ttl: Ttl,
    },
    /// This hop answered by itself: a refusal, a health check, a page of its own.
    Generated,
}

/// Seconds of freshness left; negative when stale (RFC 9211 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(pub i64);

impl Ttl {
    /// Fresh for `left`, in whole seconds.
    pub fn fresh(left: Duration) -> Self {
        Self(i64::try_from(left.as_secs()).unwrap_or(i64::MAX))
    }

    /// Stale for `past`, in whole seconds and at least one: what is stale never looks fresh.
    pub fn stale(past: Duration) -> Self {
        Self(-Self::fresh(past).0.max(1))
    }
}

/// Why a request went forward (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fwd {
    /// The policy says not to use the cache here.
    Bypass,
    /// The method is not one that a stored answer may serve.
    Method,
    /// Nothing is stored under this key.
    UriMiss,
    /// Something is, but chosen by other request fields.
    VaryMiss,
    /// Something is, but the request's own directives rule it out.
    Request,
    /// Something is, but it is stale.
    Stale,
    /// A part is, but not the one asked for.
    Partial,
}

impl Fwd {
    /// The token of RFC 9211 §2.2.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

impl Outcome {
    /// The word for `X-Cache`, in the spelling people grep for (C3).
    pub const fn x_cache(self) -> &'static str {
        match self {
            Self::Hit { ttl: Ttl(..0) } => "STALE",
            Self::Hit { .. } | Self::Collapsed { .. } => "HIT",
            Self::Forward { why: Fwd::Bypass | Fwd::Method, .. } => "BYPASS",
            Self::Forward { why: Fwd::Stale | Fwd::Request, status: Some(304), .. } => {
                "REVALIDATED"
            }
            Self::Forward { .. } => "MISS",
            Self::Generated => "NONE",
        }
    }
}

impl Spelled for CacheStatus<'_> {
    fn spell(&self, mut write: impl FnMut(&str)) {
        write(self.cache);
        match self.outcome {
            Outcome::Hit { ttl } => {
                write("; hit; ttl=");
                number(ttl.0, &mut write);
            }
            Outcome::Forward { why, status, stored } => {
                write("; fwd=");
                write(why.as_str());
                if let Some(status) = status {
                    write("; fwd-status=");
                    number(status, &mut write);
                }
                if let Some(ttl) = stored {
                    write("; stored; ttl=");
                    number(ttl.0, &mut write);
                }
            }
            Outcome::Collapsed { why, ttl } => {
                write("; fwd=");
                write(why.as_str());
                write("; collapsed; ttl=");
                number(ttl.0, &mut write);
            }
            Outcome::Generated => {}
        }
        if let Some(key) = self.key {
            write("; key=");
            quoted(key, &mut write);
        }
        if let Some(detail) = self.detail {
            write("; detail=");
            write(detail);
        }
    }
}

impl fmt::Display for CacheStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = Ok(());
        self.spell(|piece| written = written.and_then(|()| f.write_str(piece)));
        written
    }
}

fn number(number: impl itoa::Integer, write: &mut impl FnMut(&str)) {
    write(itoa::Buffer::new().format(number));
}

/// A structured-field String (RFC 9651 §3.3.3): what it cannot hold is percent-encoded.
fn quoted(text: &str, write: &mut impl FnMut(&str)) {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    write("\"");
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !is_plain(byte)) {
        let (plain, special) = rest.split_at(at);
        write(plain);
        let mut characters = special.chars();
        match characters.next() {
            Some('"') => write("\\\""),
            Some('\\') => write("\\\\"),
            Some(other) => {
                let mut bytes = [0; 4];
                let encoded = other.encode_utf8(&mut bytes);
                encoded.bytes().for_each(|byte| write(&Text::of(format_args!("%{byte:02X}"))));
            }
            None => {}
        }
        rest = characters.as_str();
    }
    write(rest);
    write("\"");
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn members_read_as_the_rfc_writes_them() {
        let mut status = CacheStatus {
            cache: "tidegate-origin",
            outcome: Outcome::Hit { ttl: Ttl(299) },
            key: Some("plugins:list"),
            detail: None,
        };
        assert_eq!(status.to_string(), r#"tidegate-origin; hit; ttl=299; key="plugins:list""#);

        status.key = None;
        status.outcome =
            Outcome::Forward { why: Fwd::UriMiss, status: Some(200), stored: Some(Ttl(300)) };
        assert_eq!(
            status.to_string(),
            "tidegate-origin; fwd=uri-miss; fwd-status=200; stored; ttl=300"
        );

        status.outcome = Outcome::Collapsed { why: Fwd::UriMiss, ttl: Ttl(300) };
        assert_eq!(status.to_string(), "tidegate-origin; fwd=uri-miss; collapsed; ttl=300");

        status.outcome = Outcome::Forward { why: Fwd::Bypass, status: None, stored: None };
        status.detail = Some("policy");
        assert_eq!(status.to_string(), "tidegate-origin; fwd=bypass; detail=policy");
    }

    #[test]
    fn a_key_cannot_break_out_of_its_string() {
        let status = CacheStatus {
            cache: "c",
            outcome: Outcome::Generated,
            key: Some("a\"; hit\\\r\nü"),
            detail: None,
        };
        assert_eq!(status.to_string(), r#"c; key="a\"; hit\\%0D%0A%C3%BC""#);
    }
}
