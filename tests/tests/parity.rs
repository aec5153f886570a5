//! The same requests through edge and shim, before origins that say the same: the same decisions,
//! the same answers, the same questions to the origin.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::PathBuf,
};

use tidegate_tests::{
    cases::play::ENDED,
    edge_worker::EdgeWorker,
    parity::{self, Step, Story},
    policy_file::PolicyFile,
    scripted_origin::ScriptedOrigin,
    shim::Shim,
    wire::{self, Client},
};
use tidegate_world::{
    message::{Head, Request, Response, Script},
    policy,
};

/// The build whose policy is that of the cases, see src/bin/edge-cases-policy.rs.
const BUILD: &str = "CASES_WORKER";
/// Eight requests each.
const STORIES: u64 = 500;
/// A busy machine may turn a second between the two tiers; what differs then agrees the next time.
const ATTEMPTS: u64 = 3;

#[test]
#[ignore = "needs the built worker: `cargo xtask test`"]
fn edge_and_shim_decide_alike() {
    let build = PathBuf::from(env::var_os(BUILD).expect("CASES_WORKER names a build"));
    let [behind_edge, behind_shim] = [(); 2].map(|()| ScriptedOrigin::start());
    let worker = EdgeWorker::serve(&build, behind_edge.address(), ENDED);
    let text = policy::text([], &behind_shim.address().to_string()) + &parity::routes();
    let shim = Shim::serve_policy(&PolicyFile::with_text(&text));
    let edge = Gate { client: worker.client(), origin: &behind_edge, tells_the_end: true };
    let shim = Gate { client: shim.client(), origin: &behind_shim, tells_the_end: false };

    let differences: Vec<String> = (0..STORIES)
        .filter_map(|seed| {
            let again = |attempt| play(&parity::story(seed, attempt), &edge, &shim);
            let first = again(0)?;
            (1..ATTEMPTS).all(|attempt| again(attempt).is_some()).then_some(first)
        })
        .collect();
    let count = differences.len();
    assert!(differences.is_empty(), "{count} of {STORIES} stories:\n{}", differences.join("\n"));
}

/// A tier, and the origin behind it.
struct Gate<'a> {
    client: Client,
    origin: &'a ScriptedOrigin,
    /// Whether it asks for [`ENDED`] when all that was to do for a request is done.
    tells_the_end: bool,
}

/// The first step that comes out differently, and how.
fn play(story: &Story, edge: &Gate<'_>, shim: &Gate<'_>) -> Option<String> {
    for (number, step) in (1..).zip(&story.steps) {
        let at_edge = edge.ask(&story.host, step);
        let at_shim = shim.ask(&story.host, step);
        if at_edge.said != at_shim.said {
            let Story { seed, host, .. } = story;
            let Request { method, target, head, .. } = &step.request;
            let only = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
                one.difference(other).map(|line| format!("\n      {line}")).collect::<String>()
            };
            return Some(format!(
                "story {seed} at {host}, step {number}: {method} {target} {:?}\n  origin: {:?}\n  \
                 edge alone:{}\n  shim alone:{}",
                head.0,
                step.script.first(),
                only(&at_edge.said, &at_shim.said),
                only(&at_shim.said, &at_edge.said),
            ));
        }
        // When the shim has refreshed it nothing tells.
        if at_edge.refreshes {
            break;
        }
    }
    None
}

/// What came of a question.
struct Seen {
    /// All that both tiers are to agree in, a line each.
    said: BTreeSet<String>,
    /// Whether something goes on behind the answer.
    refreshes: bool,
}

