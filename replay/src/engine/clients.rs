//! What the limits of one tier remember of clients, and whom they refused.

use quick_cache::UnitWeighter;
use quick_cache::unsync::Cache;
use serde::Serialize;
use tidegate_core::rate::{Admission, Limit, State};
use tidegate_core::{LimitKey, Timestamp};

use crate::digest::{self, ByDigest};
use crate::sketch::Distinct;

/// Clients remembered of a limit at most, whatever the policy says.
const CLIENTS_MAX: usize = 1 << 18;

/// One limit on one tier.
#[derive(Debug)]
pub(super) struct Clients {
    states: Cache<u64, State, UnitWeighter, ByDigest>,
    refused_clients: Distinct,
    counts: LimitCounts,
}

/// What one limit has said on one tier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitCounts {
    /// Requests that it was asked about.
    pub asked: u64,
    /// Requests that it refused, or would have refused if it were not rehearsed only.
    pub refused: u64,
    /// Requests that had to wait for their turn.
    pub waited: u64,
    /// For how long in all, in milliseconds.
    pub waited_ms: u64,
}

impl Clients {
    pub(super) fn new(limit: &Limit) -> Self {
        let most = limit.clients.map_or(CLIENTS_MAX, |most| most.get() as usize);
        let most = most.min(CLIENTS_MAX);
        let states = Cache::with(
            most.min(1 << 12),
            most as u64,
            UnitWeighter,
            ByDigest::default(),
            Default::default(),
        );
        Self { states, refused_clients: Distinct::default(), counts: LimitCounts::default() }
    }

    /// Decides on one request of the client `key`, who is counted in `place` by itself.
    pub(super) fn admit(
        &mut self,
        limit: &Limit,
        key: &LimitKey,
        place: u64,
        now: Timestamp,
    ) -> Admission {
        let client = digest::with(digest::digest(&[key.as_bytes()]), place);
        let admission = match self.states.get_mut(&client) {
            Some(mut state) => {
                let admission = Admission::decide(limit, Some(*state), now);
                *state = admission.next_state();
                admission
            }
            None => {
                let admission = Admission::decide(limit, None, now);
                self.states.insert(client, admission.next_state());
                admission
            }
        };
        self.counts.asked += 1;
        match admission {
            Admission::Deny { .. } => {
                self.counts.refused += 1;
                self.refused_clients.add(client);
            }
            Admission::Wait { wait, .. } => {
                self.counts.waited += 1;
                self.counts.waited_ms += wait.as_millis() as u64;
            }
            Admission::Allow { .. } | Admission::Pass => {}
        }
        admission
    }

    pub(super) const fn counts(&self) -> &LimitCounts {
        &self.counts
    }

    pub(super) const fn refused_clients(&self) -> &Distinct {
        &self.refused_clients
    }
}
