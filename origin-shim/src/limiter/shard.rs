//! A part of the clients of a limit, behind one lock.

use tidegate_core::rate::{Limit, State};
use tidegate_core::{Admission, Timestamp};

use super::digest::Digest;
use super::table::{At, Table};

/// States by the digests of clients, bounded in number.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    table: Table,
    capacity: usize,
    /// How many decisions there have been: a clock that tells who was here last.
    decisions: u32,
    /// The slot that is looked at next for what expired.
    hand: usize,
}

/// A verdict.
pub(super) struct Decided {
    pub(super) admission: Admission,
    /// Until when it blocks, if it is what begins the block.
    pub(super) blocks: Option<Timestamp>,
}

/// For each new client so many slots are looked at, so that what expired is gone when a
/// fourth as many have come anew, and no request pays for a walk through all of them.
const SWEPT: usize = 8;
/// A shard with at most so many slots is walked through for the least recently used one; in
/// larger ones it is the least recently used of [`LOOKED_AT`].
const EXACT: usize = 1024;
const LOOKED_AT: usize = 64;

impl Shard {
    /// A shard for at most `capacity` clients with states of at most `state_max` bytes.
    pub(super) fn new(capacity: usize, state_max: usize) -> Self {
        Self { table: Table::new(state_max), capacity, decisions: 0, hand: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.table.len()
    }

    /// Decides on one request and remembers it. `None` for an unknown client when there is no
    /// room for one more.
    pub(super) fn admit(
        &mut self,
        limit: &Limit,
        digest: Digest,
        now: Timestamp,
    ) -> Option<Decided> {
        let (at, before) = match self.table.find(digest) {
            Some(at) => (at, self.state_at(at)),
            None => (self.add(limit, digest, now)?, None),
        };
        let admission = Admission::decide(limit, before, now);
        let next = admission.next_state();
        let blocks = match next {
            State::Blocked { until } if before != Some(next) => Some(until),
            _ => None,
        };
        self.put(at, &next);
        Some(Decided { admission, blocks })
    }

    /// Blocks a client until then, unless it is blocked already or there is no room for it.
    /// Whether it was that.
    pub(super) fn block(
        &mut self,
        limit: &Limit,
        digest: Digest,
        until: Timestamp,
        now: Timestamp,
    ) -> bool {
        let found = self.table.find(digest);
        let state = found.and_then(|at| self.state_at(at));
        if matches!(state, Some(State::Blocked { until }) if until > now) {
            return false;
        }
        let Some(at) = found.or_else(|| self.add(limit, digest, now)) else { return false };
        self.put(at, &State::Blocked { until });
        true
    }

    /// The clients that `limit` would refuse now, or the others, with their states.
    pub(super) fn clients(
        &self,
        limit: &Limit,
        refused: bool,
        now: Timestamp,
    ) -> impl Iterator<Item = (Digest, State)> {
        let taken = (0..self.table.slots()).filter(|at| !self.table.is_free(*at));
        let wanted = taken.filter(move |at| self.is_refused(*at, limit, now) == refused);
        wanted.filter_map(|at| Some((self.table.digest(at), self.state_at(at)?)))
    }

    /// Takes in a client that was in another shard, if there is room and it is not known.
    pub(super) fn take_in(&mut self, digest: Digest, state: &State) {
        if self.table.len() < self.capacity && self.table.find(digest).is_none() {
            let at = self.table.insert(digest);
            self.put(at, state);
        }
    }

    /// The state of a client.
    pub(super) fn state(&self, digest: Digest) -> Option<State> {
        self.state_at(self.table.find(digest)?)
    }

    /// Forgets a client; whether it was known.
    pub(super) fn forget(&mut self, digest: Digest) -> bool {
        let at = self.table.find(digest);
        at.map(|at| self.table.remove(at)).is_some()
    }

    fn state_at(&self, at: At) -> Option<State> {
        State::decode_first(self.table.state(at))
    }

    fn put(&mut self, at: At, state: &State) {
        self.decisions = self.decisions.wrapping_add(1);
        self.table.put(at, state, self.decisions);
    }

    /// A slot for a new client, if there is room or can be made.
    fn add(&mut self, limit: &Limit, digest: Digest, now: Timestamp) -> Option<At> {
        self.sweep(limit, now);
        if self.table.len() >= self.capacity {
            let at = self.dispensable(limit, now)?;
            self.table.remove(at);
        }
        Some(self.table.insert(digest))
    }

    /// Forgets what expired, of the next few slots.
    fn sweep(&mut self, limit: &Limit, now: Timestamp) {
        let mut found_any = false;
        for _ in 0..SWEPT {
            let Some(at) = self.next_in_turn() else { break };
            if !self.table.is_free(at) && self.has_expired(at, limit, now) {
                self.table.remove(at);
                // Whoever has moved here has its turn too.
                self.hand = at;
                found_any = true;
            }
        }
        if found_any {
            self.table.shrink();
        }
    }

    /// The slot to be given to somebody else: one that expired, or else the least recently
    /// used one whose client would not be refused now. What a refused client has used up must
    /// not be forgotten because others come.
    fn dispensable(&mut self, limit: &Limit, now: Timestamp) -> Option<At> {
        let walk = if self.table.slots() <= EXACT { self.table.slots() } else { LOOKED_AT };
        let mut least: Option<(u32, At)> = None;
        for _ in 0..walk {
            let at = self.next_in_turn()?;
            if self.table.is_free(at) {
                continue;
            }
            if self.has_expired(at, limit, now) {
                return Some(at);
            }
            let unused_for = self.decisions.wrapping_sub(self.table.used(at));
            if least.is_none_or(|(longest, _)| unused_for > longest)
                && !self.is_refused(at, limit, now)
            {
                least = Some((unused_for, at));
            }
        }
        least.map(|(_, at)| at)
    }

    fn next_in_turn(&mut self) -> Option<At> {
        let slots = self.table.slots();
        let at = if self.hand < slots { self.hand } else { 0 };
        self.hand = at + 1;
        (at < slots).then_some(at)
    }

    fn has_expired(&self, at: At, limit: &Limit, now: Timestamp) -> bool {
        self.state_at(at).is_none_or(|state| state.expires(limit.window) <= now)
    }

    fn is_refused(&self, at: At, limit: &Limit, now: Timestamp) -> bool {
        let admission = Admission::decide(limit, self.state_at(at), now);
        matches!(admission, Admission::Deny { .. })
    }
}
