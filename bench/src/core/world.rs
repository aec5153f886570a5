//! Policies of every size, and requests that their routes match.

use http::{HeaderMap, HeaderValue};
use tidegate_core::headers::http_date::HttpDate;
use tidegate_core::store::{Store, store};
use tidegate_core::{
    Exchange, Host, Identity, Method, Policy, Request, Response, Scheme, Stored, Target, Tier,
    Timestamp, document,
};

/// When everything here happens.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

/// Requests that a bench cycles through; a power of two.
const REQUESTS: usize = 16;

/// A policy of so many routes, and requests for routes spread over it.
pub(crate) struct World {
    pub(crate) policy: Policy,
    asked: Vec<Asked>,
}

/// A request as it comes in.
pub(crate) struct Asked {
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) fields: HeaderMap,
    pub(crate) who: Identity,
}

impl World {
    pub(crate) fn new(routes: usize) -> Self {
        let policy = document::read(&policy(routes), &|_| None);
        let policy = policy.unwrap_or_else(|report| panic!("{report}"));
        let asked = (0..REQUESTS)
            .map(|at| asked(at * routes / REQUESTS, &policy))
            .inspect(|asked| assert!(asked.finds_its_route(&policy), "{}", asked.target))
            .collect();
        Self { policy, asked }
    }

    /// The `turn`th request of the cycle.
    pub(crate) fn asked(&self, turn: usize) -> &Asked {
        &self.asked[turn % REQUESTS]
    }

    /// The hosts and targets of the cycle, read.
    pub(crate) fn parse(&self) -> Vec<(Host<'_>, Target<'_>)> {
        self.asked.iter().map(Asked::parse).collect()
    }

    /// The requests of the cycle, with what was read of them.
    pub(crate) fn requests<'a>(
        &'a self,
        parsed: &'a [(Host<'a>, Target<'a>)],
    ) -> Vec<Request<'a, HeaderMap>> {
        let read = |(asked, (host, target)): (&'a Asked, &'a (_, _))| {
            Request::read(Method::Get, Scheme::Http, host, target, &asked.fields)
        };
        self.asked.iter().zip(parsed).map(read).collect()
    }
}

impl Asked {
    /// What a shell does with a request before it asks the first question.
    pub(crate) fn read<T>(&self, then: impl FnOnce(&Request<'_, HeaderMap>) -> T) -> T {
        let (host, target) = self.parse();
        then(&Request::read(Method::Get, Scheme::Http, &host, &target, &self.fields))
    }

    fn parse(&self) -> (Host<'_>, Target<'_>) {
        let host = Host::parse(&self.host, Scheme::Http).unwrap();
        (host, Target::parse(&self.target).unwrap())
    }

    fn finds_its_route(&self, policy: &Policy) -> bool {
        self.read(|request| policy.plan(Tier::Origin, request).cache.is_ok())
    }
}

/// Four kinds of route in turns: one of many services on one host, by a parameter and the
/// user, by its whole path, by its begin; and one of many hosts.
fn policy(routes: usize) -> String {
    let mut text = "schema = 1\n[identity]\ncredential = \"authorization\"\n\
        [limits.standard]\nlimit = \"100 per 60s\"\nkey = [\"client-ip\"]\n"
        .to_owned();
    for n in 0..routes {
        let kind = match n % 4 {
            0 => format!(
                "match = \"/api/v1/teams/:id/service-{n}\"\nkey = \"team:{{id}}:{n}:{{user}}\"\n"
            ),
            1 => format!("match = \"/api/v1/service-{n}\"\nkey = \"service:{n}\"\n"),
            2 => format!("match = \"/service-{n}/*\"\n"),
            _ => format!("match = \"/*\"\nhost = \"tenant-{n}.example\"\n"),
        };
        text += &format!(
            "[[routes]]\nname = \"route-{n}\"\nlimit = \"standard\"\n{kind}\
             origin = {{ mode = \"override\", ttl = \"5m\", unsafe_ignore = [\"authorization\"] }}\n\
             browser = \"5m\"\n"
        );
    }
    text
}

/// A request for route `n`, with what browsers send.
fn asked(n: usize, policy: &Policy) -> Asked {
    let (host, target) = match n % 4 {
        0 => ("app.example".into(), format!("/api/v1/teams/42/service-{n}")),
        1 => ("app.example".into(), format!("/api/v1/service-{n}?page=2&per_page=50")),
        2 => ("app.example".into(), format!("/service-{n}/assets/app.3f9c1b.js")),
        _ => (format!("tenant-{n}.example"), "/products/shoes/42?colour=red".into()),
    };
    let mut fields = HeaderMap::new();
    for (name, value) in REQUEST_FIELDS {
        fields.append(*name, HeaderValue::from_static(value));
    }
    fields.insert("host", HeaderValue::from_str(&host).unwrap());
    let who = policy.unverified(&fields);
    Asked { host, target, fields, who }
}

/// The head of the stored answer.
pub(crate) fn stored_head() -> HeaderMap {
    let mut head = HeaderMap::new();
    for (name, value) in ANSWER_FIELDS {
        head.append(*name, HeaderValue::from_static(value));
    }
    let date = HttpDate(NOW).to_string();
    head.insert("date", HeaderValue::from_str(&date).unwrap());
    head
}

/// What is remembered of the answer with this head, taken in a moment ago.
pub(crate) fn stored(world: &World, head: &HeaderMap) -> Stored {
    let kept = world.asked(0).read(|request| {
        let plan = world.policy.plan(Tier::Origin, request);
        let response = Response::read(Tier::Origin, 200, head, NOW);
        store(plan.cache.unwrap(), request, &response, &EXCHANGE)
    });
    match kept {
        Store::Keep { stored, .. } => stored,
        Store::Skip(why) => panic!("the bench's own answer is not kept: {}", why.as_str()),
    }
}

/// An answer that came at once.
pub(crate) const EXCHANGE: Exchange = Exchange { requested_at: NOW, received_at: NOW };

const REQUEST_FIELDS: &[(&str, &str)] = &[
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("authorization", "Bearer 0123456789abcdef0123456789abcdef"),
    ("referer", "https://app.example/dashboard"),
    ("cookie", "theme=dark; consent=1"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
    ("connection", "keep-alive"),
    ("x-forwarded-for", "192.0.2.7"),
];

const ANSWER_FIELDS: &[(&str, &str)] = &[
    ("content-type", "application/json; charset=utf-8"),
    ("content-length", "1024"),
    ("cache-control", "public, max-age=300"),
    ("etag", "\"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
    ("last-modified", "Wed, 18 Nov 2026 10:00:00 GMT"),
    ("vary", "accept-encoding"),
    ("x-content-type-options", "nosniff"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("server", "demo"),
];
