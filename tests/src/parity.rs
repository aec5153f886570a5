//! Stories of requests and answers that nobody thought of, made from seeds: what one tier does
//! with them, the other does too.

use std::fmt::Write as _;

use tidegate_world::message::{Head, Request, Response, Script};

/// What is in the braces of a route's rule, and further lines of the route.
const ROUTES: [(&str, &str); 10] = [
    ("mode = \"respect\"", ""),
    ("mode = \"respect\", client_directives = \"ignore\"", ""),
    ("mode = \"respect\", unsafe_ignore = [\"set-cookie\"]", "tags = [\"a\", \"user:{user}\"]"),
    ("mode = \"default\", ttl = \"1h\"", "browser = \"public-medium\""),
    ("mode = \"default\", ttl = \"1h\", stale_if_error = \"1d\"", "key = { sort_query = true }"),
    ("mode = \"default\", ttl = \"1h\", status_ttl = { 404 = \"1m\", 5xx = \"0s\" }", ""),
    ("mode = \"override\", ttl = \"1h\"", "key = { query = \"none\" }\nbrowser = \"no-store\""),
    (
        "mode = \"override\", ttl = \"1h\", client_directives = \"honour\"",
        "key = { headers = [\"x-kind\"] }",
    ),
    (
        "mode = \"override\", ttl = \"1h\", stale_while_revalidate = \"1h\"",
        "key = { query = { only = [\"a\"] } }\ninvalidates = \"a\"",
    ),
    ("mode = \"override\", ttl = \"1h\"", "key = { identity = true }\nheaders = { x-own = \"1\" }"),
];

/// What happens at one host.
#[derive(Clone, Debug)]
pub struct Story {
    /// What it was made from.
    pub seed: u64,
    /// Which host it happens at.
    pub host: String,
    /// One question after the other.
    pub steps: Vec<Step>,
}

/// A question, and what the origin would say to it, time by time.
#[derive(Clone, Debug)]
pub struct Step {
    /// What a client asks.
    pub request: Request,
    /// What the origin answers, if it is asked.
    pub script: Vec<Script>,
}

/// The routes of the policy under which stories happen, one tier's rules like the other's.
#[must_use]
pub fn routes() -> String {
    let mut text = String::new();
    for (at, (rule, more)) in ROUTES.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "[[routes]]\nname = \"parity-{at}\"\nmatch = \"/*\"\nhost = \"{}\"\n\
             upstream = \"scripted\"\norigin = {{ {rule} }}\nedge = {{ {rule} }}\n{more}\n",
            host(at),
        );
    }
    text
}

fn host(route: usize) -> String {
    format!("parity-{route}.test")
}

/// The story of a seed, always the same; each attempt is about other resources.
#[must_use]
pub fn story(seed: u64, attempt: u64) -> Story {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x0005_eed0);
    let route = dice.below(ROUTES.len());
    let host = host(route);
    let place = format!("/{seed}/{attempt}");
    let steps = (0..8).map(|_| step(&mut dice, &place, &host)).collect();
    Story { seed, host, steps }
}

fn step(dice: &mut Dice, place: &str, host: &str) -> Step {
    let request = request(dice, place, host);
    let script = (0..3).map(|nth| answer(dice, nth)).collect();
    Step { request, script }
}

fn request(dice: &mut Dice, place: &str, host: &str) -> Request {
    let method = dice.of(&[
        "GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS",
    ]);
    let path = dice.of(&["a", "a", "a", "b", "b/c"]);
    let query = dice.of(&["", "", "", "?", "?a=1", "?b=2&a=1", "?a=1&b=2", "?utm=x"]);
    let mut head = Head(vec![("host".into(), host.into())]);
    let mut may = |dice: &mut Dice, one_in: usize, name: &str, values: &[&str]| {
        if dice.below(one_in) == 0 {
            head.0.push((name.into(), dice.of(values).into()));
        }
    };
    may(
        dice,
        6,
        "cache-control",
        &[
            "no-cache",
            "max-age=0",
            "max-age=100",
            "min-fresh=100",
            "max-stale",
            "max-stale=50",
            "only-if-cached",
            "no-store",
            "no-cache, max-age=50",
            "MAX-AGE=\"100\"",
            "max-age=x",
        ],
    );
    may(dice, 20, "pragma", &["no-cache"]);
    may(
        dice,
        8,
        "range",
        &["bytes=0-1", "bytes=2-", "bytes=-2", "bytes=900-", "bytes=0-0,2-2", "lines=1"],
    );
    may(dice, 8, "if-none-match", &["\"1\"", "W/\"1\"", "\"2\", \"1\"", "*", "1"]);
    may(
        dice,
        12,
        "if-modified-since",
        &["Wed, 01 Jan 2020 00:00:00 GMT", "Mon, 01 Jan 2018 00:00:00 GMT", "yesterday"],
    );
    may(dice, 12, "if-match", &["\"1\"", "\"3\"", "*"]);
    may(dice, 12, "if-range", &["\"1\"", "\"2\"", "Wed, 01 Jan 2020 00:00:00 GMT"]);
    may(dice, 10, "authorization", &["Bearer one", "Bearer two"]);
    may(dice, 10, "cookie", &["session=1", "session=2; other=3"]);
    may(dice, 3, "accept-language", &["de", "en", "de, en;q=0.5"]);
    may(dice, 6, "x-kind", &["one", "two"]);
    let has_body = matches!(method, "POST" | "PUT");
    let body = if has_body { "changed".into() } else { String::new() };
    let target = format!("{place}/{path}{query}");
    Request { method: method.into(), target, head, body }
}

