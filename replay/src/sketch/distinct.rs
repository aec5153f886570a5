//! How many different things there were: exactly while they are few, then an estimate.

use std::collections::HashSet;

use serde::Serialize;

use crate::digest::{self, ByDigest};

/// Up to so many are counted one by one.
const EXACT_MAX: usize = 4096;
/// 2^12 registers: an estimate is off by 1.04 / √4096, which is 1.6 %, in two cases of three.
const REGISTER_BITS: u32 = 12;
const REGISTERS: usize = 1 << REGISTER_BITS;

/// Counts different digests; HyperLogLog (Flajolet et al. 2007) where they are many.
#[derive(Debug)]
pub(crate) enum Distinct {
    Exact(HashSet<u64, ByDigest>),
    Estimate(Box<[u8; REGISTERS]>),
}

/// A number, and whether it is an estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many.
    pub count: u64,
    /// It may be off by some hundredths.
    pub is_estimate: bool,
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(HashSet::default())
    }
}

impl Distinct {
    pub(crate) fn add(&mut self, what: u64) {
        match self {
            Self::Exact(known) => {
                known.insert(what);
                if known.len() > EXACT_MAX {
                    let mut registers = Box::new([0; REGISTERS]);
                    known.iter().for_each(|what| note(&mut registers, *what));
                    *self = Self::Estimate(registers);
                }
            }
            Self::Estimate(registers) => note(registers, what),
        }
    }

    pub(crate) fn count(&self) -> Count {
        match self {
            Self::Exact(known) => Count { count: known.len() as u64, is_estimate: false },
            Self::Estimate(registers) => Count { count: estimate(registers), is_estimate: true },
        }
    }
}

fn note(registers: &mut [u8; REGISTERS], what: u64) {
    let mixed = digest::with(what, 1);
    let register = &mut registers[(mixed >> (64 - REGISTER_BITS)) as usize];
    let rest = (mixed << REGISTER_BITS) | 1 << (REGISTER_BITS - 1);
    *register = (*register).max(rest.leading_zeros() as u8 + 1);
}

fn estimate(registers: &[u8; REGISTERS]) -> u64 {
    let size = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|rank| f64::from(*rank).exp2().recip()).sum();
    let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
    let empty = registers.iter().filter(|rank| **rank == 0).count();
    // Few in many registers: counting the empty ones tells more.
    match raw <= 2.5 * size && empty > 0 {
        true => (size * (size / empty as f64).ln()).round() as u64,
        false => raw.round() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(count: u64) -> Count {
        let mut distinct = Distinct::default();
        for turn in 0..2 * count {
            distinct.add(digest::with(turn % count, 7));
        }
        distinct.count()
    }

    #[test]
    fn few_are_counted_exactly_and_many_within_hundredths() {
        for few in [1, 100, 4096] {
            assert_eq!(counted(few), Count { count: few, is_estimate: false });
        }
        for many in [5_000, 20_000, 300_000] {
            let Count { count, is_estimate } = counted(many);
            assert!(is_estimate && count.abs_diff(many) < many / 20, "{count} of {many}");
        }
    }
}
