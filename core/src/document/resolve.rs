//! From sections to the policy: references are followed, defaults filled in, and whatever
//! contradicts itself is an error at its place.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::caching::{CacheSection, CacheTable, KeySection, ModeWord};
use super::decode::{Context, Located, Named};
use super::sections::{Document, LimitSection, RouteSection, UpstreamSection, ZoneSection};
use super::spelling;
use super::values::{Ttl, TtlClasses, check_name};
use crate::key::{KeyRule, QueryRule};
use crate::policy::{
    IdentityRule, Model, Pattern, Policy, Route, SCHEMA, Shim, Template, Tier, Upstream, Zone,
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
    let names = Names {
        upstreams: document.upstreams.names(),
        limits: document.limits.names(),
        zones: document.zones.names(),
        zone_ttls: zone_ttls(&document.zones),
    };
    // Whoever named a time has got it from the context.
    let TtlClasses = document.ttl;
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
        zones: zones(document.zones, context),
        headers: document.headers.0,
        routes: routes.into_iter().map(|r| route(r.value, &names, &identity, context)).collect(),
        identity,
    };
    Policy::new(model).ok()
}

/// What routes may refer to; wrong sections count, so that one error does not cause others.
struct Names {
    upstreams: Vec<String>,
    limits: Vec<String>,
    zones: Vec<String>,
    zone_ttls: Vec<Option<Duration>>,
}

/// Which routes without a zone share, where it is defined.
const DEFAULT_ZONE: &str = "default";

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
        let algorithm = section.algorithm.unwrap_or(Algorithm::FixedWindow);
        if let Some(burst) = section.burst.as_ref().filter(|_| algorithm != Algorithm::Gcra) {
            context.report(
                burst.span.clone(),
                "a `burst` means nothing without the even pace of `gcra`",
                "add `algorithm = \"gcra\"`, or leave `burst` out",
            );
        }
        limits.push(Limit {
            name: name.value,
            quota: section.limit.quota,
            window: section.limit.window,
            burst: section.burst.map_or(0, |burst| burst.value),
            block: section.block.map(|Ttl(block)| block),
            algorithm,
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

fn zone_ttls(sections: &Named<ZoneSection>) -> Vec<Option<Duration>> {
    let ttl = |section: &ZoneSection| section.ttl.map(|Ttl(ttl)| ttl);
    sections.0.iter().map(|(_, section)| section.as_ref().and_then(ttl)).collect()
}

/// In the order of their names; a wrong one leaves a gap that no route of a good policy sees.
fn zones(sections: Named<ZoneSection>, context: &mut Context<'_>) -> Vec<Zone> {
    let mut zones = Vec::new();
    for (name, section) in sections.0 {
        if let Err(bad) = check_name(&name.value) {
            context.report(name.span, bad.message, bad.hint);
        }
        let Some(ZoneSection { bytes, capacity, ttl: _ }) = section else { continue };
        if bytes.value.0 < ZONE_MIN {
            context.report(
                bytes.span,
                format!("the zone `{}` would hold next to nothing", name.value),
                "give it 64kB at least",
            );
        }
        let capacity = capacity.map(|capacity| capacity.0);
        zones.push(Zone { name: name.value, bytes: bytes.value.0, capacity });
    }
    zones
}

/// The smallest zone that makes sense, in bytes.
const ZONE_MIN: u64 = 64_000;

fn route(
    section: RouteSection,
    names: &Names,
    identity: &IdentityRule,
    context: &mut Context<'_>,
) -> Route {
    let RouteSection { name, pattern, hosts, upstream, limits, key, zone, .. } = section;
    let RouteSection { tags, invalidates, edge, origin, browser, headers: answer_fields, .. } =
        section;
    if let Some(upstream) = &upstream {
        refer(upstream, &names.upstreams, "upstream", context);
    }
    let limits =
        limits.iter().filter_map(|limit| refer(limit, &names.limits, "limit", context)).collect();
    let key = key.unwrap_or(Located { value: KeySection::default(), span: pattern.span.clone() });
    let keeps = |tier: &Option<Located<CacheSection>>| {
        matches!(tier, Some(Located { value: CacheSection::Cache(_), .. }))
    };
    let kept_by_shim = keeps(&origin);
    if let Some(zone) = zone.as_ref().filter(|_| !kept_by_shim) {
        context.report(
            zone.span.clone(),
            "a zone means nothing on a route that the shim does not cache",
            "give the route an `origin` rule: the edge has no zones",
        );
    }
    if !tags.value.is_empty() && !kept_by_shim {
        context.report(
            tags.span.clone(),
            "tags mean nothing on a route that the shim does not cache",
            "give the route an `origin` rule: the edge hears of no invalidation",
        );
    }
    let zone = match zone {
        Some(zone) => refer(&zone, &names.zones, "zone", context),
        None => names.zones.iter().position(|name| name == DEFAULT_ZONE).filter(|_| kept_by_shim),
    };
    let zone_ttl = zone.and_then(|at| names.zone_ttls.get(at).copied().flatten());
    for templates in [&tags, &invalidates] {
        for template in &templates.value {
            check_places(template, &templates.span, &pattern.value, context);
        }
    }
    check_key(&key, &pattern.value, identity, context);
    let names_user = tags.value.iter().chain(&invalidates.value).any(Template::names_user);
    if names_user && *identity == IdentityRule::default() {
        let span = if tags.value.is_empty() { &invalidates.span } else { &tags.span };
        nobody_known(span, "the tag", context);
    }
    let KeySection { name: key_name, query, sort_query, headers, cookies, device, identity } =
        key.value;
    let rule = KeyRule {
        query: query.unwrap_or(QueryRule::All),
        sort_query,
        headers: sorted(headers.into_iter().map(|header| header.0)),
        cookies: sorted(cookies.into_iter().map(|cookie| cookie.0)),
        device,
        identity: identity || key_name.as_ref().is_some_and(Template::names_user),
    };
    Route {
        name: name.value.0,
        pattern: pattern.value,
        hosts: hosts.into_iter().map(|host| host.0).collect(),
        upstream: upstream.map(|upstream| upstream.value),
        limits,
        key_name,
        zone,
        tags: tags.value,
        invalidates: invalidates.value,
        headers: answer_fields.0,
        edge: edge.and_then(|section| cache_rule(section, Tier::Edge, &rule, None, context)),
        origin: origin
            .and_then(|section| cache_rule(section, Tier::Origin, &rule, zone_ttl, context)),
        browser: browser.map(|section| section.0),
    }
}

/// Sorted and without doubles, so that what means the same is the same.
fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: BTreeSet<String> = names.collect();
    names.into_iter().collect()
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
        nobody_known(&key.span, "the key", context);
    }
    if let Some(name) = &key.value.name {
        check_places(name, &key.span, pattern, context);
    }
}

