//! Which server is asked, and whether any is: the state of an upstream, as pure functions of
//! (rule, state, facts, now).
//!
//! A shell keeps one [`Group`] for each upstream of the policy, under a lock of its own. For each
//! request it asks [`Group::admit`] whether anybody is asked at all, [`Group::choose`] for a server
//! until one answers, and says how it went: [`Group::leave`] and [`Group::tell`]. What goes wrong
//! is judged by [`retry::next`].

pub mod balance;
pub mod breaker;
pub mod health;
pub mod retry;

use alloc::vec::Vec;

pub use balance::Load;
pub use breaker::{Breaker, Call, Open};
pub use health::{Change, Health};
pub use retry::{Asked, Failure, Next};

use crate::policy::Upstream;
use crate::policy::health::UpstreamSeen;
use crate::policy::upstream::SERVERS_MAX;
use crate::time::Timestamp;

/// The state of the servers of one upstream.
#[derive(Clone, Debug)]
pub struct Group {
    loads: Vec<Load>,
    health: Vec<Health>,
    breaker: Breaker,
}

/// Servers by position, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Servers(u64);

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The server at this position, which is at one request more from now on.
    Server(usize),
    /// Every server that could be asked is at as many requests as it may be.
    Busy,
    /// No server is left that could be asked.
    Nobody,
}

impl Group {
    /// The state in which nobody has asked yet: every server counts as up.
    pub fn new(rule: &Upstream) -> Self {
        let servers = rule.servers.iter().take(SERVERS_MAX);
        let load = |weight: u8| Load { weight: weight.into(), active: 0, credit: 0 };
        let loads: Vec<Load> = servers.map(|server| load(server.weight.get())).collect();
        let health = alloc::vec![Health::default(); loads.len()];
        Self { loads, health, breaker: Breaker::default() }
    }

    /// Whether anybody is asked at `now`; always where there is no breaker.
    pub fn admit(&mut self, rule: &Upstream, now: Timestamp) -> Result<Option<Call>, Open> {
        rule.breaker.as_ref().map(|breaker| self.breaker.admit(breaker, now)).transpose()
    }

    /// Chooses a server that has not been `tried`. Backups are chosen when none of the others may
    /// be asked, and those that are left out for their failures when nobody else is up: with a
    /// bad server a request may still succeed. Grows with the number of servers.
    pub fn choose(&mut self, rule: &Upstream, tried: Servers, now: Timestamp) -> Choice {
        let Self { loads, health, .. } = self;
        let untried = (0..loads.len()).filter(|at| !tried.contains(*at) && health[*at].is_up());
        let is_out = |at: &usize| health[*at].is_out(&rule.eject, now);
        let is_backup = |at: &usize| rule.servers.get(*at).is_some_and(|server| server.backup);
        for (backup, out) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut those = untried
                .clone()
                .filter(|at| is_backup(at) == backup && is_out(at) == out)
                .peekable();
            if those.peek().is_none() {
                continue;
            }
            let has_room =
                |active: u32| rule.max_connections.is_none_or(|most| active < most.get());
            let free = Servers::of(those.filter(|at| has_room(loads[*at].active)));
            return match balance::choose(rule.balance, loads, free.iter()) {
                Some(at) => {
                    loads[at].active = loads[at].active.saturating_add(1);
                    Choice::Server(at)
                }
                None => Choice::Busy,
            };
        }
        Choice::Nobody
    }

    /// Takes note that a server is at one request less.
    pub fn leave(&mut self, server: usize) {
        if let Some(load) = self.loads.get_mut(server) {
            load.active = load.active.saturating_sub(1);
        }
    }

    /// Takes note how a request to a server went.
    pub fn tell(
        &mut self,
        rule: &Upstream,
        server: usize,
        failed: Option<Failure>,
        now: Timestamp,
    ) -> Option<Change> {
        let health = self.health.get_mut(server)?;
        match failed {
            // It has answered.
            None | Some(Failure::Status) => health.answered(),
            // It may have closed the connection any time before.
            Some(Failure::Gone) => None,
            Some(Failure::Unreachable | Failure::Broken | Failure::Silent) => {
                health.failed(&rule.eject, now)
            }
        }
    }

    /// Takes note how a call went, all its attempts together; whether that opened or closed the
    /// breaker, and which of the two.
    pub fn conclude(
        &mut self,
        rule: &Upstream,
        call: Call,
        outcome: Outcome,
        now: Timestamp,
    ) -> Option<bool> {
        let was_open = self.breaker.is_open();
        match (&rule.breaker, outcome) {
            (Some(breaker), Outcome::Answered { status }) => {
                let failed = crate::reuse::is_upstream_failure(status);
                self.breaker.tell(breaker, call, failed, now);
            }
            (Some(breaker), Outcome::Failed) => self.breaker.tell(breaker, call, true, now),
            (_, Outcome::Unknown) | (None, _) => self.breaker.forgo(call),
        }
        let is_open = self.breaker.is_open();
        (was_open != is_open).then_some(is_open)
    }

    /// Takes note of what a check of a server found.
    pub fn checked(&mut self, rule: &Upstream, server: usize, passed: bool) -> Option<Change> {
        self.health.get_mut(server)?.checked(rule.health.as_ref()?, passed)
    }

    /// What is known of each server: its load and its health, in their order.
    pub fn servers(&self) -> impl Iterator<Item = (&Load, &Health)> {
        self.loads.iter().zip(&self.health)
    }

    /// What there is to say of it when somebody asks whether requests can be answered.
    pub fn seen(&self, rule: &Upstream, now: Timestamp) -> UpstreamSeen {
        let up = self.health.iter().filter(|health| health.is_up());
        let left_out = up.clone().filter(|health| health.is_out(&rule.eject, now)).count();
        UpstreamSeen {
            servers: self.health.len(),
            up: up.count() - left_out,
            left_out,
            breaker_open: self.breaker.is_open(),
        }
    }

    /// Whether nobody is asked, but for a probe.
    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The head of an answer came.
    Answered {
        /// Its status: 500, 502, 503 and 504 are failures (RFC 5861 §4).
        status: u16,
    },
    /// None came in time.
    Failed,
    /// Nobody knows: whoever asked is gone, or there was no room to ask.
    Unknown,
}

impl Servers {
    fn of(positions: impl Iterator<Item = usize>) -> Self {
        positions.fold(Self::default(), Self::with)
    }

    /// These and the one at this position.
    #[must_use]
    pub const fn with(self, at: usize) -> Self {
        if at < SERVERS_MAX { Self(self.0 | 1 << at) } else { self }
    }

    /// Whether the one at this position is among them.
    pub const fn contains(self, at: usize) -> bool {
        at < SERVERS_MAX && self.0 & 1 << at != 0
    }

    fn iter(self) -> impl Iterator<Item = usize> + Clone {
        (0..SERVERS_MAX).filter(move |at| self.contains(*at))
    }
}

#[cfg(test)]
mod tests;
