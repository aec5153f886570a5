//! All requests of many users, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::browser::{Asking, Browser};
use crate::chance::Chance;
use crate::mix::{Endpoint, Kind, Mix};
use crate::population::{Person, Population};
use crate::visit::{Visit, Want};
use crate::zipf::Zipf;

/// How much traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// How many users there are; at most 2^24 count.
    pub users: NonZeroU32,
    /// Requests that browsers send in a second of the busiest hour, on average. Without one that
    /// is above 0, nobody comes.
    pub rate: f64,
    /// The same seed means the same traffic.
    pub seed: u64,
    /// The time of the first day at which it begins, with nobody there yet; it takes a few minutes
    /// until as many leave as come.
    pub from: Duration,
}

/// A request that a browser sends.
#[derive(Clone, Debug)]
pub struct Request<'mix> {
    /// Since midnight of the first day, in whole milliseconds.
    pub at: Duration,
    /// Who asks.
    pub person: Person,
    /// What for.
    pub endpoint: &'mix Endpoint,
    /// Path and query.
    pub target: String,
    /// Whether the browser asks if its copy is still right.
    pub is_conditional: bool,
}

/// What the origin would answer, had it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginAnswer<'mix> {
    /// The status.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u32,
    /// What it says of caching.
    pub cache_control: Option<&'mix str>,
    /// What it costs the database.
    pub queries: u32,
    /// What it costs the origin in all.
    pub takes: Duration,
}

/// Requests of all users in the order of time, without end.
///
/// Memory grows with how many are there at once (less than 2 KB each), and neither with users nor
/// with time.
#[derive(Debug)]
pub struct Requests<'mix> {
    mix: &'mix Mix,
    population: Population,
    plugins: Zipf,
    seed: u64,
    /// Seconds from one visit to the next, in the busiest hour.
    gap: f64,
    arrivals: Chance,
    /// When the next visit begins, and how many began before.
    next_visit: Duration,
    begun: u64,
    here: BinaryHeap<Reverse<Waiting>>,
    spared: Vec<u64>,
}

/// A visit of which something is due.
#[derive(Debug)]
struct Waiting {
    /// Milliseconds since midnight, and which visit: no two are the same.
    due: (u64, u64),
    begun: u64,
    visit: Visit,
    browser: Browser,
    /// What the page still wants, the next last, at milliseconds since midnight.
    wants: Vec<(u64, Want)>,
    page_at: u64,
}

impl<'mix> Requests<'mix> {
    /// The traffic of a mix.
    #[must_use]
    pub fn of(mix: &'mix Mix, traffic: Traffic) -> Self {
        let Traffic { users, rate, seed, from } = traffic;
        let plugins = Zipf::new(mix.people.plugins, mix.people.plugin_exponent);
        let population = Population::new(&mix.people, users);
        let gap = requests_of_a_visit(mix, &population, &plugins) / rate;
        let mut arrivals = Chance::new(seed, ARRIVALS);
        // Without a rate nobody comes: neither does whoever is due after a very long time.
        let gap = if gap.is_finite() && gap > 0.0 { gap } else { NEVER };
        let next_visit = from + Duration::from_secs_f64(arrivals.exponential(gap));
        Self {
            mix,
            population,
            plugins,
            seed,
            gap,
            arrivals,
            next_visit,
            begun: 0,
            here: BinaryHeap::new(),
            spared: vec![0; mix.endpoints.len()],
        }
    }

    /// How many visits are going on.
    #[must_use]
    pub fn here(&self) -> usize {
        self.here.len()
    }

    /// How often a page wanted what its browser had a fresh copy of, so that there was no request:
    /// for each endpoint, in the order of the mix, until now.
    #[must_use]
    pub fn spared(&self) -> &[u64] {
        &self.spared
    }

    /// Lets visits begin until nothing that is due is earlier than the next of them.
    fn admit(&mut self) -> Option<()> {
        loop {
            let next = self.next_visit.as_millis() as u64;
            if self.here.peek().is_some_and(|Reverse(first)| first.due.0 <= next) {
                return Some(());
            }
            if self.next_visit.as_secs_f64() >= NEVER {
                return None;
            }
            let at = self.next_visit;
            // As many candidates as the busiest hour has; of other hours fewer come.
            let comes = self.arrivals.happens(self.mix.day.busy(at));
            self.next_visit += Duration::from_secs_f64(self.arrivals.exponential(self.gap));
            if comes {
                self.begin(next);
            }
        }
    }

    fn begin(&mut self, at: u64) {
        let number = self.begun;
        self.begun += 1;
        let mut chance = Chance::new(self.seed, number);
        let person = self.population.draw(&mut chance);
        let (visit, browser) = Visit::new(self.mix, person, chance);
        let wants = Vec::new();
        let waiting = Waiting { due: (at, number), begun: at, visit, browser, wants, page_at: at };
        self.go_on(waiting);
    }

