//! Cases played with real requests, through a real gate and before an origin that says what each
//! case says.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tidegate_world::{
    Case,
    case::{Ask, Tier},
    expectation::{Clock, Seen, differences},
    message::{Head, Response, Script, Terms},
};

use super::Placed;
use crate::{
    scripted_origin::ScriptedOrigin,
    wire::{self, Client},
};

/// A busy machine may turn a second between two steps; what fails then holds the next time.
const ATTEMPTS: usize = 3;

/// What goes on behind an answer shows no later than this.
const BACKGROUND: Duration = Duration::from_secs(2);

/// The host that a gate asks for when it has done all there was to do for a request.
pub const ENDED: &str = "ended.test";

/// A gate to ask, and the origin behind it.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// Who asks the gate.
    pub client: Client,
    /// Who answers it.
    pub origin: &'a ScriptedOrigin,
    /// Which of the two it is.
    pub tier: Tier,
    /// Whether the end of each request is told by a question for [`ENDED`]; if not, what goes on
    /// in the background shows in the answers after it.
    pub tells_the_end: bool,
}

/// The differences of each case that fails, time after time. `run` plays them all on a stage of
/// its own; known failures are not tried again.
#[must_use]
pub fn failures(
    cases: &[Placed],
    known: &BTreeMap<String, String>,
    run: impl Fn(&[Placed]) -> BTreeMap<String, Vec<String>>,
) -> BTreeMap<String, Vec<String>> {
    let mut failed = run(cases);
    for _ in 1..ATTEMPTS {
        let is_open = |id: &str| failed.contains_key(id) && !known.contains_key(id);
        let again: Vec<Placed> = cases.iter().filter(|p| is_open(&p.case.id)).cloned().collect();
        if again.is_empty() {
            break;
        }
        let still = run(&again);
        let recovered = |id: &String| again.iter().any(|p| p.case.id == *id);
        failed.retain(|id, _| !recovered(id) || still.contains_key(id));
    }
    failed
}

impl Stage<'_> {
    /// Plays the cases one after the other; what was not as expected, by case.
    #[must_use]
    pub fn play_all(&self, cases: &[Placed]) -> BTreeMap<String, Vec<String>> {
        let played = cases.iter().map(|Placed { file, case }| {
            let failures = self.play(case);
            let place = (!failures.is_empty()).then(|| format!("{file}.toml"));
            (case.id.clone(), place.into_iter().chain(failures).collect::<Vec<_>>())
        });
        played.filter(|(_, failures)| !failures.is_empty()).collect()
    }

    fn play(&self, case: &Case) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let terms = Terms::of(case, self.tier, now.as_secs());
        let mut failures = Vec::new();
        let mut refreshing = false;
        for (number, ask) in (1..).zip(case.asks()) {
            let patience = if refreshing { BACKGROUND } else { Duration::ZERO };
            let deadline = Instant::now() + patience;
            let differ = loop {
                let differ = self.step(case, ask, &terms);
                if differ.is_empty() || Instant::now() >= deadline {
                    break differ;
                }
            };
            let place = |difference| format!("step {number} ({}): {difference}", ask.ask[0]);
            failures.extend(differ.into_iter().map(place));
            let refreshes = ask.then.starts_with("stale") && !ask.origin.is_empty();
            refreshing = refreshes && !self.tells_the_end;
        }
        failures
    }

    fn step(&self, case: &Case, ask: &Ask, terms: &Terms) -> Vec<String> {
        let Self { origin, tells_the_end, .. } = self;
        origin.expect(&case.host(), ask.script(terms));
        if *tells_the_end {
            let nothing = Response { status: 204, head: Head::default(), body: String::new() };
            origin.expect(ENDED, vec![Script::Answers(nothing)]);
        }
        let answer = self.send(ask, terms);
        let is_without_end = *tells_the_end && origin.asked(ENDED, 1).is_empty();
        let seen = Seen { answer, asked: origin.asked(&case.host(), ask.times()) };
        let mut differ = differences(ask, &seen, terms, Clock::Real);
        differ.extend(is_without_end.then(|| "the gate never heard of it".to_owned()));
        differ
    }

    fn send(&self, ask: &Ask, terms: &Terms) -> Response {
        let request = ask.request(terms);
        let mut sent = wire::Request::new(&request.method, &request.target).body(request.body);
        for (name, value) in &request.head.0 {
            sent = sent.header(name, value);
        }
        let wire::Response { status, headers, body } = self.client.send(&sent);
        let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
        let head = Head(headers.into_iter().map(lower).collect());
        Response { status, head, body: String::from_utf8_lossy(&body).into_owned() }
    }
}
