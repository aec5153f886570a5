//! From sections to the policy: references are followed, defaults filled in, and whatever
//! contradicts itself is an error at its place.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use super::caching::{CacheSection, CacheTable, KeySection, ModeWord};
use super::compression::Rules;
use super::cors::{self, RouteCors};
use super::decode::{Context, Located, Named};
use super::sections::{Document, RouteSection, ZoneSection};
use super::values::{Ttl, TtlClasses, check_name};
use super::{
    cache, edge, edge_cache, jwt, limits, operation, redis, spelling, tls, twins, upstreams,
};
use crate::cors::CorsRule;
use crate::key::{KeyRule, QueryRule};
use crate::policy::{
    IdentityRule, Maintenance, Model, Pattern, Policy, Route, SCHEMA, Shim, Template, Tier, Zone,
};
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
    let mut routes = document.routes.0;
    twins::refuse(&routes, context);
    let identity = document.identity.map_or_else(IdentityRule::default, |section| IdentityRule {
        credential: section.credential.map(|name| name.0),
        trusted_header: section.trusted_header.map(|name| name.0),
        jwt: section.jwt.map(|jwt| jwt::resolve(jwt, &routes, context)),
    });
    let mut compression = Rules::new(document.compression, context);
    let compressed: Vec<Option<usize>> =
        routes.iter_mut().map(|r| compression.of(r.value.compression.take(), context)).collect();
    let cors = document.cors.map(|section| cors::resolve(section, context));
    let cors: Vec<Option<CorsRule>> = routes
        .iter_mut()
        .map(|r| match r.value.cors.take() {
            None => cors.clone(),
            Some(RouteCors::Off) => None,
            Some(RouteCors::Table(section)) => Some(cors::resolve(section, context)),
        })
        .collect();
    let edge = edge::resolve(document.edge, context);
    let shim = document.shim.map_or_else(Shim::default, |section| {
        let Located { value: require_edge_signature, span } = section.require_edge_signature;
        if require_edge_signature && edge.signature.is_none() {
            let hint = "name the keys in `[edge] signature`";
            context.report(span, "there is no signature to require", hint);
        }
        Shim {
            listen: tls::listen(section.listen, section.tls.is_some(), context),
            tls: section.tls.map(|section| tls::resolve(section, context)),
            connections: section.connections.map(|count| count.0),
            trusted_proxies: section.trusted_proxies,
            require_edge_signature,
            max_body: section.max_body.map(|bytes| bytes.0),
            forwarded: section.forwarded,
            log: section.log.unwrap_or_default(),
            tracing: section.tracing,
        }
    });
    let redis = document.redis.map(|section| redis::resolve(section, context));
    let (upstreams, folders) = upstreams::resolve(document.upstreams, context);
    let model = Model {
        schema: SCHEMA,
        shim,
        edge,
        admin: document.admin.map(|section| operation::admin(section, context)),
        maintenance: match document.maintenance {
            Some(section) => operation::maintenance(section, context),
            None => Maintenance::default(),
        },
        upstreams,
        folders,
        limits: limits::resolve(document.limits, redis.is_some(), context),
        redis,
        cache: cache::resolve(document.cache, context),
        zones: zones(document.zones, context),
        headers: document.headers.0,
        routes: routes
            .into_iter()
            .zip(compressed.into_iter().zip(cors))
            .map(|(r, (compression, cors))| Route {
                compression,
                cors,
                ..route(r.value, &names, &identity, context)
            })
            .collect(),
        compression: compression.into_list(),
        identity,
    };
    Policy::new(model).ok().map(Policy::with_terms)
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
    let (kept_by_shim, kept_at_the_edge) = (keeps(&origin), keeps(&edge));
    if let Some(zone) = zone.as_ref().filter(|_| !kept_by_shim) {
        context.report(
            zone.span.clone(),
            "a zone means nothing on a route that the shim does not cache",
            "give the route an `origin` rule: the edge has no zones",
        );
    }
    let Located { value: shadow, span } = section.shadow;
    if shadow && !kept_by_shim {
        context.report(
            span,
            "`shadow` means nothing on a route that the shim does not cache",
            "give the route an `origin` rule",
        );
    }
    if !tags.value.is_empty() && !kept_by_shim && !kept_at_the_edge {
        context.report(
            tags.span.clone(),
            "tags mean nothing on a route that nobody caches",
            "give the route an `origin` or an `edge` rule, or leave them out",
        );
    }
    if section.unsafe_stale_while_open.value && !kept_by_shim {
        context.report(
            section.unsafe_stale_while_open.span,
            "nothing stale is served on a route that the shim does not cache",
            "give the route an `origin` rule, or leave it out",
        );
    }
    let zone = match zone {
        Some(zone) => refer(&zone, &names.zones, "zone", context),
        None => names.zones.iter().position(|name| name == DEFAULT_ZONE).filter(|_| kept_by_shim),
    };
    let zone_ttl = zone.and_then(|at| names.zone_ttls.get(at).copied().flatten());
    for templates in [&tags, &invalidates] {
        for template in &templates.value {
            check_places(template, &templates.span, &pattern.value, identity, context);
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
        claims: key_name.as_ref().map(claims).unwrap_or_default(),
    };
    let edge = edge.and_then(|section| cache_rule(section, Tier::Edge, &rule, None, context));
    if let Some(cache) = &section.edge_cache {
        edge_cache::check(cache, edge.as_ref(), (&name.value.0, hosts.len()), context);
    }
    Route {
        name: name.value.0,
        pattern: pattern.value,
        hosts: hosts.into_iter().map(|host| host.0).collect(),
        upstream: upstream.map(|upstream| upstream.value),
        limits,
        key_name,
        zone,
        max_body: section.max_body.map(|bytes| bytes.0),
        unsafe_stale_while_open: section.unsafe_stale_while_open.value,
        tags: tags.value,
        invalidates: invalidates.value,
        // Set by whoever knows the rules of all routes.
        compression: None,
        cors: None,
        headers: answer_fields.0,
        edge,
        edge_cache: section.edge_cache.map(|cache| cache.value).unwrap_or_default(),
        origin: origin
            .and_then(|section| cache_rule(section, Tier::Origin, &rule, zone_ttl, context)),
        shadow,
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

/// The claims in a name, sorted, each once.
pub(super) fn claims(name: &Template) -> Vec<String> {
    let mut claims: Vec<String> = name.claims().map(String::from).collect();
    claims.sort_unstable();
    claims.dedup();
    claims
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
        check_places(name, &key.span, pattern, identity, context);
    }
}

fn nobody_known(span: &Range<usize>, what: &str, context: &mut Context<'_>) {
    context.report(
        span.clone(),
        format!("{what} has the user in it, but nothing says who that is"),
        "add `[identity]` with `credential = \"authorization\"`, or `[identity.jwt]`",
    );
}

/// What is to be filled into `template` must be in the pattern, or in a token.
fn check_places(
    template: &Template,
    span: &Range<usize>,
    pattern: &Pattern,
    identity: &IdentityRule,
    context: &mut Context<'_>,
) {
    if let Some(claim) = template.claims().next().filter(|_| identity.jwt.is_none()) {
        context.report(
            span.clone(),
            format!("`{{claim:{claim}}}` is filled from tokens, but nothing verifies them"),
            "add `[identity.jwt]`",
        );
    }
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

#[cfg(test)]
mod tests;
