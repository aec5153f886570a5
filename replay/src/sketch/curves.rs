//! Hit ratio against the size of a cache and against the time to live, both from one pass.
//!
//! Of all keys those are looked at whose digest is below a line, which sinks so that no more than
//! [`KEYS_MAX`] are (SHARDS with a fixed size, Waldspurger et al., FAST '15). With fewer keys
//! than that all are, and the curves are exact for a cache that evicts what was used least recently.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;
use tidegate_core::Timestamp;

use crate::digest::ByDigest;

/// Keys that are looked at.
const KEYS_MAX: usize = 8192;
/// Places in the order of use, twice as many as keys so that it is seldom renumbered.
const PLACES: usize = 2 * KEYS_MAX;

/// The times to live that are tried, in seconds.
pub const TTLS: [u64; 18] = [
    1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 259_200,
    604_800, 2_592_000,
];
/// Sizes that are tried: powers of two from 64 KiB on, two to each.
const SIZES: usize = 56;
const SMALLEST: f64 = 65_536.0;

/// What became of a request in the cache that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen {
    /// A stored answer served.
    Served,
    /// The origin's answer was kept, and serves until then.
    Kept(Timestamp),
    /// The origin's answer was not kept, since it is for nobody else.
    NotKept,
}

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Bytes, or seconds.
    pub at: f64,
    /// The part of the requests that a stored answer would have served, of 1.
    pub hit_ratio: f64,
    /// The part of the bytes, of 1.
    pub byte_hit_ratio: f64,
}

/// A curve, and what it rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curve {
    /// Its points, `at` growing.
    pub points: Vec<Point>,
    /// The part of the keys that were looked at, of 1.
    pub sampled: f64,
}

/// Watches the requests to a cache.
#[derive(Debug)]
pub(crate) struct Curves {
    keys: HashMap<u64, Key, ByDigest>,
    by_digest: BTreeSet<u64>,
    /// Digests below this are looked at.
    line: u64,
    order: Order,
    /// By route: the requests, and those that would have been hits with each of [`TTLS`].
    by_ttl: Vec<Tries<{ TTLS.len() }>>,
    by_size: Tries<SIZES>,
}

#[derive(Debug)]
struct Key {
    /// When it was used, in [`Order`].
    place: usize,
    bytes: u64,
    /// Until when it serves by the policy, in a cache without bounds.
    serves_until: Timestamp,
    /// When it was fetched last, with each of [`TTLS`], in seconds; 0 for never.
    fetched: [u64; TTLS.len()],
}

/// Requests and bytes in all, and those that would have been hits with each setting.
#[derive(Clone, Debug)]
struct Tries<const N: usize> {
    requests: f64,
    bytes: f64,
    hits: [(f64, f64); N],
}

impl<const N: usize> Default for Tries<N> {
    fn default() -> Self {
        Self { requests: 0.0, bytes: 0.0, hits: [(0.0, 0.0); N] }
    }
}

impl Curves {
    /// For a policy with so many routes.
    pub(crate) fn new(routes: usize) -> Self {
        Self {
            keys: HashMap::default(),
            by_digest: BTreeSet::new(),
            line: u64::MAX,
            order: Order::default(),
            by_ttl: vec![Tries::default(); routes],
            by_size: Tries::default(),
        }
    }

    /// Takes note of a request for `key` on `route`: `sent` bytes went to the client, and `weight`
    /// is what the answer takes when it is stored.
    pub(crate) fn see(
        &mut self,
        key: u64,
        route: usize,
        (sent, weight): (u64, u64),
        now: Timestamp,
        seen: Seen,
    ) {
        if key >= self.line {
            return;
        }
        let sent = sent as f64;
        self.by_size.count(sent);
        if let Some(tries) = self.by_ttl.get_mut(route) {
            tries.count(sent);
        }
        if !self.keys.contains_key(&key) {
            self.add(key, weight);
        }
        let scale = self.scale();
        if self.order.is_full() {
            self.renumber();
        }
        let Some(known) = self.keys.get_mut(&key) else { return };

        let distance = self.order.above(known.place) + weight as f64;
        self.order.remove(known.place, known.bytes);
        known.bytes = weight;
        known.place = self.order.push(weight);
        let would_serve = now < known.serves_until;
        if would_serve {
            self.by_size.hit_from(size_index(distance * scale), sent);
        } else {
            known.serves_until = match seen {
                Seen::Kept(until) => until,
                // Here it is there, and only a cache without bounds is said not to have it: it was
                // served past its time, which the policy allows.
                Seen::Served => known.serves_until,
                Seen::NotKept => Timestamp::EPOCH,
            };
        }

        let now = now.as_secs().max(1);
        let is_kept = !matches!(seen, Seen::NotKept);
        let Some(tries) = self.by_ttl.get_mut(route) else { return };
        for ((fetched, ttl), hits) in known.fetched.iter_mut().zip(TTLS).zip(&mut tries.hits) {
            if *fetched > 0 && now - *fetched < ttl {
                hits.0 += 1.0;
                hits.1 += sent;
            } else {
                *fetched = if is_kept { now } else { 0 };
            }
        }
    }

