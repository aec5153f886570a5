//! What is asked for most, in a bounded memory.
//!
//! The "space saving" sketch (Metwally, Agrawal, El Abbadi 2005): whoever is new takes the place
//! of who was seen least, and its count. What makes up more than one in [`PLACES`] of all is in it for
//! certain, and a count is at most that of the replaced one too high.

use std::collections::HashMap;

use serde::Serialize;

use crate::digest::ByDigest;

/// Things that are told apart.
const PLACES: usize = 512;
/// Bytes of a name that are kept.
const NAME_MAX: usize = 160;

/// Counts what is asked for.
#[derive(Debug, Default)]
pub(crate) struct Hottest {
    /// A heap: whoever was seen least is first.
    heap: Vec<Place>,
    at: HashMap<u64, usize, ByDigest>,
}

#[derive(Debug)]
struct Place {
    digest: u64,
    hot: Hot,
}

/// Something that was asked for often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hot {
    /// Host and path, without the query: that may be nobody's business.
    pub name: String,
    /// The route's name; empty where none matched.
    pub route: String,
    /// How often it was asked for, at most.
    pub requests: u64,
    /// By how much that may be too high.
    pub excess: u64,
    /// How many of these requests reached the origin.
    pub reached_origin: u64,
}

impl Hottest {
    /// Counts one request; `name` writes what a new one is called.
    pub(crate) fn add(
        &mut self,
        digest: u64,
        reached_origin: bool,
        route: &str,
        name: impl FnOnce(&mut String),
    ) {
        let at = match self.at.get(&digest) {
            Some(at) => *at,
            None if self.heap.len() < PLACES => {
                self.heap.push(Place { digest, hot: Hot::default() });
                let at = self.heap.len() - 1;
                self.at.insert(digest, at);
                self.heap[at].hot.named(route, name);
                self.sift_up(at)
            }
            None => {
                let place = &mut self.heap[0];
                self.at.remove(&place.digest);
                place.digest = digest;
                place.hot.excess = place.hot.requests;
                place.hot.reached_origin = 0;
                place.hot.named(route, name);
                self.at.insert(digest, 0);
                0
            }
        };
        let hot = &mut self.heap[at].hot;
        hot.requests += 1;
        hot.reached_origin += u64::from(reached_origin);
        self.sift_down(at);
    }

    /// The hottest, those first that were asked for most.
    pub(crate) fn told(&self, most: usize) -> Vec<Hot> {
        let mut told: Vec<&Hot> = self.heap.iter().map(|place| &place.hot).collect();
        told.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.name.cmp(&b.name)));
        told.into_iter().take(most).cloned().collect()
    }

    fn sift_up(&mut self, mut at: usize) -> usize {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.heap[parent].hot.requests <= self.heap[at].hot.requests {
                break;
            }
            self.swap(at, parent);
            at = parent;
        }
        at
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let requests = |at: usize| self.heap.get(at).map_or(u64::MAX, |p| p.hot.requests);
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let least = if requests(right) < requests(left) { right } else { left };
            if requests(at) <= requests(least) {
                return;
            }
            self.swap(at, least);
            at = least;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.at.insert(self.heap[one].digest, one);
        self.at.insert(self.heap[other].digest, other);
    }
}

impl Hot {
    fn named(&mut self, route: &str, name: impl FnOnce(&mut String)) {
        self.route.clear();
        self.route.push_str(route);
        self.name.clear();
        name(&mut self.name);
        if self.name.len() > NAME_MAX {
            let end = (0..=NAME_MAX).rev().find(|end| self.name.is_char_boundary(*end));
            self.name.truncate(end.unwrap_or(0));
            self.name.push('…');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_counted_exactly_and_the_hottest_survives_a_crowd() {
        let mut hottest = Hottest::default();
        let mut add = |number: u64| hottest.add(number, false, "r", |name| name.push_str("/x"));
        for turn in 0..100_000 {
            add(1_000_000 + turn);
            if turn % 20 == 0 {
                add(7);
            }
        }
        assert_eq!(hottest.heap.len(), PLACES);
        assert_eq!(hottest.at.len(), PLACES);
        let first = &hottest.told(1)[0];
        assert!((5_000..=5_300).contains(&first.requests), "{first:?}");
        assert!(first.requests - first.excess <= 5_000);

        let mut few = Hottest::default();
        for number in 0..300_u64 {
            (0..=number).for_each(|_| few.add(number, true, "", |name| name.push('x')));
        }
        let told = few.told(2);
        assert_eq!(told.iter().map(|hot| hot.requests).collect::<Vec<_>>(), [300, 299]);
        assert_eq!((told[0].excess, told[0].reached_origin), (0, 300));
    }
}
