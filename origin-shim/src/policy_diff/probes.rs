//! Requests that show what policies decide: made from the routes of two, so that each route of
//! either is met, and whatever patterns of both have in common.

use std::collections::BTreeSet;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_core::key::QueryRule;
use tidegate_core::{Method, Policy, Tier};

/// Requests at most; what is beyond is left out.
const PROBES_MAX: usize = 50_000;
/// Paths made of one pattern at most.
const PATHS_MAX: usize = 200;
/// A host that no policy names.
const HOST: &str = "www.example.com";
/// What stands for a parameter, and for a tail.
const ANY: &str = "7";

/// One request.
pub(super) struct Probe {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) target: String,
    pub(super) fields: HeaderMap,
    pub(super) visitor: Visitor,
    note: &'static str,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Visitor {
    Nobody,
    /// Whom the policy's identity finds, if it has any.
    Somebody,
}

/// Requests for all routes of both.
pub(super) fn of(one: &Policy, other: &Policy) -> impl Iterator<Item = Probe> {
    let both = [one, other];
    let routes: Vec<_> = both.iter().flat_map(|policy| &policy.model().routes).collect();
    let patterns: BTreeSet<&str> = routes.iter().map(|route| route.pattern.as_str()).collect();
    let paths: BTreeSet<String> =
        patterns.iter().flat_map(|pattern| paths(pattern, &patterns)).collect();
    let hosts = routes.iter().flat_map(|route| &route.hosts).map(String::as_str);
    let hosts: BTreeSet<String> = hosts.chain([HOST]).map(str::to_owned).collect();
    let queries = queries(both);
    let everything = everything(both);
    paths
        .into_iter()
        .flat_map(move |path| hosts.clone().into_iter().map(move |host| (path.clone(), host)))
        .flat_map(move |(path, host)| asked(&path, &host, &queries, &everything))
        .take(PROBES_MAX)
}

/// The requests for one path.
fn asked(path: &str, host: &str, queries: &[String], everything: &HeaderMap) -> Vec<Probe> {
    let probe = |method, query: &str, visitor, fields: HeaderMap, note| Probe {
        method,
        host: host.into(),
        target: format!("{path}{query}"),
        fields,
        visitor,
        note,
    };
    let plain = |method, query: &str| probe(method, query, Visitor::Nobody, HeaderMap::new(), "");
    let mut probes = vec![
        plain(Method::Get, ""),
        plain(Method::Head, ""),
        plain(Method::Post, ""),
        probe(Method::Get, "", Visitor::Somebody, HeaderMap::new(), ", by somebody known"),
        probe(
            Method::Get,
            "",
            Visitor::Nobody,
            everything.clone(),
            ", with the fields and cookies of all keys",
        ),
    ];
    probes.extend(queries.iter().map(|query| plain(Method::Get, query)));
    probes
}

/// Paths that the pattern matches: what others have at the place of a parameter or a tail stands
/// there, too.
fn paths(pattern: &str, all: &BTreeSet<&str>) -> Vec<String> {
    let mut paths = vec![String::new()];
    for (depth, segment) in pattern.split('/').skip(1).enumerate() {
        let choices = match segment {
            tail if tail.starts_with('*') => tails(tail, depth, all),
            parameter if parameter.starts_with(':') => at_depth(depth, all).collect(),
            literal => vec![literal.to_owned()],
        };
        let longer =
            paths.iter().flat_map(|path| choices.iter().map(move |c| format!("{path}/{c}")));
        paths = longer.take(PATHS_MAX).collect();
    }
    paths
}

/// What stands at this depth in any pattern, and something else.
fn at_depth(depth: usize, all: &BTreeSet<&str>) -> impl Iterator<Item = String> {
    let known = all.iter().filter_map(move |pattern| pattern.split('/').nth(depth + 1));
    let literal = known.filter(|segment| !segment.is_empty() && !segment.starts_with([':', '*']));
    let found: BTreeSet<String> = literal.map(str::to_owned).chain([ANY.to_owned()]).collect();
    found.into_iter()
}