fn nobody_known(span: &Range<usize>, what: &str, context: &mut Context<'_>) {
    context.report(
        span.clone(),
        format!("{what} has the user in it, but nothing says who that is"),
        "add `[identity]` with `credential = \"authorization\"`",
    );
}

/// What is to be filled into `template` must be in the pattern.
fn check_places(
    template: &Template,
    span: &Range<usize>,
    pattern: &Pattern,
    context: &mut Context<'_>,
) {
    for parameter in template.parameters() {
        if !pattern.parameters().any(|known| known == parameter) {
            let known: Vec<_> = pattern.parameters().chain(["user"]).collect();
            let hint = spelling::hint(parameter, known.iter().copied());
            context.report(
                span.clone(),
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
    zone_ttl: Option<Duration>,
    context: &mut Context<'_>,
) -> Option<CacheRule> {
    let CacheSection::Cache(table) = section.value else { return None };
    let CacheTable {
        mode,
        ttl,
        status_ttl,
        stale_while_revalidate,
        stale_if_error,
        client_directives,
        unsafe_ignore,
    } = table;
    let ModeWord::Cache(mode) = mode else { return None };
    let tier = tier.as_str();
    if mode == Mode::Respect && !status_ttl.0.is_empty() {
        context.report(
            section.span.clone(),
            "a `status_ttl` means nothing under the mode `respect`, where the origin's word counts",
            "use the mode `default` to set it where the origin is silent, or `override`",
        );
    }
    let ttl = ttl.map(|Ttl(ttl)| ttl).or(zone_ttl.filter(|_| mode != Mode::Respect));
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
        ttl,
        status_ttl: status_ttl.0,
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

    /// The only route of a policy of `routes` lines below a common head.
    fn only_route(lines: &str) -> crate::policy::Route {
        let head = "schema = 1\n[ttl]\nshort = \"${SHORT:-60}s\"\nlong = \"10m\"\n\
            [identity]\ncredential = \"authorization\"\n\
            [zones.main]\nbytes = \"1MB\"\ncapacity = 50000\nttl = \"1h\"\n\
            [[routes]]\nname = \"a\"\nmatch = \"/teams/:id/x\"\n";
        let source = alloc::format!("{head}{lines}");
        let policy = read(&source, &|_| None).unwrap_or_else(|report| panic!("{report}"));
        policy.model().routes[0].clone()
    }

    #[test]
    fn c2b_times_have_names() {
        let route =
            only_route("origin = { mode = \"default\", ttl = \"short\" }\nbrowser = \"long\"");
        assert_eq!(route.origin.unwrap().ttl.unwrap().as_secs(), 60);
        assert_eq!(route.browser.unwrap().cache_control, "public, max-age=600");
        let source = "schema = 1\n[ttl]\nshort = \"1m\"\n1h = \"1s\"\nbad = \"x\"\n[[routes]]\n\
            name = \"a\"\nmatch = \"/a\"\nedge = { mode = \"override\", ttl = \"shrot\" }\n\
            origin = { mode = \"override\", ttl = \"bad\" }\n";
        assert_eq!(
            errors(source),
            [
                "4:1 `1h` would be taken for a time",
                "5:7 `x` is no duration",
                "9:35 `shrot` is no duration",
            ]
        );
    }

    #[test]
    fn times_may_differ_by_status() {
        let route = only_route(
            "origin = { mode = \"default\", ttl = \"5m\", status_ttl = { 404 = \"short\", 5xx = \"0s\" } }",
        );
        let rule = route.origin.unwrap();
        let seconds = |status| rule.ttl_for(status).map(|ttl| ttl.as_secs());
        assert_eq!(seconds(200), Some(300));
        assert_eq!(seconds(404), Some(60));
        assert_eq!(seconds(503), Some(0));
        assert_eq!(seconds(410), Some(60), "an error is never fresh for long");
        assert_eq!(seconds(302), None);
        assert!(rule.drops(503) && !rule.drops(404));
    }

    #[test]
    fn c8_a_zone_has_its_bounds_and_gives_its_routes_their_time() {
        let route = only_route("zone = \"main\"\norigin = { mode = \"default\" }");
        assert_eq!(route.zone, Some(0));
        assert_eq!(route.origin.unwrap().ttl.unwrap().as_secs(), 3600);
        assert_eq!(
            errors(
                "schema = 1\n[zones.x]\nbytes = \"1kB\"\ncapacity = 0\n[zones.y]\nbytes = \"1kB\"\n\
                 [[routes]]\nname = \"a\"\nmatch = \"/a\"\nzone = \"x\"\n"
            ),
            [
                "4:12 0 is not enough",
                "6:9 the zone `y` would hold next to nothing",
                "10:8 a zone means nothing on a route that the shim does not cache",
            ]
        );
    }

    #[test]
    fn c4_tags_are_filled_from_pattern_and_identity() {
        let route = only_route(
            "origin = { mode = \"default\", ttl = \"1m\" }\ntags = [\"team:{id}\", \"user:{user}\"]\n\
             invalidates = \"team:{id}\"",
        );
        assert_eq!(route.tags.len(), 2);
        assert_eq!(route.invalidates.len(), 1);
        assert_eq!(
            errors(
                "schema = 1\n[[routes]]\nname = \"a\"\nmatch = \"/a/:id\"\ntags = [\"t:{di}\"]\n\
                 invalidates = [\"u:{user}\"]\n"
            ),
            [
                "5:8 tags mean nothing on a route that the shim does not cache",
                "5:8 `/a/:id` has no parameter `di`",
                "5:8 the tag has the user in it, but nothing says who that is",
            ]
        );
    }

    #[test]
    fn c6_each_kind_of_cache_may_be_told_its_own_time() {
        let tiered = only_route("browser = \"tiered\"").browser.unwrap();
        let spelled = only_route(
            "browser = { ttl = \"10m\", shared = \"1h\", cdn = \"1d\", surrogate = \"1d\" }",
        );
        assert_eq!(spelled.browser.unwrap(), tiered);
        assert_eq!(tiered.cache_control, "public, s-maxage=3600, max-age=600");
        assert_eq!(tiered.cdn.as_deref(), Some("max-age=86400"));
        assert_eq!(tiered.surrogate.as_deref(), Some("max-age=86400"));
        let private = "schema = 1\n[[routes]]\nname = \"a\"\nmatch = \"/a\"\n\
            browser = { ttl = \"1m\", scope = \"private\", cdn = \"1d\" }\n";
        assert_eq!(
            errors(private),
            ["5:11 what is private to one browser cannot be kept by shared caches"]
        );
    }

    #[test]
    fn p4_fields_of_answers_are_checked() {
        let route = only_route("headers = { X-Frame-Options = \"DENY\" }");
        assert_eq!(route.headers["x-frame-options"], "DENY");
        assert_eq!(
            errors(
                "schema = 1\n[headers]\nCache-Control = \"x\"\nx-a = \"\\r\\n\"\n\"a b\" = \"x\"\n\
                 X-B = \"1\"\nx-b = \"2\"\n"
            ),
            [
                "3:1 `cache-control` cannot be set here: it says what the answer is, or how it travels",
                "4:7 `\\r\\n` is no value for `x-a`",
                "5:1 `a b` is no header field",
                "7:1 `x-b` stands twice",
            ]
        );
    }

    #[test]
    fn keys_hold_cookies_and_devices() {
        let route = only_route(
            "key = { cookies = [\"b\", \"a\", \"b\"], device = true }\norigin = \"respect\"",
        );
        let key = route.origin.unwrap().key;
        assert_eq!(key.cookies, ["a", "b"]);
        assert!(key.device && key.is_personal());
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
