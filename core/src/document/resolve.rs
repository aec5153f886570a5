//! From sections to the policy: references are followed, defaults filled in, and whatever
//! contradicts itself is an error at its place.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::decode::{Context, Located, Named};
use super::sections::{
    CacheSection, CacheTable, Document, KeySection, LimitSection, ModeWord, RouteSection, Ttl,
    UpstreamSection, check_name,
};
use super::spelling;
use crate::key::{KeyRule, QueryRule};
use crate::policy::{
    BrowserRule, IdentityRule, Model, Pattern, Policy, Route, SCHEMA, Shim, Template, Tier,
    Upstream,
};
use crate::rate::{Algorithm, KeyPart, Limit};
use crate::rule::{CacheRule, ClientDirectives, Mode};

/// Builds the policy. `None` when something was wrong, which is then noted.
pub(super) fn resolve(document: Document, context: &mut Context<'_>) -> Option<Policy> {
    if document.schema.value != SCHEMA {
        let message = format!("schema {} is not known", document.schema.value);
        context.report(
            document.schema.span.clone(),
            message,
            format!("this program reads `schema = {SCHEMA}`"),
        );
    }
    let names = Names { upstreams: document.upstreams.names(), limits: document.limits.names() };
    let routes = document.routes.0;
    refuse_twins(&routes, context);
    let identity = document.identity.map_or_else(IdentityRule::default, |section| IdentityRule {
        credential: section.credential.map(|name| name.0),
        trusted_header: section.trusted_header.map(|name| name.0),
    });
    let shim = document.shim.map_or_else(Shim::default, |section| Shim {
        listen: section.listen.map(|address| address.0),
        trusted_proxies: section.trusted_proxies,
    });
    let model = Model {
        schema: SCHEMA,
        shim,
        upstreams: upstreams(document.upstreams, context),
        limits: limits(document.limits, context),
        routes: routes.into_iter().map(|r| route(r.value, &names, &identity, context)).collect(),
        identity,
    };
    Policy::new(model).ok()
}

/// What routes may refer to; wrong sections count, so that one error does not cause others.
struct Names {
    upstreams: Vec<String>,
    limits: Vec<String>,
}

fn upstreams(
    sections: Named<UpstreamSection>,
    context: &mut Context<'_>,
) -> BTreeMap<String, Upstream> {
    let mut upstreams = BTreeMap::new();
    for (name, section) in sections.0 {
        let Some(section) = section else { continue };
        if section.servers.value.is_empty() {
            context.report(
                section.servers.span,
                format!("the upstream `{}` has no server", name.value),
                "name at least one `host:port`",
            );
        }
        let servers = section.servers.value.into_iter().map(|address| address.0).collect();
        upstreams.insert(name.value, Upstream { servers });
    }
    upstreams
}

/// In the order of their names; a wrong one leaves a gap that no route of a good policy sees.
fn limits(sections: Named<LimitSection>, context: &mut Context<'_>) -> Vec<Limit> {
    let mut limits = Vec::new();
    for (name, section) in sections.0 {
        if let Err(bad) = check_name(&name.value) {
            context.report(name.span, bad.message, bad.hint);
        }
        let Some(section) = section else { continue };
        limits.push(Limit {
            name: name.value,
            quota: section.limit.quota,
            window: section.limit.window,
            block: section.block.map(|Ttl(block)| block),
            algorithm: section.algorithm.unwrap_or(Algorithm::FixedWindow),
            key: match section.key {
                parts if parts.is_empty() => {
                    Vec::from([KeyPart::Identity, KeyPart::ClientIp, KeyPart::Anonymous])
                }
                parts => parts,
            },
        });
    }
    limits
}

fn route(
    section: RouteSection,
    names: &Names,
    identity: &IdentityRule,
    context: &mut Context<'_>,
) -> Route {
    let RouteSection { name, pattern, hosts, upstream, limits, key, edge, origin, browser } =
        section;
    if let Some(upstream) = &upstream {
        refer(upstream, &names.upstreams, "upstream", context);
    }
    let limits =
        limits.iter().filter_map(|limit| refer(limit, &names.limits, "limit", context)).collect();
    let key = key.unwrap_or(Located { value: KeySection::default(), span: pattern.span.clone() });
    check_key(&key, &pattern.value, identity, context);
    let KeySection { name: key_name, query, sort_query, headers, identity } = key.value;
    let mut headers: Vec<String> = headers.into_iter().map(|header| header.0).collect();
    headers.sort_unstable();
    headers.dedup();
    let rule = KeyRule {
        query: query.unwrap_or(QueryRule::All),
        sort_query,
        headers,
        identity: identity || key_name.as_ref().is_some_and(Template::names_user),
    };
    Route {
        name: name.value.0,
        pattern: pattern.value,
        hosts: hosts.into_iter().map(|host| host.0).collect(),
        upstream: upstream.map(|upstream| upstream.value),
        limits,
        key_name,
        edge: edge.and_then(|section| cache_rule(section, Tier::Edge, &rule, context)),
        origin: origin.and_then(|section| cache_rule(section, Tier::Origin, &rule, context)),
        browser: browser.map(|section| BrowserRule { cache_control: section.cache_control }),
    }
}

