//! RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-11), and the
//! older `X-RateLimit-*` trio.

use core::fmt;
use core::time::Duration;

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

impl fmt::Display for RateLimitPolicy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\";q={};w={}", self.name, self.quota, ceil_secs(self.window))
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

impl fmt::Display for RateLimit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\";r={};t={}", self.name, self.remaining, ceil_secs(self.reset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn r7_the_fields_read_as_the_draft_writes_them() {
        let policy = RateLimitPolicy { name: "p", quota: 100, window: Duration::from_secs(60) };
        let now = RateLimit { name: "p", remaining: 50, reset: Duration::from_millis(29_001) };
        assert_eq!(policy.to_string(), "\"p\";q=100;w=60");
        assert_eq!(now.to_string(), "\"p\";r=50;t=30");
    }
}
