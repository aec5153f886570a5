//! Circuit breakers: after a few failures in a row nobody asks until a probe succeeds, so that
//! requests do not wait for the time-out each.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::digest::{Digest, SLOTS};
use super::failure::Failure;

/// So many failures in a row open a breaker.
const FAILURES: u32 = 3;
const OPEN: u32 = u32::MAX;
/// Breakers of a cluster. When a master is lost, those of its slots open and others do not.
const PARTS: usize = 64;

/// The breaker of a server, or of one range of a cluster's slots: how many failures in a row.
#[derive(Debug)]
pub(super) struct Breaker(AtomicU32);

/// The breakers of a server or cluster.
#[derive(Debug)]
pub(super) struct Breakers {
    all: Vec<Breaker>,
    /// Why the last one opened.
    why: Mutex<Option<Failure>>,
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) == OPEN
    }

    pub(super) fn succeeded(&self) {
        let reset = |failures| (failures != 0 && failures != OPEN).then_some(0);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reset);
    }

    /// Notes a failure; one that `breaks` the connection is enough. Whether that opened it.
    pub(super) fn failed(&self, breaks: bool) -> bool {
        let count = |failures: u32| match failures {
            OPEN => None,
            _ if breaks || failures + 1 >= FAILURES => Some(OPEN),
            _ => Some(failures + 1),
        };
        let counted = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        counted.is_ok_and(|before| breaks || before + 1 >= FAILURES)
    }

    pub(super) fn close(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Breakers {
    /// All open: nobody has reached the server yet.
    pub(super) fn open(is_cluster: bool) -> Self {
        let count = if is_cluster { PARTS } else { 1 };
        let all = (0..count).map(|_| Breaker(AtomicU32::new(OPEN))).collect();
        Self { all, why: Mutex::default() }
    }

    pub(super) fn of(&self, digest: Digest) -> &Breaker {
        match &*self.all {
            [only] => only,
            parts => &parts[usize::from(digest.slot()) / (SLOTS / PARTS)],
        }
    }

    pub(super) fn any_open(&self) -> bool {
        self.all.iter().any(Breaker::is_open)
    }

    /// Those that are open, and their positions.
    pub(super) fn which_open(&self) -> Vec<usize> {
        (0..self.all.len()).filter(|at| self.all[*at].is_open()).collect()
    }

    pub(super) fn close(&self, at: usize) {
        self.all[at].close();
    }

    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }

    /// Notes why one opened.
    pub(super) fn note(&self, failure: Failure) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// Why one opened, once.
    pub(super) fn why(&self) -> Option<Failure> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// For each breaker of a cluster a digest whose slot it has, to probe with.
pub(super) fn probes() -> Vec<Digest> {
    let mut probes = vec![None; PARTS];
    let mut missing = PARTS;
    for number in 0_u128.. {
        if missing == 0 {
            break;
        }
        let digest = Digest::from_number(number);
        let probe = &mut probes[usize::from(digest.slot()) / (SLOTS / PARTS)];
        if probe.is_none() {
            *probe = Some(digest);
            missing -= 1;
        }
    }
    probes.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_failures_in_a_row_open_it_and_a_broken_connection_at_once() {
        let breaker = Breaker(AtomicU32::new(0));
        assert!(!breaker.failed(false) && !breaker.failed(false));
        breaker.succeeded();
        assert!(!breaker.failed(false) && !breaker.failed(false) && !breaker.is_open());
        assert!(breaker.failed(false) && breaker.is_open());
        assert!(!breaker.failed(false), "it opens once");
        breaker.succeeded();
        assert!(breaker.is_open(), "a late success closes nothing: the probe does");
        breaker.close();
        assert!(!breaker.is_open() && breaker.failed(true) && breaker.is_open());
    }

    #[test]
    fn each_part_of_a_cluster_has_a_probe_of_its_own() {
        let (breakers, probes) = (Breakers::open(true), probes());
        assert_eq!(probes.len(), PARTS);
        (0..PARTS).for_each(|at| breakers.close(at));
        breakers.of(probes[7]).failed(true);
        assert_eq!(breakers.which_open(), [7]);
    }
}
