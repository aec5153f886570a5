//! A virtual user: visits one after the other, page by page.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use goose::is_killswitch_triggered;
use reqwest::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
};
use reqwest::{Client, Method, RequestBuilder, Response};
use tidegate_core::headers::cache_control::{ResponseDirectives, delta_seconds};
use tidegate_traffic::{Asking, Browser, Chance, Endpoint, Person, Population, Visit, Want, Zipf};
use tokio::time::{Instant, sleep_until};

use crate::run::Plan;
use crate::served::Served;
use crate::tally::{Answer, Outcome, Tally};
use crate::trouble::Trouble;

/// What all users share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    population: Population,
    plugins: Zipf,
    begun: OnceLock<Instant>,
    visits: AtomicU64,
    /// One for each phase.
    tallies: Mutex<Vec<Tally>>,
    etags: Mutex<HashMap<String, HeaderValue>>,
}

/// Somebody who visits, and their browser.
#[derive(Clone)]
pub(crate) struct Visitor {
    visit: Visit,
    browser: Browser,
    /// Since the run began: when this visit did, and when its latest page was to be asked for.
    began: Duration,
    due: Duration,
    /// When all of the latest page was there.
    free: Instant,
}

/// Something that a page asks for.
struct Ask<'a> {
    want: Want,
    endpoint: &'a Endpoint,
    person: Person,
    target: String,
    /// The entity tag of the browser's copy.
    copy: Option<HeaderValue>,
    /// Since the run began: when it is to be sent.
    due: Duration,
}

/// So many entity tags are known at once.
const ETAGS: usize = 20_000;

/// A user looks so often whether the run was broken off.
const NAP: Duration = Duration::from_millis(500);

impl Shared {
    pub(crate) fn of(plan: Plan) -> Self {
        let people = &plan.mix.people;
        let tallies = vec![Tally::default(); plan.timeline.phases().len()];
        Self {
            population: Population::new(people, plan.people),
            plugins: Zipf::new(people.plugins, people.plugin_exponent),
            begun: OnceLock::new(),
            visits: AtomicU64::new(0),
            tallies: Mutex::new(tallies),
            etags: Mutex::default(),
            plan,
        }
    }

    /// When the run began, which it does with its first user.
    pub(crate) fn begun(&self) -> Instant {
        *self.begun.get_or_init(Instant::now)
    }

    /// What was found in each phase.
    pub(crate) fn tallies(&self) -> Vec<Tally> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A visit that begins at this time.
    fn visit(&self) -> (Visit, Browser) {
        let number = self.visits.fetch_add(1, Ordering::Relaxed);
        let mut chance = Chance::new(self.plan.seed, number);
        let person = self.population.draw(&mut chance);
        Visit::new(&self.plan.mix, person, chance)
    }

    fn note(&self, due: Duration, lag: Duration, outcome: Outcome) {
        let place = self.plan.timeline.at(due);
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies[place].lag.note(lag);
        tallies[place].note(outcome);
    }

    /// Waits until a time since the run began; whether the run still goes on then.
    async fn wait_until(&self, due: Duration) -> bool {
        let ends = self.plan.timeline.lasts();
        let until = self.begun() + due.min(ends);
        loop {
            if is_killswitch_triggered() {
                return false;
            }
            let now = Instant::now();
            if now >= until {
                break;
            }
            sleep_until(until.min(now + NAP)).await;
        }
        due < ends
    }
}

impl Visitor {
    /// Somebody who comes just then.
    pub(crate) fn new(shared: &Shared) -> Self {
        let now = shared.begun().elapsed();
        let (visit, browser) = shared.visit();
        Self { visit, browser, began: now, due: now, free: Instant::now() }
    }

    /// Asks for the next page when it is time; at the end of the run it only lets time pass.
    pub(crate) async fn page(&mut self, client: &Client, shared: &Arc<Shared>) {
        let mix = &shared.plan.mix;
        let step = loop {
            match self.visit.step(mix, &shared.plugins) {
                Some(step) => break step,
                None => {
                    // Somebody else comes in place of who leaves.
                    self.due += mix.think();
                    self.began = self.due;
                    (self.visit, self.browser) = shared.visit();
                }
            }
        };
        self.due += step.think;
        if !shared.wait_until(self.due).await {
            // goose says good-bye between pages.
            tokio::time::sleep(NAP / 10).await;
            return;
        }
        let at = self.due - self.began;
        let asks: Vec<Ask<'_>> =
            step.wants.into_iter().filter_map(|want| self.ask(want, at, shared)).collect();
        let free = self.free;
        let asked = asks.iter().map(|ask| ask.send(client, shared, free));
        let fresh = join_all(asked).await;
        for (ask, fresh) in asks.iter().zip(fresh) {
            if let Some(fresh) = fresh {
                self.browser.keep(ask.want, at, fresh);
            }
        }
        self.free = Instant::now();
    }

