//! Under which terms a tier keeps the answers of a route.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::{Route, Tier};

/// What a route says of keeping its answers on a tier, as a number.
///
/// A policy may be replaced while answers are stored. One that was stored under other terms
/// than its route has now is not served: what allowed to keep it may not be there any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms(u64);

impl Terms {
    /// The terms of `route` on `tier`: a hash of its rule, of its tags, and of whether it
    /// compresses, since then its answers are asked for without coding, for all clients alike.
    /// Two that differ are taken for the same once in 2^64 times.
    pub(super) fn of(route: &Route, tier: Tier) -> Self {
        let Some(rule) = route.cache_rule(tier) else { return Self::default() };
        // A rule holds only strings, numbers and lists of them, which all serialise.
        let compresses = tier == Tier::Origin && route.compression.is_some();
        let text = serde_json::to_vec(&(rule, &route.tags, compresses)).unwrap_or_default();
        let digest = Sha256::digest(text);
        let first = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        Self(first)
    }

    /// Those for this tier, of a route's at the edge and at the origin.
    pub(super) const fn at([edge, origin]: [Self; 2], tier: Tier) -> Self {
        match tier {
            Tier::Edge => edge,
            Tier::Origin => origin,
        }
    }

    /// The terms whose number was stored.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number, to be stored or hashed.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Those of all routes on both tiers.
    pub(super) fn of_all(routes: &[Route]) -> Vec<[Self; 2]> {
        let both = |route| [Self::of(route, Tier::Edge), Self::of(route, Tier::Origin)];
        routes.iter().map(both).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn terms(route: &str) -> Terms {
        let json = alloc::format!(
            r#"{{"schema":1,"compression":[{{"codings":[],"min_bytes":1,"types":[]}}],"routes":[{{"name":"r","pattern":"/*",{route}}}]}}"#
        );
        Terms::of(&Policy::from_json(&json).unwrap().model().routes[0], Tier::Origin)
    }

    #[test]
    fn only_what_was_kept_under_the_same_rule_and_tags_is_kept_under_the_same_terms() {
        let rule = r#""origin":{"mode":"default","ttl":60000,"client_directives":"ignore"}"#;
        let plain = terms(rule);
        assert_eq!(plain, terms(&alloc::format!(r#"{rule},"upstream":"other""#)));
        assert_ne!(plain, terms(&rule.replace("60000", "61000")));
        assert_ne!(plain, terms(&alloc::format!(r#"{rule},"tags":["team"]"#)));
        #[cfg(feature = "toml")]
        assert_ne!(plain, terms(&alloc::format!(r#"{rule},"compression":0"#)));
        let risky = r#""client_directives":"ignore","unsafe_ignore":["set-cookie"]"#;
        assert_ne!(plain, terms(&rule.replace(r#""client_directives":"ignore""#, risky)));
    }
}