    /// Hit ratio against size, for answers that live as long as the policy says.
    pub(crate) fn by_size(&self) -> Curve {
        let at = (0..SIZES).map(size);
        // Every larger cache has the hits of the smaller ones.
        let mut sum = (0.0, 0.0);
        let summed = self.by_size.hits.map(|hits| {
            sum = (sum.0 + hits.0, sum.1 + hits.1);
            sum
        });
        let Tries { requests, bytes, .. } = self.by_size;
        self.curve(at, summed, requests, bytes)
    }

    /// Hit ratio against the time to live on this route, for a cache without bounds. `None` where
    /// nothing was asked for.
    pub(crate) fn by_ttl(&self, route: usize) -> Option<Curve> {
        let tries = self.by_ttl.get(route).filter(|tries| tries.requests > 0.0)?;
        let at = TTLS.iter().map(|ttl| *ttl as f64);
        Some(self.curve(at, tries.hits, tries.requests, tries.bytes))
    }

    /// How many keys are looked at.
    pub(crate) fn keys(&self) -> usize {
        self.keys.len()
    }

    fn curve<const N: usize>(
        &self,
        at: impl Iterator<Item = f64>,
        hits: [(f64, f64); N],
        requests: f64,
        bytes: f64,
    ) -> Curve {
        let part = |of: f64, all: f64| if all > 0.0 { of / all } else { 0.0 };
        let point = |(at, hits): (f64, (f64, f64))| Point {
            at,
            hit_ratio: part(hits.0, requests),
            byte_hit_ratio: part(hits.1, bytes),
        };
        Curve { points: at.zip(hits).map(point).collect(), sampled: self.scale().recip() }
    }

    /// How many keys stand behind each that is looked at.
    fn scale(&self) -> f64 {
        match self.line {
            u64::MAX => 1.0,
            line => u64::MAX as f64 / line as f64,
        }
    }

    fn add(&mut self, key: u64, weight: u64) {
        if self.keys.len() >= KEYS_MAX {
            self.sink();
            if key >= self.line {
                return;
            }
        }
        if self.order.is_full() {
            self.renumber();
        }
        let place = self.order.push(weight);
        self.by_digest.insert(key);
        let (serves_until, fetched) = (Timestamp::EPOCH, [0; TTLS.len()]);
        self.keys.insert(key, Key { place, bytes: weight, serves_until, fetched });
    }

    /// Lowers the line by an eighth of the keys, and what was counted with it.
    fn sink(&mut self) {
        let before = self.line;
        for _ in 0..KEYS_MAX / 8 {
            let Some(highest) = self.by_digest.pop_last() else { return };
            self.line = highest;
            if let Some(gone) = self.keys.remove(&highest) {
                self.order.remove(gone.place, gone.bytes);
            }
        }
        let part = self.line as f64 / before as f64;
        self.by_size.shrink(part);
        self.by_ttl.iter_mut().for_each(|tries| tries.shrink(part));
    }

    fn renumber(&mut self) {
        let mut keys: Vec<&mut Key> = self.keys.values_mut().collect();
        keys.sort_unstable_by_key(|key| key.place);
        self.order = Order::default();
        for key in keys {
            key.place = self.order.push(key.bytes);
        }
    }
}

impl<const N: usize> Tries<N> {
    fn count(&mut self, bytes: f64) {
        self.requests += 1.0;
        self.bytes += bytes;
    }

    fn hit_from(&mut self, at: usize, bytes: f64) {
        if let Some(hits) = self.hits.get_mut(at) {
            hits.0 += 1.0;
            hits.1 += bytes;
        }
    }

    fn shrink(&mut self, part: f64) {
        self.requests *= part;
        self.bytes *= part;
        for hits in &mut self.hits {
            hits.0 *= part;
            hits.1 *= part;
        }
    }
}

