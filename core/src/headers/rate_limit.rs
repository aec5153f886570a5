//! RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-11), and the
//! older `X-RateLimit-*` trio.

use core::time::Duration;

use super::{Fields, Spelled, list};
use crate::time::ceil_secs;

/// `RateLimit-Policy: "standard";q=100;w=60`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitPolicy<'a> {
    /// The name of the limit in the policy.
    pub name: &'a str,
    /// Requests allowed in a window.
    pub quota: u32,
    /// The length of a window.
    pub window: Duration,
}

impl Spelled for RateLimitPolicy<'_> {
    fn spell(&self, write: impl FnMut(&str)) {
        spell(self.name, (";q=", self.quota), (";w=", self.window), write);
    }
}

/// `RateLimit: "standard";r=50;t=30`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit<'a> {
    /// The name of the limit in the policy.
    pub name: &'a str,
    /// Requests that would still be allowed now.
    pub remaining: u32,
    /// How long until the quota is whole again.
    pub reset: Duration,
}

impl Spelled for RateLimit<'_> {
    fn spell(&self, write: impl FnMut(&str)) {
        spell(self.name, (";r=", self.remaining), (";t=", self.reset), write);
    }
}

/// Writes one member of either list: a string with two parameters, a time in seconds the latter.
fn spell(
    name: &str,
    (count, number): (&str, u32),
    (time, span): (&str, Duration),
    mut write: impl FnMut(&str),
) {
    for piece in ["\"", name, "\"", count, itoa::Buffer::new().format(number), time] {
        write(piece);
    }
    write(itoa::Buffer::new().format(ceil_secs(span)));
}

/// What a client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests that would still be allowed.
    pub remaining: u32,
    /// How long until the quota is whole again.
    pub reset: Duration,
}

impl Quota {
    /// The least that an answer with these fields leaves the client: by RateLimit, or by
    /// X-RateLimit-Remaining where that is missing. What cannot be read says nothing.
    pub fn told(fields: &(impl Fields + ?Sized)) -> Option<Self> {
        let lines = fields.lines_of("ratelimit").flat_map(list::members);
        let least = lines.filter_map(Self::read).min_by_key(|quota| quota.remaining);
        least.or_else(|| {
            let remaining = number(fields.first("x-ratelimit-remaining")?)?;
            let reset = fields.first("x-ratelimit-reset").and_then(number).unwrap_or(0);
            Some(Self { remaining, reset: Duration::from_secs(reset.into()) })
        })
    }

    /// Whether this leaves the client less than `other`.
    pub fn is_stricter_than(&self, other: &Self) -> bool {
        (self.remaining, other.reset) < (other.remaining, self.reset)
    }

    /// One member of RateLimit: `"name";r=50;t=30`.
    fn read(member: &[u8]) -> Option<Self> {
        let mut quote = None;
        let mut escaped = false;
        let end = member.iter().position(|byte| {
            match (byte, quote, escaped) {
                (b'\\', Some(()), false) => {
                    escaped = true;
                    return false;
                }
                (b'"', Some(()), false) => quote = None,
                (b'"', None, _) => quote = Some(()),
                (b';', None, _) => return true,
                _ => {}
            }
            escaped = false;
            false
        })?;
        let parameter = |name: &[u8]| {
            let mut parameters = member[end + 1..].split(|byte| *byte == b';');
            parameters.find_map(|text| number(text.trim_ascii().strip_prefix(name)?))
        };
        let reset = Duration::from_secs(parameter(b"t=").unwrap_or(0).into());
        Some(Self { remaining: parameter(b"r=")?, reset })
    }
}

fn number(text: &[u8]) -> Option<u32> {
    core::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn spelled(value: &impl Spelled) -> String {
        let mut text = String::new();
        value.spell(|piece| text.push_str(piece));
        text
    }

    #[test]
    fn r7_the_fields_read_as_the_draft_writes_them() {
        let policy = RateLimitPolicy { name: "p", quota: 100, window: Duration::from_secs(60) };
        let now = RateLimit { name: "p", remaining: 50, reset: Duration::from_millis(29_001) };
        assert_eq!(spelled(&policy), "\"p\";q=100;w=60");
        assert_eq!(spelled(&now), "\"p\";r=50;t=30");
    }

    #[test]
    fn r7_the_stricter_of_two_hops_is_found() {
        let told = |fields: &[(&str, &str)]| Quota::told(fields).map(|quota| quota.remaining);
        assert_eq!(told(&[("ratelimit", "\"p\";r=50;t=30")]), Some(50));
        assert_eq!(told(&[("ratelimit", "\"a\";r=50;t=30, \"b\";t=9;r=2")]), Some(2));
        assert_eq!(told(&[("ratelimit", "\"a;r=1\\\"\"; r=7"), ("ratelimit", "x;r=9")]), Some(7));
        assert_eq!(told(&[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "9")]), Some(3));
        for nonsense in ["", "\"p\"", "\"p;r=1", "p;r=-1", "p;r=x", "p;r=99999999999"] {
            assert_eq!(told(&[("ratelimit", nonsense)]), None, "{nonsense}");
        }
        let quota = |remaining, reset| Quota { remaining, reset: Duration::from_secs(reset) };
        assert!(quota(1, 5).is_stricter_than(&quota(2, 50)));
        assert!(quota(1, 50).is_stricter_than(&quota(1, 5)));
        assert!(!quota(1, 5).is_stricter_than(&quota(1, 5)));
    }
}
