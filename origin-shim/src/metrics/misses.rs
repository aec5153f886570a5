//! The latest requests that no stored answer served, and why: a few of each second.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tidegate_core::Timestamp;

use super::hottest::cut;

/// How many are kept.
const KEPT: usize = 64;
/// How many of one second.
const OF_A_SECOND: u32 = 16;

/// The latest.
#[derive(Debug, Default)]
pub struct Misses(Mutex<Latest>);

#[derive(Debug, Default)]
struct Latest {
    misses: VecDeque<Miss>,
    second: u64,
    of_this_second: u32,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// When.
    pub at: Timestamp,
    /// The route's name; empty where none matched.
    pub route: String,
    /// The path, without the query.
    pub path: String,
    /// The word of `X-Cache`.
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// The status of the answer.
    pub status: u16,
}

impl Misses {
    /// Keeps this one, unless there were many this second already. Nobody waits for it.
    pub(crate) fn note(&self, at: Timestamp, miss: impl FnOnce() -> Miss) {
        let Ok(mut latest) = self.0.try_lock() else { return };
        if latest.second != at.as_secs() {
            latest.second = at.as_secs();
            latest.of_this_second = 0;
        }
        if latest.of_this_second == OF_A_SECOND {
            return;
        }
        latest.of_this_second += 1;
        let miss = miss();
        if latest.misses.len() == KEPT {
            latest.misses.pop_front();
        }
        latest.misses.push_back(Miss { path: cut(&miss.path), ..miss });
    }

    /// Those that are kept, the latest first.
    pub fn told(&self) -> Vec<Miss> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.misses.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_a_few_of_each_second_are_kept_and_the_oldest_go() {
        let misses = Misses::default();
        for second in 0..10 {
            for number in 0..100 {
                let at = Timestamp::from_secs(second);
                misses.note(at, || Miss {
                    at,
                    route: "a".into(),
                    path: format!("/{number}"),
                    outcome: "MISS".into(),
                    reason: "uri-miss".into(),
                    status: 200,
                });
            }
        }
        let told = misses.told();
        assert_eq!(told.len(), KEPT);
        assert_eq!((told[0].at.as_secs(), &*told[0].path), (9, "/15"));
        assert_eq!((told[KEPT - 1].at.as_secs(), &*told[KEPT - 1].path), (6, "/0"));
    }
}