fn size(index: usize) -> f64 {
    SMALLEST * (index as f64 / 2.0).exp2()
}

/// The smallest size that holds so many bytes.
fn size_index(bytes: f64) -> usize {
    (2.0 * (bytes / SMALLEST).log2()).ceil().max(0.0) as usize
}

/// Bytes in the order in which they were used last: a Fenwick tree over places.
#[derive(Debug)]
struct Order {
    sums: Vec<i64>,
    next: usize,
    all: i64,
}

impl Default for Order {
    fn default() -> Self {
        Self { sums: vec![0; PLACES + 1], next: 0, all: 0 }
    }
}

impl Order {
    const fn is_full(&self) -> bool {
        self.next >= PLACES
    }

    /// The place behind all others.
    fn push(&mut self, bytes: u64) -> usize {
        let place = self.next;
        self.next += 1;
        self.change(place, bytes as i64);
        place
    }

    fn remove(&mut self, place: usize, bytes: u64) {
        self.change(place, -(bytes as i64));
    }

    fn change(&mut self, place: usize, by: i64) {
        self.all += by;
        let mut at = place + 1;
        while let Some(sum) = self.sums.get_mut(at) {
            *sum += by;
            at += at & at.wrapping_neg();
        }
    }

    /// The bytes behind `place`: what was used since.
    fn above(&self, place: usize) -> f64 {
        let (mut at, mut up_to) = (place + 1, 0);
        while at > 0 {
            up_to += self.sums.get(at).copied().unwrap_or_default();
            at -= at & at.wrapping_neg();
        }
        (self.all - up_to) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;

    const START: u64 = 1_795_000_000;

    fn see(curves: &mut Curves, key: u64, second: u64, seen: Seen) {
        let now = Timestamp::from_secs(START + second);
        curves.see(digest::with(key, 3), 0, (1000, 65_536), now, seen);
    }

    fn kept() -> Seen {
        Seen::Kept(Timestamp::MAX)
    }

    fn at(curve: &Curve, at: f64) -> f64 {
        curve.points.iter().find(|point| point.at == at).expect("a point").hit_ratio
    }

    #[test]
    fn a_time_to_live_catches_what_comes_within_it() {
        let mut curves = Curves::new(1);
        // Every 20 seconds for 200.
        for turn in 0..10 {
            see(&mut curves, 1, 20 * turn, kept());
        }
        let curve = curves.by_ttl(0).expect("requests");
        assert_eq!(curve.sampled, 1.0);
        assert_eq!(at(&curve, 10.0), 0.0);
        assert_eq!(at(&curve, 30.0), 0.5, "fetched at every other");
        assert_eq!(at(&curve, 60.0), 0.6, "fetched at 0, 60, 120 and 180");
        assert_eq!(at(&curve, 300.0), 0.9);
    }

    #[test]
    fn a_cache_holds_what_was_used_within_its_size() {
        let mut curves = Curves::new(1);
        // Eight keys of 64 KiB in a circle: a hit takes room for all eight.
        for turn in 0..80 {
            see(&mut curves, turn % 8, turn, kept());
        }
        let curve = curves.by_size();
        assert_eq!(at(&curve, 262_144.0), 0.0);
        assert_eq!(at(&curve, 524_288.0), 0.9);
    }

    #[test]
    fn what_is_not_kept_is_no_hit_anywhere() {
        let mut curves = Curves::new(1);
        (0..10).for_each(|turn| see(&mut curves, 1, turn, Seen::NotKept));
        assert!(curves.by_size().points.iter().all(|point| point.hit_ratio == 0.0));
        assert!(curves.by_ttl(0).unwrap().points.iter().all(|point| point.hit_ratio == 0.0));
    }

    #[test]
    fn a_sample_of_many_keys_comes_close_to_all_of_them() {
        let mut curves = Curves::new(1);
        // 60,000 keys, each asked for five times in turns.
        for turn in 0..300_000_u64 {
            see(&mut curves, turn % 60_000, turn / 1000, kept());
        }
        assert!(curves.keys() <= KEYS_MAX);
        let curve = curves.by_size();
        assert!(curve.sampled < 0.2, "{}", curve.sampled);
        let whole = 60_000.0 * 65_536.0;
        for point in &curve.points {
            if point.at < 0.8 * whole {
                assert_eq!(point.hit_ratio, 0.0, "{point:?}");
            } else if point.at > 1.25 * whole {
                assert!((point.hit_ratio - 0.8).abs() < 0.05, "{point:?}");
            }
        }
    }
}
