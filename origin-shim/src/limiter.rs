//! Where limiter states live in this process: a bounded number of bytes for each limit.
//!
//! A client takes at most 100 bytes and is found by a digest of its key. When a limit's
//! clients are too many, those that expired go first, then the least recently used; nobody
//! goes whom the limit would refuse now, and where all are such, new ones share one quota.

mod blocked;
mod clients;
mod digest;
mod shard;
mod table;

use std::sync::Arc;

pub use blocked::Block;
use clients::Clients;
use digest::Digester;
use tidegate_core::rate::Limit;
use tidegate_core::{Admission, LimitKey, Timestamp};

use crate::by_limit::ByLimit;

/// The clients of all limits of a policy. What is remembered is shared with those that
/// [`Limiter::succeed`] this one.
#[derive(Debug)]
pub struct Limiter {
    digester: Digester,
    clients: ByLimit<Arc<Clients>>,
}

/// Clients of a limit that says nothing about it.
const CLIENTS: usize = 1 << 20;

impl Limiter {
    /// A limiter that knows no client yet.
    pub fn new(limits: &[Limit]) -> Self {
        let clients = |limit: &Limit| Arc::new(Clients::new(limit, capacity(limit)));
        Self { digester: Digester::new(), clients: ByLimit::new(limits, clients) }
    }

    /// The limiter of a policy that comes into force now: what is known of clients stays,
    /// limit by limit.
    #[must_use]
    pub fn succeed(&self, limits: &[Limit], now: Timestamp) -> Self {
        let clients = |limit: &Limit| match self.clients.get(&limit.name) {
            Some(known) if known.suits(limit, capacity(limit)) => Arc::clone(known),
            Some(known) => Arc::new(known.resized(limit, capacity(limit), now)),
            None => Arc::new(Clients::new(limit, capacity(limit))),
        };
        Self { digester: self.digester.clone(), clients: ByLimit::new(limits, clients) }
    }

    /// Decides on one request of the client `key`, and remembers it. `limit` is one of those
    /// that the limiter was made for; by others nobody is counted.
    pub fn admit(&self, limit: &Limit, key: &LimitKey, now: Timestamp) -> Admission {
        match self.clients.get(&limit.name) {
            Some(clients) => clients.admit(limit, key, self.digester.digest(key), now),
            None => Admission::decide(limit, None, now),
        }
    }

    /// Whether `limit` refuses the client `key` at `now`. Counts nothing; a client that is not
    /// known is not refused yet.
    pub fn refuses(&self, limit: &Limit, key: &LimitKey, now: Timestamp) -> bool {
        let refuses = |clients: &Arc<Clients>| {
            let state = clients.state(self.digester.digest(key));
            matches!(Admission::decide(limit, state, now), Admission::Deny { .. })
        };
        self.clients.get(&limit.name).is_some_and(refuses)
    }

    /// Notes that the client `key` is blocked under `limit`, by the word of another store.
    pub fn note_block(&self, limit: &Limit, key: &LimitKey, until: Timestamp, now: Timestamp) {
        if let Some(clients) = self.clients.get(&limit.name) {
            clients.note_block(limit, key, self.digester.digest(key), until, now);
        }
    }

    /// Who is blocked under the limit of this name, in the order of their names: the first
    /// 10,000 that were blocked. Walks through those and no others.
    pub fn blocked(&self, limit: &str, now: Timestamp) -> Vec<Block> {
        self.clients.get(limit).map(|clients| clients.blocked(now)).unwrap_or_default()
    }

    /// Forgets a client under `limit`, by the name that [`Self::blocked`] lists; whether
    /// anything was known of it. Its quota is whole again.
    pub fn unblock(&self, limit: &str, client: &str) -> bool {
        let Some(clients) = self.clients.get(limit) else { return false };
        let parsed = || Some(self.digester.digest(&LimitKey::parse(limit, client)?));
        let digest = clients.named(client).or_else(parsed);
        digest.is_some_and(|digest| clients.forget(digest))
    }

    /// How many clients are remembered under the limit of this name.
    pub fn len(&self, limit: &str) -> usize {
        self.clients.get(limit).map_or(0, |clients| clients.len())
    }
}

fn capacity(limit: &Limit) -> usize {
    limit.clients.map_or(CLIENTS, |clients| clients.get() as usize)
}

#[cfg(test)]
mod tests;
