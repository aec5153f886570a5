//! Finds what a policy says that is allowed and probably not meant.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::diagnostic::Diagnostic;
use super::lints::Lint;
use super::places::Places;
use crate::compress::{Coding, CodingRule};
use crate::key::{KeyRule, QueryRule};
use crate::policy::{Listen, Model, Route, TrustedProxy};
use crate::rate::{EdgeStore, KeyPart, Limit, OriginStore};
use crate::rule::{CacheRule, Mode};

/// Finds what to warn of, in the order of the lints.
pub(super) fn lint(model: &Model, places: &Places) -> Vec<Diagnostic> {
    let mut linter = Linter { places, found: Vec::new() };
    for (at, route) in model.routes.iter().enumerate() {
        linter.route(route, &format!("routes.{at}"), model);
    }
    model.limits.iter().for_each(|limit| linter.limit(limit));
    linter.trust(model);
    linter.listeners(model);
    linter.compression(model);
    linter.unused(model);
    linter.found
}

struct Linter<'a> {
    places: &'a Places,
    found: Vec<Diagnostic>,
}

impl Linter<'_> {
    fn warn(&mut self, lint: Lint, path: &str, message: String, hint: &str) {
        self.found.push(Diagnostic {
            span: self.places.span(path),
            lint: Some(lint),
            message,
            hint: hint.into(),
        });
    }

    fn route(&mut self, route: &Route, path: &str, model: &Model) {
        let tiers = [("edge", &route.edge), ("origin", &route.origin)];
        for (tier, rule) in tiers {
            for risk in rule.iter().flat_map(|rule| &rule.unsafe_ignore) {
                self.warn(
                    Lint::UnsafeIgnore,
                    &format!("{path}.{tier}.unsafe_ignore"),
                    format!(
                        "the route `{}` ignores `{}`: everybody gets what it protects",
                        route.name,
                        risk.as_str()
                    ),
                    "leave it out, unless the origin says so by mistake and cannot be changed",
                );
            }
        }
        if route.unsafe_stale_while_open {
            self.warn(
                Lint::StaleWhileOpen,
                &format!("{path}.unsafe_stale_while_open"),
                format!("`{}` serves stale what the origin forbids to serve so", route.name),
                "leave it out, unless an old answer is better than none for all that is kept here",
            );
        }
        self.own_word(route, path, model);
        let Some(key) = tiers.iter().find_map(|(_, rule)| rule.as_ref()).map(|rule| &rule.key)
        else {
            return;
        };
        self.told_in_public(route, path, key.is_personal());
        let credential = model.identity.credential.as_deref();
        // What no token verifies is told apart by its Authorization, too.
        let by_token = model.identity.jwt.is_some();
        self.key(key, path, by_token || credential == Some("authorization"));
        self.query(route, path, &key.query);
        if let Some(rule) = &route.edge {
            self.edge(route, rule, path);
        }
    }

    fn own_word(&mut self, route: &Route, path: &str, model: &Model) {
        let is_own_word =
            |limit: &Limit| matches!(limit.key[..], [KeyPart::Header(_) | KeyPart::Cookie(_), ..]);
        let mut limits = route.limits.iter().filter_map(|at| model.limits.get(*at)).peekable();
        if limits.peek().is_some() && limits.all(is_own_word) {
            self.warn(
                Lint::OwnWord,
                &format!("{path}.limit"),
                format!("`{}` is limited by what clients say of themselves alone", route.name),
                "name a limit with `key = \"client-ip\"` beside it",
            );
        }
    }

    fn key(&mut self, key: &KeyRule, path: &str, identity_is_authorization: bool) {
        let holds_authorization = key.headers.iter().any(|name| name == "authorization");
        let identity_is_other = key.identity && !identity_is_authorization;
        for name in &key.headers {
            let hint = match &**name {
                "cookie" => "name the cookies that matter: `cookies = [\"session\"]`",
                "user-agent" => "`device = true` tells four kinds of devices apart",
                "authorization" if !identity_is_other => {
                    "`identity = true` holds a hash of the credential"
                }
                _ => continue,
            };
            let message = format!("`{name}` differs from client to client");
            self.warn(Lint::WideHeader, &format!("{path}.key.headers"), message, hint);
        }
        if identity_is_other && !holds_authorization {
            self.warn(
                Lint::UnkeyedAuthorization,
                &format!("{path}.key"),
                "the key holds an identity that does not come from `Authorization`".into(),
                "add `headers = [\"authorization\"]` to the key, unless the origin never looks at it",
            );
        }
    }

    fn told_in_public(&mut self, route: &Route, path: &str, is_personal: bool) {
        let Some(browser) = route.browser.as_ref().filter(|_| is_personal) else { return };
        let is_public = browser.cache_control.starts_with("public");
        if is_public || browser.cdn.is_some() || browser.surrogate.is_some() {
            self.warn(
                Lint::PublicPersonal,
                &format!("{path}.browser"),
                format!(
                    "answers of `{}` are for some clients alone, and called public",
                    route.name
                ),
                "write `private-short`, or `scope = \"private\"`",
            );
        }
    }

    fn query(&mut self, route: &Route, path: &str, query: &QueryRule) {
        let authorises = |name: &str| {
            let name = name.to_ascii_lowercase();
            ["token", "sig", "auth", "key", "expires", "policy", "hmac", "jwt"]
                .into_iter()
                .any(|word| name.contains(word))
        };
        let guarded = route.pattern.as_str().split('/').any(|segment| {
            matches!(
                segment,
                "signed" | "private" | "secure" | "share" | "shared" | "download" | "auth"
            )
        });
        let suspect = match query {
            QueryRule::All => false,
            QueryRule::None => guarded,
            QueryRule::Only(names) => guarded && !names.iter().any(|name| authorises(name)),
            QueryRule::Except(names) => names.iter().any(|name| authorises(name)),
        };
        if suspect {
            self.warn(
                Lint::IgnoredAuthority,
                &format!("{path}.key.query"),
                format!("the key of `{}` leaves parameters out that may authorise", route.name),
                "let every parameter count that decides who may have the answer",
            );
        }
    }

    fn edge(&mut self, route: &Route, rule: &CacheRule, path: &str) {
        let edge = format!("{path}.edge");
        if rule.key.query != QueryRule::None && !rule.key.sort_query {
            self.warn(
                Lint::UnsortedQuery,
                &edge,
                format!("the query of `{}` counts in whatever order it comes", route.name),
                "write `key = { sort_query = true }`, or `query = \"none\"` where it means nothing",
            );
        }
        if rule.mode != Mode::Respect && rule.stale_if_error.is_none() {
            self.warn(
                Lint::NoStaleIfError,
                &edge,
                format!("`{}` has nothing to serve at the edge when the origin fails", route.name),
                "add `stale_if_error = \"1d\"`, or `\"0s\"` if an error is better than an old answer",
            );
        }
        let told = route.browser.as_ref().filter(|b| b.cdn.is_none() && b.surrogate.is_none());
        let is_open = |window: Option<Duration>| window.is_some_and(|window| !window.is_zero());
        let has_windows = is_open(rule.stale_while_revalidate) || is_open(rule.stale_if_error);
        if has_windows && told.is_some_and(|browser| browser.cache_control.contains("s-maxage=")) {
            self.warn(
                Lint::VoidStaleWindows,
                &format!("{path}.browser"),
                format!("`shared` makes the stale windows of `{}` at the edge void", route.name),
                "tell the edge its time by `cdn` beside `shared`, or leave `shared` out",
            );
        }
        if !route.tags.is_empty() {
            self.warn(
                Lint::TagsAtEdge,
                &format!("{path}.tags"),
                format!("the edge keeps answers of `{}`, and one data centre hears of an invalidation", route.name),
                "write `edge = \"bypass\"`, or a time at the edge that may pass until a change shows",
            );
        }
        if let Some(host) = route.hosts.iter().find(|host| host.ends_with(".workers.dev")) {
            self.warn(
                Lint::WorkersDev,
                &format!("{path}.host"),
                format!("nothing is kept at the edge on `{host}`"),
                "use a host of your own zone",
            );
        }
    }

    fn limit(&mut self, limit: &Limit) {
        let path = format!("limits.{}", limit.name);
        if limit.key == [KeyPart::Identity] || limit.key == [KeyPart::Identity, KeyPart::Anonymous]
        {
            self.warn(
                Lint::IdentityAlone,
                &format!("{path}.key"),
                format!("`{}` counts everybody whom nobody knows together", limit.name),
                "write `key = [\"identity\", \"client-ip\", \"anonymous\"]`",
            );
        }
        let in_one_object = limit.stores.edge == EdgeStore::Global;
        if in_one_object && f64::from(limit.quota.get()) > 1000.0 * limit.window.as_secs_f64() {
            self.warn(
                Lint::TooQuick,
                &format!("{path}.limit"),
                format!("`{}` allows one client more than 1,000 requests a second", limit.name),
                "name it on routes that bypass the edge, or lower it",
            );
        }
        if limit.stores.edge == EdgeStore::Colo && limit.block.is_some() {
            self.warn(
                Lint::BlockInColo,
                &format!("{path}.block"),
                format!("a block of `{}` is known to the isolate that began it", limit.name),
                "leave `block` out, or count in `global`, where all of the edge knows of it",
            );
        }
    }

    fn trust(&mut self, model: &Model) {
        let proxies = &model.shim.trusted_proxies;
        if model.identity.trusted_header.is_some() && proxies.is_empty() {
            self.warn(
                Lint::NobodyTrusted,
                "identity.trusted_header",
                "no proxy may write this field, so it never counts".into(),
                "name the proxy in `[shim] trusted_proxies`",
            );
        }
        if let Some(at) = proxies.iter().position(TrustedProxy::is_everybody) {
            self.warn(
                Lint::EverybodyTrusted,
                &format!("shim.trusted_proxies.{at}"),
                "this block holds every address, so that anyone may say who the client is".into(),
                "name the addresses of the proxies before the shim",
            );
        }
    }

    fn listeners(&mut self, model: &Model) {
        if model.shim.tls.is_some() && !model.shim.listen.iter().any(Listen::has_tls) {
            self.warn(
                Lint::PlainText,
                "shim.tls",
                "these certificates are shown to nobody".into(),
                "write `https://` before an address in `[shim] listen`",
            );
        }
    }

    /// Of each rule once, where it stands: that of the policy may be that of many routes.
    fn compression(&mut self, model: &Model) {
        let mut paths = Vec::new();
        for (at, route) in model.routes.iter().enumerate() {
            let Some(rule) = route.compression.and_then(|at| model.compression.get(at)) else {
                continue;
            };
            let own = format!("routes.{at}.compression");
            let path = match self.places.get(&own) {
                Some(_) => own,
                None => "compression".into(),
            };
            if paths.contains(&path) {
                continue;
            }
            if rule.personal {
                self.warn(
                    Lint::PersonalCompressed,
                    &format!("{path}.personal"),
                    "answers for one person are compressed, whatever stands in them".into(),
                    "say so on routes alone whose answers repeat nothing of the request",
                );
            }
            for CodingRule { coding, level } in &rule.codings {
                let slow = match coding {
                    Coding::Br => 10,
                    Coding::Zstd => 18,
                    Coding::Gzip => continue,
                };
                if *level >= slow {
                    self.warn(
                        Lint::SlowCompression,
                        &format!("{path}.levels.{}", coding.as_str()),
                        format!("{} at level {level} takes seconds", coding.as_str()),
                        "such levels are for files compressed beforehand; leave it out here",
                    );
                }
            }
            paths.push(path);
        }
    }

    fn unused(&mut self, model: &Model) {
        let routes = &model.routes;
        let mut unused = Vec::new();
        for (at, limit) in model.limits.iter().enumerate() {
            if !routes.iter().any(|route| route.limits.contains(&at)) {
                unused.push(("limit", format!("limits.{}", limit.name), &limit.name));
            }
        }
        for (at, zone) in model.zones.iter().enumerate() {
            if !routes.iter().any(|route| route.zone == Some(at)) {
                unused.push(("zone", format!("zones.{}", zone.name), &zone.name));
            }
        }
        for name in model.upstreams.keys().chain(model.folders.keys()) {
            if !routes.iter().any(|route| route.upstream.as_ref() == Some(name)) {
                unused.push(("upstream", format!("upstreams.{name}"), name));
            }
        }
        let in_redis = |limit: &Limit| limit.stores.origin == OriginStore::Redis;
        if model.redis.is_some() && !model.limits.iter().any(in_redis) {
            let message = String::from("nothing is kept in `[redis]`");
            let hint = "give a limit `store = \"redis\"`, or leave it out";
            self.warn(Lint::Unused, "redis", message, hint);
        }
        for (kind, path, name) in unused {
            let message = format!("no route names the {kind} `{name}`");
            self.warn(Lint::Unused, &path, message, "name it on a route, or leave it out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_closely;
    use super::Lint;
    use alloc::string::String;
    use alloc::vec::Vec;

    /// `code line:column` of every warning.
    fn warnings(source: &str) -> Vec<String> {
        let reading = read_closely(source, &|_| None).unwrap_or_else(|report| panic!("{report}"));
        let report = reading.warnings;
        let line = |d| {
            let place = report.place(d);
            alloc::format!("{} {}:{}", d.lint.unwrap().code(), place.line, place.column)
        };
        report.diagnostics().iter().map(line).collect()
    }

    /// A route with these lines, behind these sections.
    fn with_route(sections: &str, route: &str) -> String {
        alloc::format!(
            "schema = 1\n{sections}[[routes]]\nname = \"a\"\nmatch = \"/signed/:id\"\n{route}"
        )
    }

    #[test]
    fn each_warning_has_its_code_and_its_place() {
        let auth = "[identity]\ncredential = \"authorization\"\n";
        let other = "[identity]\ncredential = \"x-session\"\n";
        let proxies = "[shim]\ntrusted_proxies = [\"10.0.0.1\", \"0.0.0.0/0\"]\n";
        let header = "[identity]\ntrusted_header = \"x-user\"\n";
        let kept = "origin = { mode = \"default\", ttl = \"1m\" }\n";
        let taken = "origin = { mode = \"default\", ttl = \"1m\", unsafe_ignore = [\"private\"] }";
        let edge = "edge = { mode = \"override\", ttl = \"1m\" }\n";
        let sorted = "key = { sort_query = true }\n";
        let safe = "edge = { mode = \"override\", ttl = \"1m\", stale_if_error = \"1m\" }\n";
        let limit = |limit: &str, key: &str| {
            alloc::format!("[limits.x]\nlimit = \"{limit}\"\nkey = \"{key}\"\n")
        };
        let by_identity = limit("5 per 1m", "identity");
        let by_header = limit("5 per 1m", "header:x-api-key");
        let too_quick = limit("5000 per 1s", "client-ip");
        let in_colo = "[limits.x]\nlimit = \"5 per 10s\"\nblock = \"1m\"\nstore = \"colo\"\n";
        let cases: [(&str, &[&str], &str); 26] = [
            ("", &[taken], "TG101 5:58"),
            (auth, &[kept, "key = { identity = true }\nbrowser = \"1m\""], "TG102 9:11"),
            ("", &[kept, "key = { cookies = \"s\" }\nbrowser = \"tiered\""], "TG102 7:11"),
            ("", &[safe], "TG103 5:8"),
            ("", &[sorted, edge], "TG104 6:8"),
            ("", &[sorted, safe, "browser = { ttl = \"1m\", shared = \"1h\" }"], "TG105 7:11"),
            ("", &[kept, "key = { headers = \"user-agent\" }"], "TG106 6:19"),
            ("", &[kept, "key = { headers = [\"Cookie\"] }"], "TG106 6:19"),
            (other, &[kept, "key = { identity = true }"], "TG107 8:7"),
            ("", &[kept, "key = { query = { except = [\"api_key\"] } }"], "TG108 6:17"),
            ("", &[kept, "key = { query = \"none\" }"], "TG108 6:17"),
            ("", &[sorted, safe, kept, "tags = \"t:{id}\""], "TG109 8:8"),
            ("", &[sorted, safe, "host = \"a.b.workers.dev\""], "TG110 7:8"),
            (&by_identity, &["limit = \"x\""], "TG201 4:7"),
            (&too_quick, &["limit = \"x\""], "TG202 3:9"),
            (&by_header, &["limit = \"x\""], "TG203 8:9"),
            (in_colo, &["limit = \"x\""], "TG204 4:9"),
            (header, &[], "TG301 3:18"),
            (proxies, &[], "TG302 3:32"),
            ("[compression]\npersonal = true\n", &[], "TG303 3:12"),
            ("", &["compression = { levels = { br = 11 } }"], "TG402 5:33"),
            ("[compression]\nlevels = { br = 5, zstd = 19 }\n", &[], "TG402 3:27"),
            ("[limits.x]\nlimit = \"5 per 1m\"\n", &[], "TG401 2:1"),
            ("[zones.x]\nbytes = \"1MB\"\n", &[], "TG401 2:1"),
            ("[upstreams.x]\nservers = \"a:1\"\n", &[], "TG401 2:1"),
            ("[upstreams.x]\nfiles = \"dist\"\n", &[], "TG401 2:1"),
        ];
        for (sections, route, expected) in cases {
            let source = with_route(sections, &route.concat());
            assert_eq!(warnings(&source), [expected], "{source}");
        }
    }

    #[test]
    fn what_is_meant_warns_of_nothing() {
        let sections = "[identity]\ncredential = \"authorization\"\n\
            [limits.x]\nlimit = \"5 per 1m\"\n";
        let route = "limit = \"x\"\nkey = { name = \"a:{user}\", sort_query = true }\n\
            edge = { mode = \"override\", ttl = \"1m\", stale_if_error = \"0s\" }\n\
            browser = \"private-short\"\n";
        assert_eq!(warnings(&with_route(sections, route)), [""; 0]);
    }

    #[test]
    fn codes_are_told_apart() {
        let codes: Vec<_> = Lint::ALL.iter().map(|lint| lint.code()).collect();
        assert!(codes.is_sorted_by(|one, two| one < two), "{codes:?}");
    }

    #[test]
    fn a_warning_reads_like_an_error_with_its_code() {
        let source = "schema = 1\n[limits.x]\nlimit = \"5 per 1m\"\n";
        let report = read_closely(source, &|_| None).unwrap().warnings;
        let text = alloc::format!("{}", report.display("tidegate.toml"));
        assert!(text.starts_with("tidegate.toml:2:"), "{text}");
        assert!(text.contains(": warning TG401: no route names the limit `x`\n"), "{text}");
        assert!(text.ends_with("\n\ntidegate.toml: 1 warning\n"), "{text}");
    }
}
