//! What two policies decide differently: both explain the same requests, and what they say is
//! held against each other.

mod probes;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use serde_json::{Value, json};
use tidegate_core::explain::{Explanation, explain};
use tidegate_core::identity::{CredentialHash, User};
use tidegate_core::{
    ClientFacts, Host, Identity, Policy, Request, Scheme, Target, Tier, Timestamp,
};

use probes::{Probe, Visitor};

/// The time of the requests: a decision for a first request is the same at any.
const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Longer values are cut off for people.
const SHOWN_MAX: usize = 200;

/// What two policies decide differently.
#[derive(Debug, Default)]
pub struct PolicyDiff {
    /// How many requests both were asked about.
    pub probes: usize,
    /// Decisions that differ, in the order of the routes.
    pub changes: Vec<Change>,
    /// Values outside of routes and limits that differ: place, before, after.
    pub settings: Vec<(String, Value, Value)>,
}

/// Requests that are decided differently in the same way.
#[derive(Debug)]
pub struct Change {
    /// The route, or both where they differ.
    pub route: String,
    /// The tier.
    pub tier: Tier,
    /// One of the requests.
    pub request: String,
    /// How many more of those asked about are like it.
    pub more: usize,
    /// What differs: its name, before, after.
    pub facts: Vec<Fact>,
}

/// What differs: its name, before, after.
type Fact = (String, Option<String>, Option<String>);

/// What a tier does with a request, by name.
type Facts = BTreeMap<String, String>;

impl PolicyDiff {
    /// Compares them by requests made from the routes of both.
    pub fn between(before: &Policy, after: &Policy) -> Self {
        let mut diff = Self::default();
        let mut places = BTreeMap::new();
        for probe in probes::of(before, after) {
            let (Ok(host), Ok(target)) =
                (Host::parse(&probe.host, Scheme::Https), Target::parse(&probe.target))
            else {
                continue;
            };
            diff.probes += 1;
            let request = Request::read(probe.method, Scheme::Https, &host, &target, &probe.fields);
            for tier in [Tier::Edge, Tier::Origin] {
                let one = facts(before, tier, &request, &probe);
                let other = facts(after, tier, &request, &probe);
                if one != other {
                    diff.note(&mut places, &probe, tier, &one, &other);
                }
            }
        }
        diff.settings = settings(before, after);
        let mut rest = Vec::new();
        compare("", &by_name(before), &by_name(after), &mut rest);
        rest.retain(|(place, ..)| !diff.has_shown(place));
        diff.settings.extend(rest);
        diff
    }

    /// Whether a request has shown that this route or limit differs, so that its values need not
    /// be listed one by one.
    fn has_shown(&self, place: &str) -> bool {
        let mut steps = place.splitn(3, '.');
        let (kind, name) = (steps.next(), steps.next().unwrap_or_default());
        self.changes.iter().any(|change| match kind {
            Some("routes") => change.route.split(" → ").any(|route| route == name),
            _ => change.facts.iter().any(|(fact, ..)| fact.strip_prefix("limit ") == Some(name)),
        })
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.settings.is_empty()
    }

    fn note(
        &mut self,
        places: &mut BTreeMap<String, usize>,
        probe: &Probe,
        tier: Tier,
        before: &Facts,
        after: &Facts,
    ) {
        let names: Vec<&String> = before.keys().chain(after.keys()).collect();
        let mut facts: Vec<Fact> = Vec::new();
        for name in names {
            let (one, other) = (before.get(name), after.get(name));
            if one != other && facts.iter().all(|(known, ..)| known != name) {
                facts.push((name.clone(), one.cloned(), other.cloned()));
            }
        }
        facts.sort();
        let route = |facts: &Facts| facts.get(ROUTE).cloned().unwrap_or_else(|| "none".into());
        let route = match (route(before), route(after)) {
            (one, other) if one == other => one,
            (one, other) => format!("{one} → {other}"),
        };
        // Keys and tags hold what the request holds, so that they tell only that they differ.
        let like = |(name, one, other): &Fact| match PERSONAL.contains(&&**name) {
            true => (name.clone(), one.is_some(), other.is_some(), None),
            false => {
                (name.clone(), one.is_some(), other.is_some(), Some((one.clone(), other.clone())))
            }
        };
        let alike: Vec<_> = facts.iter().map(like).collect();
        let place = format!("{route}\n{tier:?}\n{alike:?}");
        match places.get(&place).and_then(|at| self.changes.get_mut(*at)) {
            Some(change) => change.more += 1,
            None => {
                places.insert(place, self.changes.len());
                let request = probe.to_string();
                self.changes.push(Change { route, tier, request, more: 0, facts });
            }
        }
    }

