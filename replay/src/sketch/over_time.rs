//! Counts by time, in a bounded number of slices that double their width when time runs out.

use serde::Serialize;
use tidegate_core::Timestamp;

/// Slices at most.
const SLICES_MAX: usize = 240;
/// The width of the first slices, in seconds.
const NARROWEST: u64 = 1;

/// Requests by the time at which they came.
#[derive(Clone, Debug)]
pub(crate) struct OverTime {
    slices: Vec<Slice>,
    begins: u64,
    width: u64,
}

/// What became of the requests of some seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Slice {
    /// When it begins, in seconds since 1970.
    pub begins: u64,
    /// How many seconds it has.
    pub seconds: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Those that the edge answered from its store.
    pub edge_hits: u64,
    /// Those that the shim answered from its store.
    pub origin_hits: u64,
    /// Those that limits refused.
    pub refused: u64,
    /// Questions that reached the origin, those included for which no client waited.
    pub reached_origin: u64,
    /// Bytes of bodies that clients got.
    pub bytes: u64,
    /// Bytes of bodies that the origin sent.
    pub origin_bytes: u64,
}

impl Default for OverTime {
    fn default() -> Self {
        Self { slices: Vec::new(), begins: 0, width: NARROWEST }
    }
}

impl OverTime {
    /// The slice of `now`, which is never before that of an earlier call.
    pub(crate) fn at(&mut self, now: Timestamp) -> &mut Slice {
        let now = now.as_secs();
        if self.slices.is_empty() {
            self.begins = now;
        }
        // The first slice begins at a multiple of the width, as people draw time.
        while (now.saturating_sub(self.first())) / self.width >= SLICES_MAX as u64 {
            self.widen();
        }
        let at = ((now.saturating_sub(self.first())) / self.width) as usize;
        if at >= self.slices.len() {
            self.slices.resize(at + 1, Slice::default());
        }
        &mut self.slices[at]
    }

    /// All slices from the first request to the last.
    pub(crate) fn told(&self) -> Vec<Slice> {
        let told = self.slices.iter().zip(0..).map(|(slice, at)| Slice {
            begins: self.first() + at * self.width,
            seconds: self.width,
            ..*slice
        });
        told.collect()
    }

    const fn first(&self) -> u64 {
        self.begins - self.begins % self.width
    }

    fn widen(&mut self) {
        let before = (self.first(), self.width);
        let factor = wider(self.width) / self.width;
        self.width *= factor;
        let mut slices = Vec::with_capacity(SLICES_MAX);
        for (slice, at) in self.slices.iter().zip(0..) {
            let begins = before.0 + at * before.1;
            let to = ((begins - self.first()) / self.width) as usize;
            if to >= slices.len() {
                slices.resize(to + 1, Slice::default());
            }
            slices[to].add(slice);
        }
        self.slices = slices;
    }
}

/// The next width that people think in and that is a multiple of the last.
const fn wider(width: u64) -> u64 {
    match width {
        1 => 5,
        5 => 10,
        10 => 30,
        30 => 60,
        60 => 300,
        300 => 600,
        600 => 1_800,
        1_800 => 3_600,
        3_600 => 7_200,
        7_200 => 21_600,
        21_600 => 43_200,
        43_200 => 86_400,
        _ => width.saturating_mul(2),
    }
}

impl Slice {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.edge_hits += other.edge_hits;
        self.origin_hits += other.origin_hits;
        self.refused += other.refused;
        self.reached_origin += other.reached_origin;
        self.bytes += other.bytes;
        self.origin_bytes += other.origin_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_widen_and_lose_nothing() {
        let mut over = OverTime::default();
        for second in 0..100_000_u64 {
            over.at(Timestamp::from_secs(1_795_000_013 + second)).requests += 1;
        }
        let told = over.told();
        assert!(told.len() <= SLICES_MAX, "{}", told.len());
        assert_eq!(told.iter().map(|slice| slice.requests).sum::<u64>(), 100_000);
        assert_eq!(told[0].seconds, 600);
        assert_eq!(told[0].begins % 600, 0);
        assert_eq!(told[1].requests, 600);
    }

    #[test]
    fn a_gap_of_years_costs_nothing() {
        let mut over = OverTime::default();
        over.at(Timestamp::from_secs(1)).requests += 1;
        over.at(Timestamp::from_secs(4_000_000_000)).requests += 1;
        assert!(over.slices.len() <= SLICES_MAX);
        over.at(Timestamp::MAX).requests += 1;
        assert_eq!(over.told().iter().map(|slice| slice.requests).sum::<u64>(), 3);
    }
}