    /// What the browser asks for, if it has to.
    fn ask<'a>(&self, want: Want, at: Duration, shared: &'a Shared) -> Option<Ask<'a>> {
        let endpoint = &shared.plan.mix.endpoints[usize::from(want.endpoint)];
        let person = self.visit.person;
        let asking = self.browser.asking(want, endpoint, at);
        if asking == Asking::Not {
            return None;
        }
        let target = endpoint.target(want.item, person);
        let copy = (asking == Asking::Conditionally).then(|| {
            let etags = shared.etags.lock().unwrap_or_else(PoisonError::into_inner);
            etags.get(&target).cloned()
        });
        let due = self.due + Duration::from_millis(u64::from(want.after));
        Some(Ask { want, endpoint, person, target, copy: copy.flatten(), due })
    }
}

impl Ask<'_> {
    /// Asks when it is time, and says for how long a browser may keep the answer.
    async fn send(&self, client: &Client, shared: &Shared, free: Instant) -> Option<Duration> {
        let due = shared.begun() + self.due;
        sleep_until(due).await;
        let sent = Instant::now();
        let answered = match self.request(client, shared).send().await {
            Ok(response) => self.receive(response, shared).await,
            Err(error) => Err(Trouble::of(&error)),
        };
        let (answer, fresh) = match answered {
            Ok((answer, fresh)) => (Ok(answer), fresh),
            Err(trouble) => (Err(trouble), None),
        };
        // Who still waited for the page before is late for that reason, and not for ours.
        let lag = sent.saturating_duration_since(due.max(free));
        let outcome = Outcome { latency: due.elapsed(), waited: sent.elapsed(), answer };
        shared.note(self.due, lag, outcome);
        fresh
    }

    fn request(&self, client: &Client, shared: &Shared) -> RequestBuilder {
        let Person { user, address, .. } = self.person;
        let plan = &shared.plan;
        let url = format!("{}{}", plan.destination.base(), self.target);
        let method = self.endpoint.method.parse().unwrap_or(Method::GET);
        let mut request = client.request(method, url).timeout(plan.timeout);
        if self.endpoint.signed_in {
            request = request.header(AUTHORIZATION, format!("Bearer user-{user}"));
        }
        if plan.destination.is_loopback() {
            // All would be one client: where a proxy of this machine is believed, they are many.
            let address = address.to_string();
            request =
                request.header("x-forwarded-for", &address).header("cf-connecting-ip", address);
        }
        if self.endpoint.reload {
            request = request.header(CACHE_CONTROL, "no-cache");
        }
        if let Some(etag) = &self.copy {
            request = request.header(IF_NONE_MATCH, etag);
        }
        match self.endpoint.request_body(self.want.item, self.person) {
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body),
            None => request,
        }
    }

    async fn receive(
        &self,
        mut response: Response,
        shared: &Shared,
    ) -> Result<(Answer, Option<Duration>), Trouble> {
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(|error| Trouble::of(&error))? {
            bytes += chunk.len() as u64;
        }
        let (status, head) = (response.status().as_u16(), response.headers());
        if let Some(etag) = head.get(ETAG).filter(|_| self.endpoint.validator) {
            let mut etags = shared.etags.lock().unwrap_or_else(PoisonError::into_inner);
            if etags.len() < ETAGS || etags.contains_key(&self.target) {
                etags.insert(self.target.clone(), etag.clone());
            }
        }
        let served = Served::by(head.get_all("cache-status").iter().map(HeaderValue::as_bytes));
        let fresh = matches!(status, 200 | 304).then(|| fresh(head)).flatten();
        Ok((Answer { status, bytes, served }, fresh))
    }
}

/// For how long a browser may use an answer; it keeps none of which nothing is said.
fn fresh(head: &HeaderMap) -> Option<Duration> {
    let lines = head.get_all(CACHE_CONTROL).iter().map(HeaderValue::as_bytes);
    let said = ResponseDirectives::parse(lines);
    if said.no_store {
        return None;
    }
    let age = head.get(AGE).and_then(|age| delta_seconds(age.as_bytes())).unwrap_or(0);
    Some(Duration::from_secs(u64::from(said.max_age?.saturating_sub(age))))
}