/// The position of what `reference` names among `known`, which is sorted.
fn refer(
    reference: &Located<String>,
    known: &[String],
    kind: &str,
    context: &mut Context<'_>,
) -> Option<usize> {
    let position = known.iter().position(|name| *name == reference.value);
    if position.is_none() {
        let hint = spelling::hint(&reference.value, known.iter().map(String::as_str));
        context.report(
            reference.span.clone(),
            format!("no {kind} is named `{}`", reference.value),
            hint,
        );
    }
    position
}

fn check_key(
    key: &Located<KeySection>,
    pattern: &Pattern,
    identity: &IdentityRule,
    context: &mut Context<'_>,
) {
    let names_user = key.value.name.as_ref().is_some_and(Template::names_user);
    if (names_user || key.value.identity) && *identity == IdentityRule::default() {
        context.report(
            key.span.clone(),
            "the key has the user in it, but nothing says who that is",
            "add `[identity]` with `credential = \"authorization\"`",
        );
    }
    for parameter in key.value.name.iter().flat_map(Template::parameters) {
        if !pattern.parameters().any(|known| known == parameter) {
            let known: Vec<_> = pattern.parameters().chain(["user"]).collect();
            let hint = spelling::hint(parameter, known.iter().copied());
            context.report(
                key.span.clone(),
                format!("`{pattern}` has no parameter `{parameter}`"),
                hint,
            );
        }
    }
}

fn cache_rule(
    section: Located<CacheSection>,
    tier: Tier,
    key: &KeyRule,
    context: &mut Context<'_>,
) -> Option<CacheRule> {
    let CacheSection::Cache(table) = section.value else { return None };
    let CacheTable {
        mode,
        ttl,
        stale_while_revalidate,
        stale_if_error,
        client_directives,
        unsafe_ignore,
    } = table;
    let ModeWord::Cache(mode) = mode else { return None };
    let tier = tier.as_str();
    match (mode, ttl) {
        (Mode::Default | Mode::Override, None) => {
            let word = if mode == Mode::Override { "override" } else { "default" };
            context.report(
                section.span,
                format!("the mode `{word}` needs a `ttl`"),
                format!("write `{tier} = {{ mode = \"{word}\", ttl = \"5m\" }}`, or `{tier} = \"respect\"`"),
            );
        }
        (Mode::Respect, Some(_)) => context.report(
            section.span,
            "a `ttl` means nothing under the mode `respect`, where the origin's word counts",
            "use the mode `default` to set it where the origin is silent, or `override`",
        ),
        _ => {}
    }
    let client_directives = client_directives.unwrap_or(match mode {
        Mode::Respect => ClientDirectives::Honour,
        Mode::Default | Mode::Override => ClientDirectives::Ignore,
    });
    Some(CacheRule {
        mode,
        ttl: ttl.map(|Ttl(ttl)| ttl),
        stale_while_revalidate: stale_while_revalidate.map(|Ttl(window)| window),
        stale_if_error: stale_if_error.map(|Ttl(window)| window),
        client_directives,
        unsafe_ignore,
        key: key.clone(),
    })
}

/// Routes must have names of their own, and no two may match the same requests.
fn refuse_twins(routes: &[Located<RouteSection>], context: &mut Context<'_>) {
    for (at, Located { value: route, .. }) in routes.iter().enumerate() {
        let earlier = routes[..at].iter().map(|earlier| &earlier.value);
        if earlier.clone().any(|earlier| earlier.name.value.0 == route.name.value.0) {
            let message = format!("the route name `{}` is taken", route.name.value.0);
            context.report(route.name.span.clone(), message, "give each route a name of its own");
        }
        for earlier in earlier {
            if let Some(shared) = overlap(earlier, route) {
                context.report(
                    route.pattern.span.clone(),
                    format!("`{}` matches what the route `{}` matches{shared}", route.pattern.value, earlier.name.value.0),
                    "make one of them more specific, or join them: the order of routes means nothing",
                );
            }
        }
    }
}

