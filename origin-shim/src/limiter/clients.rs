//! All clients of one limit.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tidegate_core::rate::{Limit, State};
use tidegate_core::{Admission, LimitKey, Timestamp};

use super::blocked::{Block, Names};
use super::digest::Digest;
use super::shard::{Decided, Shard};

/// The states of one limit's clients, and what goes with them. A shard for every few thousand
/// clients that it may come to hold, each behind its own lock.
#[derive(Debug)]
pub(super) struct Clients {
    shards: Box<[Mutex<Shard>]>,
    /// Bytes of the longest state there is room for.
    state_max: usize,
    capacity: usize,
    /// Clients that there is no room for share this.
    overflow: Mutex<Option<State>>,
    names: Names,
}

/// So many clients of a full shard are the most to be copied, looked through, or waited for.
const SHARD_MAX: usize = 4096;
/// More shards than this cost more memory than they save time.
const SHARDS_MAX: usize = 2048;

impl Clients {
    /// No clients yet, and at most `capacity`.
    pub(super) fn new(limit: &Limit, capacity: usize) -> Self {
        Self::with_room(State::longest(limit), capacity)
    }

    fn with_room(state_max: usize, capacity: usize) -> Self {
        let shards = capacity.div_ceil(SHARD_MAX).next_power_of_two().min(SHARDS_MAX);
        // Rounded down: a bound is a bound.
        let each = (capacity / shards).clamp(1, SHARD_MAX * 2);
        Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::new(each, state_max))).collect(),
            state_max,
            capacity,
            overflow: Mutex::default(),
            names: Names::default(),
        }
    }

    /// Whether states of `limit` fit, and as many as `capacity` and no more.
    pub(super) fn suits(&self, limit: &Limit, capacity: usize) -> bool {
        self.capacity == capacity && State::longest(limit) <= self.state_max
    }

    /// The same clients with room for states of `limit`, and for `capacity` of them. If that
    /// are too few, those that are refused now are the last to go.
    pub(super) fn resized(&self, limit: &Limit, capacity: usize, now: Timestamp) -> Self {
        let state_max = self.state_max.max(State::longest(limit));
        let resized = Self { names: self.names.clone(), ..Self::with_room(state_max, capacity) };
        *lock(&resized.overflow) = *lock(&self.overflow);
        for refused in [true, false] {
            for shard in &self.shards {
                for (digest, state) in lock(shard).clients(limit, refused, now) {
                    lock(resized.shard(digest)).take_in(digest, &state);
                }
            }
        }
        resized
    }

    /// Decides on one request of the client `key` and remembers it.
    pub(super) fn admit(
        &self,
        limit: &Limit,
        key: &LimitKey,
        digest: Digest,
        now: Timestamp,
    ) -> Admission {
        let decided = lock(self.shard(digest)).admit(limit, digest, now);
        let Some(Decided { admission, blocks }) = decided else {
            let mut overflow = lock(&self.overflow);
            let admission = Admission::decide(limit, *overflow, now);
            *overflow = Some(admission.next_state());
            return admission;
        };
        if let Some(until) = blocks {
            self.names.add(digest, Block { client: key.to_string(), until }, now);
        }
        admission
    }

    /// Notes a block that another store has begun, if it is new and there is room.
    pub(super) fn note_block(
        &self,
        limit: &Limit,
        key: &LimitKey,
        digest: Digest,
        until: Timestamp,
        now: Timestamp,
    ) {
        if lock(self.shard(digest)).block(limit, digest, until, now) {
            self.names.add(digest, Block { client: key.to_string(), until }, now);
        }
    }

    /// Who is blocked at `now`, by name.
    pub(super) fn blocked(&self, now: Timestamp) -> Vec<Block> {
        let mut blocked = Vec::new();
        for (digest, block) in self.names.all() {
            match lock(self.shard(digest)).state(digest) {
                Some(State::Blocked { until }) if until > now => {
                    blocked.push(Block { until, ..block });
                }
                _ => self.names.remove(digest),
            }
        }
        blocked.sort_by(|a, b| a.client.cmp(&b.client));
        blocked
    }

    /// What is known of a client.
    pub(super) fn state(&self, digest: Digest) -> Option<State> {
        lock(self.shard(digest)).state(digest)
    }

    /// Who is called so, if that is known here.
    pub(super) fn named(&self, client: &str) -> Option<Digest> {
        self.names.of(client)
    }

    /// Forgets a client; whether it was known.
    pub(super) fn forget(&self, digest: Digest) -> bool {
        self.names.remove(digest);
        lock(self.shard(digest)).forget(digest)
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn shard(&self, digest: Digest) -> &Mutex<Shard> {
        &self.shards[digest.shard(self.shards.len())]
    }
}

/// A panic while it was held leaves whole states behind, so they stay good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
