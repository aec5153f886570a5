//! What a policy file says, and what is wrong with it.

use super::super::read;
use crate::policy::{EdgeCache, Policy};
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
fn r4_a_block_that_would_let_more_pass_than_the_limit_is_refused() {
    let with_block = |block| {
        let limit = "limit = \"10 per 5m\"\nalgorithm = \"sliding-window\"";
        errors(&alloc::format!("schema = 1\n[limits.a]\n{limit}\nblock = \"{block}\"\n"))
    };
    assert!(with_block("5m").is_empty() && with_block("1h").is_empty());
    assert_eq!(with_block("1m").len(), 1);
    assert!(with_block("1m")[0].starts_with("2:9 a `block` of 60s is shorter than the window"));
}

#[test]
fn r6_a_limit_remembers_a_bounded_number_of_clients() {
    let of = |clients: &str| {
        let limit = "[limits.a]\nlimit = \"10 per 60s\"";
        alloc::format!("schema = 1\n{limit}\nclients = {clients}\n")
    };
    let policy = read(&of("500"), &|_| None).unwrap();
    assert_eq!(policy.model().limits[0].clients.map(u32::from), Some(500));
    let again = Policy::from_json(&policy.to_json()).unwrap();
    assert_eq!(again.model().limits, policy.model().limits);
    assert!(errors(&of("10000001"))[0].starts_with("4:11 10000001 clients are more than"));
    assert!(errors(&of("0"))[0].starts_with("4:11 0 is not enough"));
}

#[test]
fn r5_spreading_needs_a_pace_and_a_queue() {
    let of = |lines: &str| {
        errors(&alloc::format!("schema = 1\n[limits.a]\nlimit = \"100 per 900s\"\n{lines}\n"))
    };
    assert!(of("algorithm = \"gcra\"\nburst = 9\nspread = true").is_empty());
    for lines in ["spread = true", "spread = true\nalgorithm = \"gcra\""] {
        assert!(of(lines)[0].starts_with("4:10 `spread` needs the even pace of `gcra`"), "{lines}");
    }
}

#[test]
fn the_stores_of_a_limit_are_one_word_or_one_for_each_tier() {
    let of = |lines: &str| {
        errors(&alloc::format!("schema = 1\n[limits.a]\nlimit = \"1 per 1s\"\n{lines}\n"))
    };
    for good in ["\"local\"", "\"global\"", "{ edge = \"local\", origin = \"local\" }"] {
        assert!(of(&alloc::format!("store = {good}")).is_empty(), "{good}");
    }
    assert_eq!(of("store = \"glocal\""), ["4:9 `glocal` is no store"]);
    let elsewhere = of("store = { origin = \"global\" }");
    assert!(elsewhere[0].starts_with("4:20 `global` is no store of the shim"), "{elsewhere:?}");
}

#[test]
fn a_limit_counts_by_fields_and_cookies_that_can_be() {
    let of = |key: &str| {
        let limit = "schema = 1\n[limits.a]\nlimit = \"1 per 1s\"";
        errors(&alloc::format!("{limit}\nkey = \"{key}\"\n"))
    };
    assert!(of("header:X-Api-Key").is_empty() && of("cookie:id").is_empty());
    for bad in ["header:", "header:a b", "cookie:", "cookie:a=b", "header", "identiy"] {
        assert_eq!(of(bad).len(), 1, "{bad}");
    }
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
    assert_eq!(errors(source), ["5:7 the key has the user in it, but nothing says who that is"]);
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
    let route = only_route("origin = { mode = \"default\", ttl = \"short\" }\nbrowser = \"long\"");
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
            "5:8 tags mean nothing on a route that nobody caches",
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
    let source = include_str!("../../../../tidegate.toml");
    let policy = read(source, &|_| None).unwrap();
    let again = crate::Policy::from_json(&policy.to_json()).unwrap();
    assert_eq!(again.model(), policy.model());
    assert_eq!(again.hash(), policy.hash());
}