fn tails(tail: &str, depth: usize, all: &BTreeSet<&str>) -> Vec<String> {
    let extensions = |tail: &str| -> Vec<String> {
        let list = tail.trim_start_matches("*.").trim_matches(['{', '}']);
        list.split(',').map(|extension| format!("{ANY}.{}", extension.trim())).collect()
    };
    if tail != "*" {
        return extensions(tail);
    }
    let others = all.iter().filter_map(|pattern| pattern.rsplit('/').next());
    let others = others.filter(|tail| tail.starts_with("*.")).flat_map(extensions);
    // What lies below, as other patterns go on.
    let deeper = all.iter().filter_map(|pattern| {
        let rest: Vec<&str> = pattern.split('/').skip(depth + 1).collect();
        let path = rest.iter().map(|segment| match segment.starts_with([':', '*']) {
            true => ANY,
            false => segment,
        });
        (rest.len() > 1).then(|| path.collect::<Vec<_>>().join("/"))
    });
    let plain = [String::new(), format!("{ANY}/{ANY}")].into_iter();
    let found: BTreeSet<String> =
        plain.chain(at_depth(depth, all)).chain(others).chain(deeper).collect();
    found.into_iter().collect()
}

/// Queries by which keys can be told apart.
fn queries(both: [&Policy; 2]) -> Vec<String> {
    let mut names = BTreeSet::new();
    for rule in rules(both) {
        if let QueryRule::Only(named) | QueryRule::Except(named) = &rule.key.query {
            names.extend(named.iter().cloned());
        }
    }
    let named = names.into_iter().map(|name| format!("?{name}=1"));
    ["?b=2&a=1".to_owned()].into_iter().chain(named).collect()
}

/// All fields and cookies that keys and limits look at.
fn everything(both: [&Policy; 2]) -> HeaderMap {
    use tidegate_core::rate::KeyPart;
    let (mut names, mut cookies) = (BTreeSet::new(), BTreeSet::new());
    for rule in rules(both) {
        names.extend(rule.key.headers.iter().cloned());
        cookies.extend(rule.key.cookies.iter().cloned());
    }
    for part in both.iter().flat_map(|policy| &policy.model().limits).flat_map(|limit| &limit.key) {
        match part {
            KeyPart::Header(name) => drop(names.insert(name.clone())),
            KeyPart::Cookie(name) => drop(cookies.insert(name.clone())),
            _ => {}
        }
    }
    let mut fields = HeaderMap::new();
    let jar: Vec<String> = cookies.into_iter().map(|name| format!("{name}=1")).collect();
    let jar = [("cookie".to_owned(), jar.join("; "))];
    let coding = [("accept-encoding".to_owned(), "br, gzip, zstd".to_owned())];
    let named = names.into_iter().map(|name| (name, "1".to_owned()));
    for (name, value) in named.chain(jar).chain(coding) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            && !value.is_empty()
        {
            fields.insert(name, value);
        }
    }
    fields
}

fn rules(both: [&Policy; 2]) -> impl Iterator<Item = &tidegate_core::CacheRule> {
    let routes = both.into_iter().flat_map(|policy| &policy.model().routes);
    routes.flat_map(|route| {
        [Tier::Edge, Tier::Origin].into_iter().filter_map(|tier| route.cache_rule(tier))
    })
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            _ => "POST",
        };
        write!(f, "{method} https://{}{}{}", self.host, self.target, self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_met_where_others_go_on() {
        let all = BTreeSet::from(["/api/:id/list", "/api/v1/*", "/*.{js,css}", "/*"]);
        let made = |pattern| BTreeSet::from_iter(paths(pattern, &all));
        assert!(
            made("/api/:id/list")
                .is_superset(&BTreeSet::from(["/api/7/list".into(), "/api/v1/list".into()]))
        );
        assert_eq!(made("/*.{js,css}"), BTreeSet::from(["/7.js".into(), "/7.css".into()]));
        let rest = made("/*");
        for path in ["/", "/7", "/7/7", "/7.js", "/api", "/api/7/list", "/api/v1/7"] {
            assert!(rest.contains(path), "{path}: {rest:?}");
        }
        assert!(made("/api/v1/*").contains("/api/v1/7.css"));
    }
}
