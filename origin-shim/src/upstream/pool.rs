//! Idle connections of one thread, kept for the next request.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::exchange::Connection;
use super::group::{Group, Slot};

/// Idle connections are closed after this: before a server does, since many do after 5 s.
const IDLE: Duration = Duration::from_secs(4);

/// Idle connections, by server; those that were used last are used first.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_server: HashMap<u64, Vec<Idle>>,
    /// Somebody closes those whose time is up.
    is_swept: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
    _place: Place,
}

/// One of the idle connections that an upstream may have.
#[derive(Debug)]
struct Place(Arc<Group>);

impl Pool {
    /// A connection to the server of `slot` that is still good, as far as can be told.
    /// Where a request must not be sent twice, the system is asked `surely` whether the server has
    /// closed it.
    pub(super) fn take(&self, slot: &Slot, surely: bool) -> Option<Connection> {
        let mut kept = self.lock();
        let idle = kept.by_server.get_mut(&slot.server().id)?;
        while let Some(last) = idle.pop() {
            if last.since.elapsed() < IDLE && !last.connection.stream.is_stale(surely) {
                return Some(last.connection);
            }
        }
        None
    }

    /// Keeps a connection to the server of `slot`, unless its upstream has enough of them.
    pub(super) fn keep(self: &Arc<Self>, slot: &Slot, connection: Connection) {
        let Some(place) = Place::take(slot.group()) else { return };
        let idle = Idle { connection, since: Instant::now(), _place: place };
        let mut kept = self.lock();
        kept.by_server.entry(slot.server().id).or_default().push(idle);
        if !kept.is_swept {
            kept.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes those whose time is up; whether any are left.
    fn close_old(&self) -> bool {
        let mut kept = self.lock();
        kept.by_server.retain(|_, idle| {
            let old = idle.iter().take_while(|idle| idle.since.elapsed() >= IDLE).count();
            idle.drain(..old);
            !idle.is_empty()
        });
        kept.is_swept = !kept.by_server.is_empty();
        kept.is_swept
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE).await;
        if !pool.upgrade().is_some_and(|pool| pool.close_old()) {
            return;
        }
    }
}

impl Place {
    fn take(group: &Arc<Group>) -> Option<Self> {
        let most = group.rule.keepalive as usize;
        let more = |idle| (idle < most).then_some(idle + 1);
        group.idle.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(group)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.idle.fetch_sub(1, Ordering::Relaxed);
    }
}