    /// Puts a visit back to where its next want is due; or it is over.
    fn go_on(&mut self, mut waiting: Waiting) {
        while waiting.wants.is_empty() {
            let Some(step) = waiting.visit.step(self.mix, &self.plugins) else { return };
            // Nobody leaves a page before it has asked for all it wants.
            let thought = waiting.page_at + step.think.as_millis() as u64;
            waiting.page_at = thought.max(waiting.due.0);
            let at = |want: Want| (waiting.page_at + u64::from(want.after), want);
            waiting.wants = step.wants.into_iter().rev().map(at).collect();
        }
        if let Some((at, _)) = waiting.wants.last() {
            waiting.due.0 = *at;
            self.here.push(Reverse(waiting));
        }
    }
}

impl<'mix> Iterator for Requests<'mix> {
    type Item = Request<'mix>;

    fn next(&mut self) -> Option<Request<'mix>> {
        loop {
            self.admit()?;
            let Reverse(mut waiting) = self.here.pop()?;
            let request = waiting.ask(self.mix, &mut self.spared);
            self.go_on(waiting);
            if request.is_some() {
                return request;
            }
        }
    }
}

impl Waiting {
    /// What is due, if the browser asks for it; else that is counted in `spared`.
    fn ask<'mix>(&mut self, mix: &'mix Mix, spared: &mut [u64]) -> Option<Request<'mix>> {
        let (at, want) = self.wants.pop()?;
        if self.wants.is_empty() {
            // Whoever thinks needs no memory for wants.
            self.wants = Vec::new();
        }
        let endpoint = &mix.endpoints[usize::from(want.endpoint)];
        let here_for = Duration::from_millis(at - self.begun);
        let asking = self.browser.asking(want, endpoint, here_for);
        if asking == Asking::Not {
            spared[usize::from(want.endpoint)] += 1;
            return None;
        }
        if endpoint.browser > 0 {
            self.browser.keep(want, here_for, Duration::from_secs(endpoint.browser));
        }
        let person = self.visit.person;
        Some(Request {
            at: Duration::from_millis(at),
            person,
            endpoint,
            target: endpoint.target(want.item, person),
            is_conditional: asking == Asking::Conditionally,
        })
    }
}

impl<'mix> Request<'mix> {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &'mix str {
        &self.endpoint.method
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.endpoint.kind
    }

    /// Who asks, if the request says so.
    #[must_use]
    pub fn user(&self) -> Option<u32> {
        self.endpoint.signed_in.then_some(self.person.user)
    }

    /// What the origin would answer to it; to a conditional one that nothing has changed.
    #[must_use]
    pub fn origin_answer(&self) -> OriginAnswer<'mix> {
        let Endpoint { status, bytes, cache_control, queries, millis, .. } = self.endpoint;
        let (status, bytes) = if self.is_conditional { (304, 0) } else { (*status, *bytes) };
        OriginAnswer {
            status,
            bytes,
            cache_control: cache_control.as_deref(),
            queries: *queries,
            takes: Duration::from_millis(u64::from(*millis)),
        }
    }
}

impl Default for Traffic {
    /// 10,000 users with 200 requests a second at the peak, from ten in the morning on.
    fn default() -> Self {
        const USERS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
        Self { users: USERS, rate: 200.0, seed: 1, from: Duration::from_secs(10 * 3600) }
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

/// How many requests the browser of a visit sends, on average: counted on some, always the same.
fn requests_of_a_visit(mix: &Mix, population: &Population, plugins: &Zipf) -> f64 {
    const VISITS: u64 = 2_000;
    let mut requests = 0_u64;
    for number in 0..VISITS {
        let mut chance = Chance::new(0, number);
        let person = population.draw(&mut chance);
        let (mut visit, mut browser) = Visit::new(mix, person, chance);
        let mut at = Duration::ZERO;
        while let Some(step) = visit.step(mix, plugins) {
            at += step.think;
            for want in step.wants {
                let endpoint = &mix.endpoints[usize::from(want.endpoint)];
                if browser.asking(want, endpoint, at) != Asking::Not {
                    requests += 1;
                    if endpoint.browser > 0 {
                        browser.keep(want, at, Duration::from_secs(endpoint.browser));
                    }
                }
            }
        }
    }
    requests as f64 / VISITS as f64
}

/// The stream of chance for arrivals: visits have those of their numbers, which stay below.
const ARRIVALS: u64 = u64::MAX;

/// Seconds that nobody waits for: three thousand years.
const NEVER: f64 = 1e11;