    /// As JSON, for programs.
    pub fn to_value(&self) -> Value {
        let fact = |(name, one, other): &Fact| (name.clone(), json!([one, other]));
        let change = |change: &Change| {
            json!({
                "route": change.route,
                "tier": change.tier.as_str(),
                "request": change.request,
                "alike": change.more,
                "changes": change.facts.iter().map(fact).collect::<serde_json::Map<_, _>>(),
            })
        };
        let setting =
            |(place, one, other): &(String, Value, Value)| (place.clone(), json!([one, other]));
        json!({
            "probes": self.probes,
            "decisions": self.changes.iter().map(change).collect::<Vec<_>>(),
            "settings": self.settings.iter().map(setting).collect::<serde_json::Map<_, _>>(),
        })
    }
}

const ROUTE: &str = "route";
/// What holds parts of the request.
const PERSONAL: [&str; 4] = ["key", "key name", "tags", "invalidates"];
/// Fields that say once more what was decided.
const DERIVED: [&str; 4] = ["cache-status", "x-cache", "ratelimit", "x-ratelimit"];

fn facts(policy: &Policy, tier: Tier, request: &Request<'_, HeaderMap>, probe: &Probe) -> Facts {
    let who = who(policy, probe);
    let client = ClientFacts { user: who.user(), ip: Some(CLIENT), route: None };
    let said = explain(policy, tier, request, &who, &client, NOW);
    let mut facts = told(&said);
    if let Ok(rule) = policy.plan(tier, request).cache
        && !rule.unsafe_ignore.is_empty()
    {
        let risks = rule.unsafe_ignore.iter().map(|risk| risk.as_str());
        facts.insert("ignores".into(), risks.collect::<Vec<_>>().join(", "));
    }
    facts
}

fn told(said: &Explanation) -> Facts {
    let mut facts = Facts::new();
    let mut put = |name: &str, value: Option<String>| {
        facts.extend(value.filter(|value| !value.is_empty()).map(|value| (name.into(), value)));
    };
    if let Some(route) = &said.route {
        put(ROUTE, Some(route.name.clone()));
        put("upstream", route.upstream.clone().filter(|_| said.tier == Tier::Origin.as_str()));
    }
    let cache = &said.cache;
    put("cache", Some(format!("{}: {}", cache.decision, cache.why)));
    put("ttl", cache.ttl.clone());
    put("ttl by status", Some(cache.status_ttl.join(", ")));
    put("stale while revalidate", cache.stale_while_revalidate.clone());
    put("stale if error", cache.stale_if_error.clone());
    put("key", cache.key.clone());
    put("key name", cache.key_name.clone());
    put("zone", cache.zone.as_ref().map(|zone| zone.name.clone()));
    put("tags", Some(cache.tags.join(", ")));
    put("invalidates", Some(said.invalidates.join(", ")));
    for limit in &said.limits {
        let words = limit.to_string();
        let words = words.split_once(": ").map_or(&*words, |(_, words)| words);
        put(&format!("limit {}", limit.name), Some(words.into()));
    }
    let compression = &said.compression;
    let level = compression.level.map(|level| format!(" at level {level}")).unwrap_or_default();
    put("compression", Some(format!("{}{level}: {}", compression.coding, compression.why)));
    for (name, value) in &said.headers {
        if DERIVED.iter().any(|derived| name.starts_with(derived)) {
            continue;
        }
        put(&format!("field {name}"), Some(value.clone()));
    }
    facts
}

/// Who asks, as far as this policy would find out.
fn who(policy: &Policy, probe: &Probe) -> Identity {
    let rule = &policy.model().identity;
    match probe.visitor {
        Visitor::Nobody => Identity::Anonymous,
        Visitor::Somebody if rule.jwt.is_some() || rule.trusted_header.is_some() => {
            let claims = rule.jwt.iter().flat_map(|jwt| &jwt.claims);
            let claims = claims.map(|claim| (claim.clone(), "1".to_owned())).collect();
            Identity::Verified(User::with_claims("ada", claims))
        }
        Visitor::Somebody if rule.credential.is_some() => {
            Identity::Opaque(CredentialHash::of(b"ada"))
        }
        Visitor::Somebody => Identity::Anonymous,
    }
}

