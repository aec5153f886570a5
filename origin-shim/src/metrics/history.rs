//! The last hour, second by second, in a bounded memory: 300 KiB.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tidegate_core::Timestamp;
use tokio::sync::watch;

use super::histogram::Measured;
use super::stats;
use crate::clock;
use crate::control::Control;

/// An hour.
const SECONDS: usize = 3600;

/// What there was in the last hour, and whoever follows what comes.
#[derive(Debug, Default)]
pub struct History {
    seconds: Mutex<VecDeque<Second>>,
    now: watch::Sender<Arc<str>>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Second {
    at: Timestamp,
    requests: u64,
    hits: u64,
    /// Answers with 429.
    refused: u64,
    /// Answers with 5xx.
    failed: u64,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    connections: usize,
    resident: Option<u64>,
}

/// Numbers of all routes together, since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) requests: u64,
    pub(super) hits: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) durations: Measured,
}

impl History {
    /// Takes a look each second, for ever. Whoever follows gets all numbers then.
    pub async fn keep(&self, control: &Control) {
        let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut before = Totals::of(control);
        loop {
            ticks.tick().await;
            let totals = Totals::of(control);
            let connections = control.shared().capacity().map_or(0, |capacity| capacity.held());
            self.add(Second::between(&before, &totals, connections));
            before = totals;
            if self.now.receiver_count() > 0 {
                self.now.send_replace(stats::describe(control).to_string().into());
            }
        }
    }

    /// The numbers of each second that comes, as JSON.
    pub fn follow(&self) -> watch::Receiver<Arc<str>> {
        self.now.subscribe()
    }

    /// The seconds of the last hour, the earliest first.
    pub fn describe(&self) -> Value {
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        seconds.iter().map(Second::describe).collect()
    }

    fn add(&self, second: Second) {
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        if seconds.len() == SECONDS {
            seconds.pop_front();
        }
        seconds.push_back(second);
    }
}

impl Totals {
    fn of(control: &Control) -> Self {
        let in_force = control.shared().in_force();
        let mut totals = Self::default();
        for (_, route) in in_force.metrics.routes() {
            totals.add(&route.told());
        }
        totals
    }

    pub(super) fn add(&mut self, told: &super::RouteTold) {
        self.requests += told.requests();
        self.hits += told.with(&["HIT", "STALE"]);
        self.refused += told.of_status("429");
        self.failed += told.of_class('5');
        self.durations.merge(&told.durations);
    }
}

impl Second {
    /// What has come between two looks. Numbers of routes that are gone do not count.
    fn between(before: &Totals, after: &Totals, connections: usize) -> Self {
        let durations = after.durations.since(&before.durations);
        let quantile = |quantile| durations.quantile(quantile);
        Self {
            at: clock::now(),
            requests: after.requests.saturating_sub(before.requests),
            hits: after.hits.saturating_sub(before.hits),
            refused: after.refused.saturating_sub(before.refused),
            failed: after.failed.saturating_sub(before.failed),
            p50: quantile(0.5),
            p95: quantile(0.95),
            p99: quantile(0.99),
            connections,
            resident: super::process::resident(),
        }
    }

    fn describe(&self) -> Value {
        json!({
            "at": self.at.as_millis(),
            "requests": self.requests,
            "hits": self.hits,
            "refused": self.refused,
            "failed": self.failed,
            "p50": self.p50,
            "p95": self.p95,
            "p99": self.p99,
            "connections": self.connections,
            "resident": self.resident,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_an_hour_is_kept() {
        let history = History::default();
        let totals = |requests| Totals { requests, hits: requests / 2, ..Totals::default() };
        for number in 0..5000 {
            history.add(Second::between(&totals(number), &totals(number * 2), 7));
        }
        let told = history.describe();
        let told = told.as_array().unwrap();
        assert_eq!(told.len(), SECONDS);
        assert_eq!(told[SECONDS - 1]["requests"], 4999);
        assert_eq!(told[0]["requests"], 1400);
        assert_eq!(told[0]["connections"], 7);
    }

    #[test]
    fn p10_a_route_that_is_gone_makes_no_second_negative() {
        let (before, after) = (Totals { requests: 10, ..Totals::default() }, Totals::default());
        assert_eq!(Second::between(&before, &after, 0).requests, 0);
    }
}
