//! Zipf's law: the k-th of many is liked in proportion to 1 / k^s.

use crate::chance::Chance;

/// Draws places by Zipf's law, in constant time and memory however many there are.
///
/// By rejection-inversion: W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates
/// from monotone discrete distributions", 1996.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    count: u32,
    exponent: f64,
    /// The integral of the hat where it begins, and where it ends.
    from: f64,
    to: f64,
    /// What is this near below its number is never rejected.
    squeeze: f64,
}

impl Zipf {
    /// Of `count` places (at least 1), by this exponent, which is positive.
    #[must_use]
    pub fn new(count: u32, exponent: f64) -> Self {
        let count = count.max(1);
        let mut zipf = Self { count, exponent, from: 0.0, to: 0.0, squeeze: 0.0 };
        zipf.from = zipf.integral(1.5) - 1.0;
        zipf.to = zipf.integral(f64::from(count) + 0.5);
        zipf.squeeze = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.density(2.0));
        zipf
    }

    /// A place, from 0 (the one that is liked most) to below the count.
    pub fn draw(&self, chance: &mut Chance) -> u32 {
        loop {
            let under = self.to + chance.unit() * (self.from - self.to);
            let at = self.inverse(under);
            let number = libm::floor(at + 0.5).clamp(1.0, f64::from(self.count));
            let is_squeezed = number - at <= self.squeeze;
            if is_squeezed || under >= self.integral(number + 0.5) - self.density(number) {
                return number as u32 - 1;
            }
        }
    }

    fn density(&self, at: f64) -> f64 {
        libm::exp(-self.exponent * libm::log(at))
    }

    /// The integral of the density from 1 on.
    fn integral(&self, at: f64) -> f64 {
        let log = libm::log(at);
        let rest = 1.0 - self.exponent;
        match rest.abs() < NEAR_ONE {
            true => log,
            false => libm::expm1(rest * log) / rest,
        }
    }

    fn inverse(&self, area: f64) -> f64 {
        let rest = 1.0 - self.exponent;
        match rest.abs() < NEAR_ONE {
            true => libm::exp(area),
            false => libm::exp(libm::log1p((area * rest).max(-1.0)) / rest),
        }
    }
}

/// An exponent this near 1 is 1: the integral is another one there.
const NEAR_ONE: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each of 20 places is drawn beside what the law says, for exponents around 1.
    #[test]
    fn places_are_drawn_by_the_law() {
        const DRAWS: u32 = 200_000;
        for exponent in [0.5, 0.7, 1.0, 1.4] {
            let zipf = Zipf::new(20, exponent);
            let mut chance = Chance::new(7, 1);
            let mut counts = [0_u32; 20];
            for _ in 0..DRAWS {
                counts[zipf.draw(&mut chance) as usize] += 1;
            }
            let weights: Vec<f64> = (1..=20).map(|k| f64::from(k).powf(-exponent)).collect();
            let sum: f64 = weights.iter().sum();
            for (place, weight) in weights.iter().enumerate() {
                let expected = weight / sum * f64::from(DRAWS);
                // Five standard deviations: chance from a seed never gets there, a wrong law does.
                let allowed = 5.0 * expected.sqrt();
                let off = (f64::from(counts[place]) - expected).abs();
                assert!(off < allowed, "place {place} of exponent {exponent}: {counts:?}");
            }
        }
    }

    #[test]
    fn one_place_is_always_the_first() {
        let (zipf, mut chance) = (Zipf::new(1, 0.7), Chance::new(1, 1));
        assert!((0..1000).all(|_| zipf.draw(&mut chance) == 0));
    }

    #[test]
    fn ten_million_places_are_all_within() {
        let (zipf, mut chance) = (Zipf::new(10_000_000, 0.7), Chance::new(1, 1));
        let greatest = (0..10_000).map(|_| zipf.draw(&mut chance)).max().unwrap();
        assert!((5_000_000..10_000_000).contains(&greatest));
    }
}