fn answer(dice: &mut Dice, nth: usize) -> Script {
    if dice.below(30) == 0 {
        return Script::Unreachable;
    }
    let status = *dice.of_any(&[
        200, 200, 200, 200, 200, 200, 200, 203, 204, 206, 301, 302, 304, 304, 404, 410, 412, 416,
        500, 503,
    ]);
    let mut head = Head::default();
    let mut may = |dice: &mut Dice, one_in: usize, name: &str, values: &[&str]| {
        if dice.below(one_in) == 0 {
            head.0.push((name.into(), dice.of(values).into()));
        }
    };
    const CONTROL: [&str; 18] = [
        "max-age=100000",
        "max-age=100000",
        "public, max-age=100000",
        "s-maxage=100000",
        "max-age=0",
        "no-store",
        "no-cache",
        "private",
        "private=\"x-mine\"",
        "no-cache=\"x-mine\"",
        "public",
        "max-age=100000, must-revalidate",
        "max-age=0, stale-while-revalidate=100000",
        "max-age=0, stale-if-error=100000",
        "MAX-AGE=100000",
        "max-age=\"100000\"",
        "max-age=-1",
        "must-understand, no-store, max-age=100000",
    ];
    may(dice, 2, "cache-control", &CONTROL);
    may(dice, 8, "cache-control", &CONTROL);
    may(
        dice,
        10,
        "cdn-cache-control",
        &["max-age=100000", "no-store", "max-age=0", "max-age=x, ,"],
    );
    may(
        dice,
        8,
        "expires",
        &["Fri, 01 Jan 2100 00:00:00 GMT", "Wed, 01 Jan 2020 00:00:00 GMT", "0"],
    );
    may(dice, 8, "age", &["0", "5", "200000", "-1", "5, 6", "x"]);
    may(dice, 2, "etag", &["\"1\"", "\"1\"", "\"2\"", "W/\"1\"", "1"]);
    may(
        dice,
        3,
        "last-modified",
        &["Wed, 01 Jan 2020 00:00:00 GMT", "Mon, 01 Jan 2018 00:00:00 GMT", "never"],
    );
    may(
        dice,
        6,
        "vary",
        &["accept-language", "Accept-Language, X-Kind", "*", "cookie", "accept-language"],
    );
    may(dice, 10, "set-cookie", &["session=1", "session=2; Path=/"]);
    may(dice, 10, "cache-tag", &["a", "b, a"]);
    may(dice, 12, "cache-groups", &["\"g\""]);
    may(dice, 16, "cache-group-invalidation", &["\"g\""]);
    may(dice, 16, "no-vary-search", &["params=(\"utm\")", "key-order", "except=(\"a\")"]);
    may(dice, 10, "location", &["/elsewhere", "a"]);
    may(dice, 10, "content-location", &["b"]);
    may(dice, 5, "x-mine", &["1", "2"]);
    may(dice, 10, "content-type", &["text/plain", "text/html; charset=utf-8"]);
    let body = format!("body {nth}, {}", dice.below(1_000));
    if status == 206 {
        head.0.push(("content-range".into(), format!("bytes 0-{}/100", body.len() - 1)));
    }
    Script::Answers(Response { status, head, body })
}

/// Numbers that look random and are not.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end as u64).unwrap_or(0)
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn of_any<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}