/// Values outside of what requests show, member by member.
fn settings(before: &Policy, after: &Policy) -> Vec<(String, Value, Value)> {
    // What requests show stands in the decisions.
    const SHOWN: [&str; 4] = ["routes", "limits", "headers", "compression"];
    let value = |policy: &Policy| {
        let mut value: Value = serde_json::from_str(&policy.to_json()).unwrap_or_default();
        for name in SHOWN {
            value.as_object_mut().map(|all| all.remove(name));
        }
        value
    };
    let mut settings = Vec::new();
    compare("", &value(before), &value(after), &mut settings);
    settings
}

/// Routes and limits by their names, for what of them no request shows.
fn by_name(policy: &Policy) -> Value {
    // Positions, which tell nothing where others stand before them.
    const POSITIONS: [&str; 4] = ["name", "limits", "zone", "compression"];
    let all: Value = serde_json::from_str(&policy.to_json()).unwrap_or_default();
    let mut named = serde_json::Map::new();
    for kind in ["routes", "limits"] {
        let entries = all[kind].as_array().into_iter().flatten().map(|entry| {
            let mut members = entry.as_object().cloned().unwrap_or_default();
            let name = members.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            members.retain(|member, _| !POSITIONS.contains(&&**member));
            // A dot in a name would look like a step.
            (name.replace('.', "_"), members.into())
        });
        named.insert(kind.into(), entries.collect::<serde_json::Map<_, _>>().into());
    }
    named.into()
}

fn compare(place: &str, before: &Value, after: &Value, found: &mut Vec<(String, Value, Value)>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let place = match place {
                    "" => name.clone(),
                    place => format!("{place}.{name}"),
                };
                let of = |all: &serde_json::Map<_, _>| all.get(name).cloned().unwrap_or_default();
                compare(&place, &of(one), &of(other), found);
            }
        }
        (one, other) if one == other => {}
        (one, other) => found.push((place.into(), one.clone(), other.clone())),
    }
}

impl fmt::Display for PolicyDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut route = None;
        for change in &self.changes {
            if route != Some(&change.route) {
                writeln!(f, "{}", change.route)?;
                route = Some(&change.route);
            }
            write!(f, "  {:<8}{}", change.tier.as_str(), change.request)?;
            match change.more {
                0 => writeln!(f)?,
                1 => writeln!(f, "  (and one more)")?,
                more => writeln!(f, "  (and {more} more)")?,
            }
            for (name, one, other) in change.facts.iter().filter(|(name, ..)| name != ROUTE) {
                let (one, other) = (shown(one.as_deref()), shown(other.as_deref()));
                writeln!(f, "    {name:<23} {one}\n    {:>22}→ {other}", "")?;
            }
        }
        if !self.settings.is_empty() {
            writeln!(f, "settings")?;
        }
        for (place, one, other) in &self.settings {
            let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
            let (one, other) = (text(one), text(other));
            let (one, other) = (shown(one.as_deref()), shown(other.as_deref()));
            writeln!(f, "    {place:<23} {one}\n    {:>22}→ {other}", "")?;
        }
        Ok(())
    }
}

