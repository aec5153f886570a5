//! What was invalidated, and whether an answer began before that: a bounded memory, which forgets
//! in one direction alone.

use std::collections::HashMap;

use crate::digest::ByDigest;

/// Names remembered one by one, as many as the shim does. Beyond that the older half becomes one
/// line in time, behind which every answer counts as invalidated.
const REMEMBERED_MAX: usize = 1 << 16;

/// What is void, and since when, as a number: what has a lower one began before.
#[derive(Debug, Default)]
pub(super) struct Voids {
    by_name: HashMap<u64, u64, ByDigest>,
    count: u64,
    floor: u64,
}

impl Voids {
    /// When an answer begins.
    pub(super) const fn begin(&self) -> u64 {
        self.count
    }

    /// Makes all answers that go by `name` void that have begun.
    pub(super) fn add(&mut self, name: u64) {
        self.count += 1;
        self.by_name.insert(name, self.count);
        if self.by_name.len() > REMEMBERED_MAX {
            let mut numbers: Vec<u64> = self.by_name.values().copied().collect();
            let middle = numbers.len() / 2;
            let (_, line, _) = numbers.select_nth_unstable(middle);
            self.floor = *line;
            let floor = self.floor;
            self.by_name.retain(|_, number| *number > floor);
        }
    }

    /// Whether an answer that goes by these names, and was asked for then, is void.
    pub(super) fn cover(&self, names: &[u64], began: u64) -> bool {
        began < self.floor
            || (began < self.count
                && names.iter().any(|name| self.by_name.get(name).is_some_and(|at| began < *at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_began_before_is_void() {
        let mut voids = Voids::default();
        let before = voids.begin();
        voids.add(7);
        let behind = voids.begin();
        assert!(voids.cover(&[3, 7], before));
        assert!(!voids.cover(&[3], before));
        assert!(!voids.cover(&[7], behind));
    }

    #[test]
    fn what_is_forgotten_counts_as_void() {
        let mut voids = Voids::default();
        let before = voids.begin();
        (0..=REMEMBERED_MAX as u64).for_each(|name| voids.add(name));
        assert!(voids.by_name.len() <= REMEMBERED_MAX);
        assert!(voids.cover(&[u64::MAX], before));
        assert!(!voids.cover(&[u64::MAX], voids.begin()));
    }
}
