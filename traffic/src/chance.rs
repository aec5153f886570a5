//! Chance from a seed.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng as _;

/// A sequence of numbers that look like chance, always the same for a seed and a stream.
///
/// PCG is defined by its paper and in integers alone, and logarithms are computed in software, so
/// that all platforms agree.
#[derive(Clone, Debug)]
pub struct Chance(Pcg32);

impl Chance {
    /// The sequence of `seed`; each `stream` of a seed is a sequence of its own.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        // Streams of one state begin alike: each has a state of its own besides.
        Self(Pcg32::new(seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15), stream))
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        // As many bits as a double has: none is rounded.
        const BITS: u32 = 53;
        (self.0.next_u64() >> (64 - BITS)) as f64 / (1_u64 << BITS) as f64
    }

    /// From 0 to below `end`, which is not 0.
    pub fn below(&mut self, end: u32) -> u32 {
        // The high half of the product (Lemire); what is uneven is at most `end` in 2^32.
        ((u64::from(self.0.next_u32()) * u64::from(end)) >> 32) as u32
    }

    /// Whether something happens that does so with this probability.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// How long until what happens at random and once in `mean`.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -libm::log(1.0 - self.unit()) * mean
    }

    /// A place among weights; 0 if all weigh nothing.
    pub fn weighted(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let sum: u32 = weights.clone().sum();
        let mut left = self.below(sum.max(1));
        for (place, weight) in weights.enumerate() {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return place,
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_on_every_platform() {
        let mut chance = Chance::new(42, 54);
        let units: Vec<u64> = (0..3).map(|_| (chance.unit() * 1e15) as u64).collect();
        assert_eq!(units, [75_107_623_384_466, 667_353_437_210_499, 751_892_566_782_563]);
        let gap = Chance::new(42, 54).exponential(1.0);
        assert_eq!(gap.to_bits(), 4_590_290_526_129_319_676);
    }

    #[test]
    fn weights_are_kept() {
        let mut chance = Chance::new(1, 1);
        let mut counts = [0_u32; 3];
        for _ in 0..30_000 {
            counts[chance.weighted([10, 0, 20].into_iter())] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((9_500..10_500).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn exponential_gaps_have_their_mean() {
        let mut chance = Chance::new(3, 3);
        let sum: f64 = (0..50_000).map(|_| chance.exponential(25.0)).sum();
        assert!((24.5..25.5).contains(&(sum / 50_000.0)), "{sum}");
    }
}