impl Gate<'_> {
    fn ask(&self, host: &str, Step { request, script }: &Step) -> Seen {
        self.origin.expect(host, script.clone());
        if self.tells_the_end {
            let nothing = Response { status: 204, head: Head::default(), body: String::new() };
            self.origin.expect(ENDED, vec![Script::Answers(nothing)]);
        }
        let mut sent = wire::Request::new(&request.method, &request.target).body(&*request.body);
        for (name, value) in &request.head.0 {
            sent = sent.header(name, value);
        }
        let answer = self.client.send(&sent);
        if self.tells_the_end {
            assert_eq!(self.origin.asked(ENDED, 1).len(), 1, "the edge never heard of it");
        }
        let hop = last_hop(&answer);
        let refreshes = hop.contains(&"hit".to_owned())
            && hop.iter().any(|p| p.starts_with("ttl=-") || p == "ttl=0");
        let asked = self.origin.asked(host, usize::from(refreshes));
        let refreshes = refreshes && !asked.is_empty();
        let mut said: BTreeSet<String> = lines_of(&answer, hop);
        for (nth, question) in (1..).zip(&asked) {
            said.extend(lines_asked(question).map(|line| format!("question {nth}: {line}")));
        }
        Seen { said, refreshes }
    }
}

/// What an answer says: its times to the tens and hundreds, since both tiers are not asked at once.
fn lines_of(answer: &wire::Response, hop: Vec<String>) -> BTreeSet<String> {
    let mut lines = BTreeSet::from([
        format!("status {}", answer.status),
        format!("body {:?}", without_detail(&String::from_utf8_lossy(&answer.body))),
    ]);
    lines.extend(joined(answer.headers.iter()).filter_map(|(name, value)| match &*name {
        // Of each connection, or the runtime's.
        "date" | "connection" | "keep-alive" | "transfer-encoding" | "content-length"
        | "cache-status" => None,
        "age" => Some(format!("age: {:?}", value.parse::<u64>().map(|age| age / 10))),
        name => Some(format!("{name}: {value}")),
    }));
    let is_hit = hop.iter().any(|parameter| parameter == "hit");
    lines.extend(hop.into_iter().filter(|p| !is_hit || !p.starts_with("detail=")).map(
        |parameter| match parameter.strip_prefix("ttl=").and_then(|ttl| ttl.parse::<f64>().ok()) {
            Some(ttl) => format!("cache-status: ttl={} hundreds", (ttl / 100.0).round()),
            None => format!("cache-status: {parameter}"),
        },
    ));
    lines
}

/// A problem's detail is in each tier's own words.
fn without_detail(body: &str) -> String {
    let (before, rest) = body.split_once("\"detail\":\"").unwrap_or((body, ""));
    before.to_owned() + rest.split_once('"').map_or("", |(_, rest)| rest)
}

/// The parameters of the tier's own member of Cache-Status.
fn last_hop(answer: &wire::Response) -> Vec<String> {
    let field = answer.all("cache-status").last().unwrap_or_default();
    let member = field.rsplit(", ").next().unwrap_or_default();
    member.split("; ").skip(1).map(str::to_owned).collect()
}

/// What the origin is asked, but for what each tier's connection brings along.
fn lines_asked(Request { method, target, head, body }: &Request) -> impl Iterator<Item = String> {
    let own = |name: &str| {
        const OWN: [&str; 10] = [
            "connection",
            "accept-encoding",
            "accept",
            "content-length",
            "transfer-encoding",
            "host",
            "x-real-ip",
            "via",
            "surrogate-capability",
            "cf-worker",
        ];
        OWN.contains(&name) || name.starts_with("x-forwarded-")
    };
    let fields = joined(head.0.iter()).filter(move |(name, _)| !own(name));
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}: {value}")).collect();
    [format!("{method} {target}"), format!("body {body:?}")].into_iter().chain(fields)
}

/// The fields by lower-case name, lines of one name as one, which is the same (RFC 9110 §5.3).
fn joined<'a>(
    lines: impl Iterator<Item = &'a (String, String)>,
) -> impl Iterator<Item = (String, String)> {
    let mut fields = BTreeMap::<String, String>::new();
    for (name, value) in lines {
        fields
            .entry(name.to_ascii_lowercase())
            .and_modify(|before| *before += &format!(", {value}"))
            .or_insert_with(|| value.clone());
    }
    fields.into_iter()
}
