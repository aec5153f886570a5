//! Where the explained values came from.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Explanation;
use crate::policy::Policy;

/// Where a value came from that no rule states.
const DEFAULT: &str = "default";

impl Explanation {
    /// Says of each value where it came from, in [`Self::sources`]: what `place` answers for the
    /// path of the value in the policy file, or `default` where the file says nothing.
    pub fn locate(&mut self, policy: &Policy, place: impl Fn(&str) -> Option<String>) {
        let Some(route) = self.route.as_ref() else { return };
        let routes = &policy.model().routes;
        let Some(at) = routes.iter().position(|r| r.name == route.name) else { return };
        let (own, tier) = (format!("routes.{at}"), format!("routes.{at}.{}", self.tier));
        let zone = self.cache.zone.as_ref().map(|zone| zone.name.as_str()).unwrap_or_default();
        let field = |name: &str| Vec::from([format!("{own}.{name}")]);
        let rule = |name: &str| Vec::from([format!("{tier}.{name}")]);
        let mut paths: Vec<(&str, Vec<String>)> = Vec::from([
            ("route", Vec::from([own.clone()])),
            ("decision", Vec::from([tier.clone()])),
        ]);
        let cache = &self.cache;
        let mut add = |is_shown: bool, name, path| {
            if is_shown {
                paths.push((name, path));
            }
        };
        add(route.upstream.is_some(), "upstream", field("upstream"));
        let zone_ttl = format!("zones.{zone}.ttl");
        add(cache.ttl.is_some(), "ttl", Vec::from([format!("{tier}.ttl"), zone_ttl]));
        add(!cache.status_ttl.is_empty(), "ttl by status", rule("status_ttl"));
        let windows = [
            ("stale while revalidate", &cache.stale_while_revalidate),
            ("stale if error", &cache.stale_if_error),
        ];
        for (name, window) in windows {
            add(window.is_some(), name, rule(&name.replace(' ', "_")));
        }
        add(cache.key.is_some(), "key", field("key"));
        let names = Vec::from([format!("{own}.key.name"), format!("{own}.key")]);
        add(cache.key_name.is_some(), "key name", names);
        add(
            cache.zone.is_some(),
            "zone",
            Vec::from([format!("{own}.zone"), format!("zones.{zone}")]),
        );
        add(!cache.tags.is_empty(), "tags", field("tags"));
        add(!self.invalidates.is_empty(), "invalidates", field("invalidates"));
        let compression = Vec::from([format!("{own}.compression"), "compression".to_string()]);
        add(self.tier == "origin", "compression", compression);
        for (name, _) in &self.headers {
            let is_told = matches!(&**name, "cdn-cache-control" | "surrogate-control")
                || (name == "cache-control" && routes[at].browser.is_some());
            let named = [format!("{own}.headers.{name}"), format!("headers.{name}")];
            let is_named = named.iter().any(|path| place(path).is_some());
            match is_told {
                true => add(true, name, field("browser")),
                false => add(is_named, name, Vec::from(named)),
            }
        }
        self.sources = paths
            .into_iter()
            .map(|(name, paths)| {
                let found = paths.iter().find_map(|path| place(path));
                (name.to_string(), found.unwrap_or_else(|| DEFAULT.to_string()))
            })
            .collect::<BTreeMap<_, _>>();
        for limit in &mut self.limits {
            limit.source = place(&format!("limits.{}", limit.name));
        }
    }

    /// ` (file:line)` behind a value, where that is known.
    pub(super) fn source(&self, name: &str) -> String {
        self.sources.get(name).map(|source| format!("  ({source})")).unwrap_or_default()
    }
}
