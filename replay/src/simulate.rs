//! What a policy would make of the traffic of so many users: made-up requests through the same
//! engine as those of a log.
//!
//! The traffic is `tidegate-traffic`'s, and everything that is not counted but reckoned stands in
//! [`Reckoning`] by name, with its value: see [`Needs`].

mod needs;
mod run;
mod text;

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use tidegate_core::Policy;
use tidegate_traffic::Mix;

pub use needs::{Cloudflare, Needs, Reckoning, Use};
pub use run::{Flow, Simulated, Spent};

use crate::engine::Setup;

/// The version of the JSON.
pub const VERSION: u32 = 1;

/// The growth of a platform from 500 to 10,000 users at once (T3): how many there are at once, and
/// how many requests they send in a second.
pub const STEPS: [(u32, f64); 5] =
    [(500, 50.0), (2_000, 150.0), (5_000, 400.0), (7_000, 600.0), (10_000, 800.0)];
/// Of so many users one is there in the busiest hour (T1).
pub const USERS_FOR_EACH_AT_ONCE: u32 = 10;
/// Requests in a second of the busiest hour for each user (T1: 200 for 10,000).
pub const RATE_OF_A_USER: f64 = 0.02;

/// Which traffic, and how much of it is looked at.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How many users there are.
    pub users: NonZeroU32,
    /// Requests that browsers send in a second of the busiest hour.
    pub rate: f64,
    /// The same seed means the same requests.
    pub seed: u64,
    /// What goes by before anything is counted, so that caches are as full as they are all day.
    pub warm_up: Duration,
    /// For how long is counted then, in the busiest hour.
    pub counted: Duration,
    /// If there would be more requests, a part of the users stands for all ([`Simulated::one_of`]).
    pub requests_max: u64,
}

impl Scenario {
    /// So many users in the busiest hour, after half an hour that is not counted.
    pub fn of(users: NonZeroU32) -> Self {
        Self {
            users,
            rate: f64::from(users.get()) * RATE_OF_A_USER,
            seed: 1,
            warm_up: Duration::from_secs(30 * 60),
            counted: Duration::from_secs(60 * 60),
            requests_max: 12_000_000,
        }
    }

    /// A step of [`STEPS`]: shorter, since it stands beside others.
    pub fn step((at_once, rate): (u32, f64), seed: u64) -> Self {
        let users = NonZeroU32::MIN.saturating_add(at_once * USERS_FOR_EACH_AT_ONCE - 1);
        let counted = Duration::from_secs(10 * 60);
        Self { rate, seed, counted, requests_max: 1_500_000, ..Self::of(users) }
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// What the policy is called.
    pub policy: String,
    /// Its hash, by which `tidegate check` calls it too.
    pub hash: String,
    /// The traffic that was asked for.
    pub asked: Simulated,
    /// The steps of growth.
    pub steps: Vec<Simulated>,
    /// What nothing was counted of.
    pub reckoning: Reckoning,
    /// What the traffic rests on.
    pub traffic: Vec<Given>,
}

/// A number that was not found, but given.
#[derive(Clone, Debug, Serialize)]
pub struct Given {
    /// What it is.
    pub what: &'static str,
    /// Its value.
    pub value: String,
}

impl Report {
    /// Runs `scenario`, and the steps of growth.
    pub fn of(
        (name, policy): (&str, &Policy),
        mix: &Mix,
        setup: &Setup,
        scenario: &Scenario,
        steps: &[(u32, f64)],
        reckoning: Reckoning,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Self {
        let steps = steps.iter().map(|step| Scenario::step(*step, scenario.seed));
        let scenarios: Vec<Scenario> = [scenario.clone()].into_iter().chain(steps).collect();
        let all = scenarios.iter().map(Scenario::requests).sum();
        let mut done = 0;
        let mut found = scenarios.iter().map(|scenario| {
            let before = done;
            let simulated = Simulated::of(policy, mix, setup, scenario, &reckoning, &mut |some| {
                done = before + some;
                progress(done, all);
            });
            done = before + scenario.requests();
            simulated
        });
        // There is the one that was asked for at least.
        let asked = found.next().unwrap_or_default();
        let steps = found.collect();
        Self {
            version: VERSION,
            policy: name.into(),
            hash: policy.hash(),
            asked,
            steps,
            reckoning,
            traffic: given(mix, setup),
        }
    }

    /// As JSON; `docs/simulate.md` says what stands in it.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Scenario {
    /// How many requests are made, warm-up included, on average.
    pub fn requests(&self) -> u64 {
        let all = self.rate * (self.warm_up + self.counted).as_secs_f64();
        (all / f64::from(self.one_of())) as u64
    }

    /// Of so many users one is simulated.
    pub fn one_of(&self) -> u32 {
        let all = self.rate * (self.warm_up + self.counted).as_secs_f64();
        ((all / self.requests_max.max(1) as f64).ceil() as u32).clamp(1, self.users.get())
    }
}

fn given(mix: &Mix, setup: &Setup) -> Vec<Given> {
    let people = &mix.people;
    let given = |what, value| Given { what, value };
    vec![
        given("members of a team", people.team_size.to_string()),
        given("teams that share an address", format!("{:.0} %", 100.0 * people.same_office)),
        given("plugins", format!("{}, Zipf {}", people.plugins, people.plugin_exponent)),
        given("pages of a visit", people.pages.to_string()),
        given("seconds from page to page", people.think_seconds.to_string()),
        given(
            "visits by a browser that was here before",
            format!("{:.0} %", 100.0 * people.returning),
        ),
        given("a day, of its busiest hour throughout", format!("{:.0} %", 100.0 * mix.day.mean())),
        given("locations of the edge", setup.edge_locations.to_string()),
    ]
}
