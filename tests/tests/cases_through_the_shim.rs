//! The cases that need no time to pass, through `tidegate serve` before an origin that says what
//! each case says.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tidegate_tests::{
    cases::{self, Placed},
    policy_file::PolicyFile,
    scripted_origin::ScriptedOrigin,
    shim::Shim,
    wire,
};
use tidegate_world::{
    Case,
    case::{Ask, Tier},
    expectation::{Clock, Seen, differences},
    message::{Head, Response, Terms},
    policy,
};

/// A busy machine may turn a second between two steps; what fails then holds the next time.
const ATTEMPTS: usize = 3;

/// A refresh in the background shows no later than this after the answer that set it off.
const REFRESH: Duration = Duration::from_secs(2);

#[test]
fn every_case_without_waiting_holds_through_the_shim() {
    let mut cases: Vec<Placed> = cases::all();
    cases.retain(|placed| suits(&placed.case));
    let ledger = cases::ledger("shim-deviations.toml");
    let mut failed = run(&cases);
    for _ in 1..ATTEMPTS {
        cases.retain(|Placed { case, .. }| {
            failed.contains_key(&case.id) && !ledger.contains_key(&case.id)
        });
        let recovered: Vec<String> = match cases.as_slice() {
            [] => break,
            again => {
                let still = run(again);
                again
                    .iter()
                    .map(|p| p.case.id.clone())
                    .filter(|id| !still.contains_key(id))
                    .collect()
            }
        };
        failed.retain(|id, _| !recovered.contains(id));
    }
    cases::settle(&failed, &ledger);
}

/// What real time and real sockets can show.
fn suits(case: &Case) -> bool {
    case.tier == Tier::Origin
        && !case.waits()
        && case.asks().all(|ask| ask.origin.first().is_none_or(|first| first != "silent"))
}

fn run(cases: &[Placed]) -> BTreeMap<String, Vec<String>> {
    let origin = ScriptedOrigin::start();
    let text = policy::text(cases.iter().map(|placed| &placed.case), &origin.address().to_string());
    let shim = Shim::serve_policy(&PolicyFile::with_text(&text));
    let mut failed = BTreeMap::new();
    for Placed { file, case } in cases {
        let failures = play(case, &shim, &origin);
        if !failures.is_empty() {
            failed.insert(case.id.clone(), [vec![format!("{file}.toml")], failures].concat());
        }
    }
    failed
}

fn play(case: &Case, shim: &Shim, origin: &ScriptedOrigin) -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
    let terms = Terms::of(case, now);
    let mut failures = Vec::new();
    let mut refreshing = false;
    for (number, ask) in (1..).zip(case.asks()) {
        let deadline = Instant::now() + if refreshing { REFRESH } else { Duration::ZERO };
        let differ = loop {
            let differ = step(case, ask, shim, origin, &terms);
            if differ.is_empty() || Instant::now() >= deadline {
                break differ;
            }
        };
        let place = |difference| format!("step {number} ({}): {difference}", ask.ask[0]);
        failures.extend(differ.into_iter().map(place));
        refreshing = ask.then.starts_with("stale") && !ask.origin.is_empty();
    }
    failures
}

fn step(
    case: &Case,
    ask: &Ask,
    shim: &Shim,
    origin: &ScriptedOrigin,
    terms: &Terms,
) -> Vec<String> {
    origin.expect(&case.host(), ask.script(terms));
    let answer = send(shim, ask, terms);
    let seen = Seen { answer, asked: origin.asked(&case.host(), ask.times()) };
    differences(ask, &seen, terms, Clock::Real)
}

fn send(shim: &Shim, ask: &Ask, terms: &Terms) -> Response {
    let request = ask.request(terms);
    let mut sent = wire::Request::new(&request.method, &request.target).body(request.body);
    for (name, value) in &request.head.0 {
        sent = sent.header(name, value);
    }
    let wire::Response { status, headers, body } = shim.client().send(&sent);
    let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
    let head = Head(headers.into_iter().map(lower).collect());
    Response { status, head, body: String::from_utf8_lossy(&body).into_owned() }
}