/// Whether two routes are equally specific and match common requests; where, in words.
fn overlap(one: &RouteSection, two: &RouteSection) -> Option<String> {
    if !one.pattern.value.is_alike(&two.pattern.value) {
        return None;
    }
    match (one.hosts.is_empty(), two.hosts.is_empty()) {
        (true, true) => Some(String::new()),
        (false, false) => {
            let shared =
                one.hosts.iter().find(|host| two.hosts.iter().any(|other| other.0 == host.0));
            shared.map(|host| format!(" on `{}`", host.0))
        }
        // The one with hosts is the more specific.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    /// `line:column message` of every error.
    fn errors(source: &str) -> Vec<String> {
        let Err(report) = read(source, &|_| None) else { return Vec::new() };
        let line = |d| {
            let place = report.place(d);
            alloc::format!("{}:{} {}", place.line, place.column, d.message)
        };
        report.diagnostics().iter().map(line).collect()
    }

    #[test]
    fn all_errors_are_reported_at_once_each_at_its_place() {
        let source = r#"schema = 2
[upstreams.base]
servers = ["127.0.0.1"]
[limits.standard]
limit = "100/60s"
[[routes]]
name = "a"
match = "/a/:id"
upstream = "bsae"
limit = ["standart", "standard"]
key = "a:{ident}"
edge = { mode = "overide", ttl = 60 }
origin = { mode = "override" }
browser = "1 day"
[[routes]]
name = "a"
match = "/a/:other"
tll = "1d"
"#;
        assert_eq!(
            errors(source),
            [
                "1:10 schema 2 is not known",
                "3:12 `127.0.0.1` is no address with a port",
                "5:9 `100/60s` is no limit",
                "9:12 no upstream is named `bsae`",
                "10:10 no limit is named `standart`",
                "11:7 `/a/:id` has no parameter `ident`",
                "12:17 `overide` is no mode",
                "12:34 expected a string, found an integer",
                "13:10 the mode `override` needs a `ttl`",
                "14:11 `1 day` has no unit",
                "16:8 the route name `a` is taken",
                "17:9 `/a/:other` matches what the route `a` matches",
                "18:1 a route has no field `tll`",
            ]
        );
    }

    #[test]
    fn a_report_reads_like_a_compilers() {
        let report = read("schema = 1\n[limts.x]\n", &|_| None).unwrap_err();
        assert_eq!(
            report.display("tidegate.toml").to_string(),
            "tidegate.toml:2:2: the policy has no field `limts`\n    \
             2 | [limts.x]\n      |  ^^^^^\n      = hint: did you mean `limits`?\n\n\
             tidegate.toml: 1 error\n"
        );
    }

    #[test]
    fn what_is_not_toml_is_reported_at_its_place() {
        assert_eq!(errors("schema = \n").len(), 1);
        assert!(errors("schema = \n")[0].starts_with("1:"));
    }

    #[test]
    fn a_user_in_the_key_needs_an_identity() {
        let source = "schema = 1\n[[routes]]\nname = \"a\"\nmatch = \"/a\"\nkey = \"a:{user}\"\n";
        assert_eq!(
            errors(source),
            ["5:7 the key has the user in it, but nothing says who that is"]
        );
    }

    #[test]
    fn c2b_values_come_from_the_environment() {
        let source = "schema = 1\n[[routes]]\nname = \"a\"\nmatch = \"/a\"\norigin = { mode = \"default\", ttl = \"${CACHE_TTL_SHORT:-60}s\" }\n";
        let ttl = |environment: &dyn Fn(&str) -> Option<String>| {
            let policy = read(source, environment).unwrap();
            policy.model().routes[0].origin.as_ref().unwrap().ttl.unwrap().as_secs()
        };
        assert_eq!(ttl(&|_| None), 60);
        assert_eq!(ttl(&|name| (name == "CACHE_TTL_SHORT").then(|| "90".into())), 90);
    }

    #[test]
    fn the_canonical_json_gives_the_same_policy_again() {
        let source = include_str!("../../../tidegate.toml");
        let policy = read(source, &|_| None).unwrap();
        let again = crate::Policy::from_json(&policy.to_json()).unwrap();
        assert_eq!(again.model(), policy.model());
        assert_eq!(again.hash(), policy.hash());
    }
}