fn shown(value: Option<&str>) -> String {
    let Some(value) = value else { return "-".into() };
    match value.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::document;

    const POLICY: &str = r#"schema = 1
[shim]
listen = "127.0.0.1:8080"
[identity]
credential = "authorization"
[upstreams.a]
servers = ["127.0.0.1:1"]
[limits.l]
limit = "5 per 1m"
[[routes]]
name = "list"
match = "/api/:id/list"
upstream = "a"
limit = "l"
edge = { mode = "override", ttl = "1h" }
[[routes]]
name = "rest"
match = "/*"
upstream = "a"
"#;

    fn read(source: &str) -> Policy {
        document::read(source, &|_| None).unwrap()
    }

    fn diff(from: &str, to: &str) -> PolicyDiff {
        assert!(POLICY.contains(from), "{from}");
        PolicyDiff::between(&read(POLICY), &read(&POLICY.replace(from, to)))
    }

    /// Each change as `ROUTE TIER NAME: BEFORE → AFTER`.
    fn lines(diff: &PolicyDiff) -> Vec<String> {
        let of = |change: &Change| {
            let Change { route, tier, facts, .. } = change;
            let facts = facts.iter().map(|(name, one, other)| {
                let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
                format!("{route} {} {name}: {} → {}", tier.as_str(), text(one), text(other))
            });
            facts.collect::<Vec<_>>()
        };
        let mut lines: Vec<String> = diff.changes.iter().flat_map(of).collect();
        lines.sort();
        lines.dedup();
        lines
    }

    fn has(diff: &PolicyDiff, line: &str) {
        assert!(lines(diff).iter().any(|known| known.contains(line)), "{line}: {diff}");
    }

    #[test]
    fn the_same_policy_decides_the_same() {
        let same = diff("schema", "schema");
        assert!(same.probes > 10 && same.is_empty(), "{} probes: {same}", same.probes);
        let other_words = POLICY.replace("\"1h\"", "\"60m\"");
        assert!(PolicyDiff::between(&read(POLICY), &read(&other_words)).is_empty());
    }

    #[test]
    fn each_kind_of_change_is_found_on_its_tier_and_route() {
        has(&diff("ttl = \"1h\"", "ttl = \"2h\""), "list edge ttl: 1h → 2h");
        has(&diff("5 per 1m", "6 per 1m"), "list origin limit l: 5 per 60s");
        let bypass = diff("edge = { mode = \"override\", ttl = \"1h\" }", "edge = \"bypass\"");
        has(&bypass, "list edge cache: cache: fresh for 1h");
        let ignoring = diff("ttl = \"1h\" }", "ttl = \"1h\", unsafe_ignore = [\"set-cookie\"] }");
        assert_eq!(lines(&ignoring), ["list edge ignores: - → set-cookie"]);
        let key = diff("limit = \"l\"\n", "limit = \"l\"\nkey = { query = \"none\" }\n");
        has(&key, "list edge key: ");
        let keyed = diff("limit = \"l\"\n", "limit = \"l\"\nkey = { headers = [\"x-a\"] }\n");
        has(&keyed, "list edge key: ");
        let mine = diff("limit = \"l\"\n", "limit = \"l\"\nkey = { identity = true }\n");
        has(&mine, "list edge key: ");
        let headers = diff("[shim]", "[headers]\nx-a = \"1\"\n[shim]");
        has(&headers, "rest origin field x-a: - → 1");
        assert!(headers.settings.is_empty());
    }

    #[test]
    fn a_route_that_is_new_or_gone_is_found_by_its_own_requests() {
        let route = "[[routes]]\nname = \"new\"\nmatch = \"/api/1/:what\"\nupstream = \"a\"\n";
        let longer = format!("{POLICY}{route}");
        let added = PolicyDiff::between(&read(POLICY), &read(&longer));
        has(&added, "rest → new edge route: rest → new");
        // Only what both patterns match goes from the one to the other.
        has(&added, "list → new edge ttl: 1h → -");
        let gone = PolicyDiff::between(&read(&longer), &read(POLICY));
        has(&gone, "new → rest edge route: new → rest");
    }

    #[test]
    fn a_setting_is_said_with_its_place() {
        let diff = diff("127.0.0.1:8080", "127.0.0.1:8081");
        assert!(diff.changes.is_empty() && !diff.is_empty());
        assert_eq!(diff.settings[0].0, "shim.listen");
        assert!(diff.to_string().contains("shim.listen"), "{diff}");
    }

    #[test]
    fn what_no_request_shows_of_a_route_or_a_limit_is_said_all_the_same() {
        let store = diff("limit = \"5 per 1m\"", "limit = \"5 per 1m\"\non_store_error = \"deny\"");
        let places: Vec<&str> = store.settings.iter().map(|(place, ..)| &**place).collect();
        assert_eq!((store.changes.len(), places), (0, vec!["limits.l.stores"]));
        let shown = diff("ttl = \"1h\"", "ttl = \"2h\"");
        assert!(shown.settings.is_empty(), "{shown}");
    }

    #[test]
    fn requests_that_change_alike_are_one_change() {
        let diff = diff("ttl = \"1h\"", "ttl = \"2h\"");
        assert_eq!(diff.changes.len(), 1, "{diff}");
        assert!(diff.changes[0].more > 1);
    }
}