/// The rule of compression of each route below a common head; `compression` are lines on the whole
/// policy, the others on one route each.
fn compressed(compression: &str, routes: &[&str]) -> Vec<Option<crate::compress::CompressionRule>> {
    let mut source = alloc::format!("schema = 1\n{compression}\n");
    for (at, lines) in routes.iter().enumerate() {
        source += &alloc::format!("[[routes]]\nname = \"r{at}\"\nmatch = \"/{at}\"\n{lines}\n");
    }
    let policy = read(&source, &|_| None).unwrap_or_else(|report| panic!("{report}"));
    let rule = |at| policy.model().compression.get(at).cloned();
    policy.model().routes.iter().map(|route| route.compression.and_then(rule)).collect()
}

#[test]
fn p3_compression_is_said_once_and_otherwise_where_a_route_differs() {
    use crate::compress::{Coding, CodingRule, CompressionRule};
    let default = CompressionRule::default();
    assert_eq!(compressed("", &["", "compression = true"]), [None, Some(default.clone())]);
    let rules = compressed(
        "[compression]\ncodings = [\"br\", \"gzip\"]\nlevels = { br = 4 }\nmin_bytes = 1000",
        &[
            "",
            "compression = false",
            "compression = true",
            "compression = { min_bytes = 1, codings = \"gzip\" }",
        ],
    );
    let levels = [(Coding::Br, 4), (Coding::Gzip, 6)];
    let codings = levels.map(|(coding, level)| CodingRule { coding, level });
    let ours = CompressionRule { codings: codings.to_vec(), min_bytes: 1000, ..default.clone() };
    let own = CompressionRule { codings: Vec::from([codings[1]]), min_bytes: 1, ..default };
    assert_eq!(rules, [Some(ours.clone()), None, Some(ours), Some(own)]);
}

#[test]
fn p3_what_compresses_nothing_or_in_vain_is_refused() {
    let source = "schema = 1\n[compression]\ncodings = [\"gzip\", \"brotli\"]\n\
        types = [\"text/*\", \"image/png\", \"video/*\", \"text\", \"image/svg+xml\"]\n\
        levels = { gzip = 0, br = 12, zstd = 3, deflate = 1 }\n[[routes]]\nname = \"a\"\n\
        match = \"/a\"\ncompression = { codings = [\"br\", \"br\"], types = [] }\n\
        [[routes]]\nname = \"b\"\nmatch = \"/b\"\ncompression = \"gzip\"\n";
    assert_eq!(
        errors(source),
        [
            "3:20 `brotli` is no coding",
            "4:44 `text` is no media type",
            "5:41 `levels` has no field `deflate`",
            "9:27 `br` stands twice",
            "9:49 without a media type nothing is compressed",
            "13:15 expected a table for `[compression]`, found a string",
        ]
    );
    let source = "schema = 1\n[compression]\ntypes = [\"text/*\", \"image/png\", \"video/*\"]\n\
        levels = { gzip = 0, br = 12 }\ncodings = []\n";
    assert_eq!(
        errors(source),
        [
            "3:20 `image/png` is compressed already",
            "3:33 `video/*` is compressed already",
            "4:19 gzip has no level 0",
            "4:27 br has no level 12",
            "5:11 without a coding nothing is compressed",
        ]
    );
}

#[test]
fn the_zones_cache_takes_what_it_can_do_by_the_letter_and_nothing_else() {
    let good = only_route("host = \"a.example\"\nedge = \"respect\"\nedge_cache = \"zone\"");
    assert_eq!(good.edge_cache, EdgeCache::Zone);
    assert_eq!(only_route("edge = \"respect\"").edge_cache, EdgeCache::CacheApi);
    assert_eq!(
        errors(
            "schema = 1\n[[routes]]\nname = \"a\"\nmatch = \"/a\"\nkey = { sort_query = true }\n\
             edge = { mode = \"override\", ttl = \"1m\", stale_if_error = \"1d\" }\n\
             edge_cache = \"zone\"\n[[routes]]\nname = \"b\"\nmatch = \"/b\"\nedge_cache = \"zone\"\n"
        ),
        [
            "7:14 the zone's cache keeps `a` by the origin's word alone",
            "7:14 the stale windows of `a` mean nothing to the zone's cache",
            "7:14 the zone's cache has a key of its own, and `a` wants another",
            "7:14 the zone's cache would mix up the hosts of `a`",
            "11:14 the edge keeps nothing of `b`",
        ]
    );
}
