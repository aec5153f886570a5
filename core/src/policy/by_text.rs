//! A map from texts that is built once and asked often: a search among numbers, with one
//! comparison of texts at its end.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Values by text.
#[derive(Clone, Debug)]
pub(super) struct ByText<T> {
    /// What the texts hash to, ascending; apart from them, to lie close together.
    hashes: Vec<u64>,
    entries: Vec<(Box<str>, T)>,
}

impl<T> ByText<T> {
    /// The value of `text`. Grows with its length and the logarithm of the entries.
    pub(super) fn get(&self, text: &str) -> Option<&T> {
        self.position(text).ok().map(|at| &self.entries[at].1)
    }

    /// The value of `text`, made by `make` if there is none.
    pub(super) fn entry(&mut self, text: &str, make: impl FnOnce() -> T) -> &mut T {
        let at = self.position(text).unwrap_or_else(|at| {
            self.hashes.insert(at, hash(text));
            self.entries.insert(at, (text.into(), make()));
            at
        });
        &mut self.entries[at].1
    }

    /// Where `text` is, or where it belongs.
    fn position(&self, text: &str) -> Result<usize, usize> {
        if self.hashes.is_empty() {
            return Err(0);
        }
        let wanted = hash(text);
        let first = self.hashes.partition_point(|hash| *hash < wanted);
        let alike = self.hashes[first..].iter().take_while(|hash| **hash == wanted).count();
        let found = self.entries[first..first + alike].iter().position(|(t, _)| **t == *text);
        found.map(|at| first + at).ok_or(first)
    }
}

impl<T> Default for ByText<T> {
    fn default() -> Self {
        Self { hashes: Vec::new(), entries: Vec::new() }
    }
}

/// Spreads texts over numbers. Only texts of a policy are stored by it, so nobody outside can
/// make many of them collide.
fn hash(text: &str) -> u64 {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(SPREAD);
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let hash = words.iter().fold(text.len() as u64, |hash, w| mix(hash, u64::from_le_bytes(*w)));
    mix(hash, rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
}

/// An odd number without pattern: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_finds_its_own_value_and_others_none() {
        let text = |n: usize| alloc::format!("{}service-{n}", "x".repeat(n % 20));
        let mut map = ByText::default();
        for n in 0..1000 {
            assert_eq!(*map.entry(&text(n), || n), n);
        }
        for n in 0..1000 {
            assert_eq!(*map.entry(&text(n), || usize::MAX), n);
            assert_eq!(map.get(&text(n)), Some(&n));
            assert_eq!(map.get(&text(n + 1000)), None);
        }
        assert_eq!(map.get(""), None);
        assert_eq!(ByText::<u8>::default().get("x"), None);
    }

    #[test]
    fn texts_that_hash_alike_stay_apart() {
        let mut map = ByText::default();
        map.entry("b", || 1);
        let alike = map.hashes[0];
        map.hashes.push(alike);
        map.entries.push(("another".into(), 2));
        assert_eq!(map.get("b"), Some(&1));
    }
}
