//! Stored answers without their bodies, bounded by the bytes that those would take.

use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use tidegate_core::headers::{Fields, Vary};
use tidegate_core::policy::Zone;
use tidegate_core::{Lookup, Stored, reuse};

use super::voids::Voids;
use crate::digest::{self, ByDigest};

/// Answers of one store. Evicts as the shim's memory does: it is the same library.
#[derive(Debug)]
pub(super) struct Shelf {
    entries: Cache<u64, Entry, Weigh, ByDigest>,
    /// The most that it ever held.
    peak: u64,
    /// How many answers came that were not there before.
    added: u64,
    bounds: Bounds,
}

/// How much a store holds at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes in all, heads and bookkeeping included.
    pub(super) bytes: u64,
    /// Answers.
    pub(super) answers: Option<u64>,
    /// Bytes of one body.
    pub(super) object: u64,
}

/// What lies under a key.
#[derive(Clone, Debug)]
enum Entry {
    Answer(Held),
    /// Answers that these fields choose between lie under keys of their own.
    Variants(Vary),
}

/// A stored answer.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) stored: Stored,
    /// The bytes of its body.
    pub(super) bytes: u64,
    /// What it takes in all.
    pub(super) weight: u64,
    /// By what it is made void: its resource, and its tags.
    pub(super) names: Box<[u64]>,
    /// When it was asked for, in the order of [`Voids`].
    pub(super) began: u64,
}

impl reuse::Answer for &Held {
    fn stored(&self) -> &Stored {
        &self.stored
    }
}

/// Weighs answers in bytes, but none for less than its share of a store that is bounded in
/// answers, too.
#[derive(Clone, Debug)]
struct Weigh {
    least: u64,
}

impl Weighter<u64, Entry> for Weigh {
    fn weight(&self, _: &u64, entry: &Entry) -> u64 {
        match entry {
            Entry::Answer(held) => held.weight.max(self.least),
            Entry::Variants(_) => 0,
        }
    }
}

impl Bounds {
    /// Those of a zone in the shim's memory.
    pub(super) fn of(zone: &Zone, object: u64) -> Self {
        Self { bytes: zone.bytes, answers: zone.capacity.map(|n| n.get().into()), object }
    }
}

impl Shelf {
    pub(super) fn new(bounds: Bounds) -> Self {
        let least = bounds.answers.map_or(0, |answers| bounds.bytes.div_ceil(answers.max(1)));
        let estimate = bounds.answers.unwrap_or(bounds.bytes / 16_384).min(1 << 16);
        let entries = Cache::with(
            usize::try_from(estimate).unwrap_or(usize::MAX),
            bounds.bytes,
            Weigh { least },
            ByDigest::default(),
            Default::default(),
        );
        Self { entries, peak: 0, added: 0, bounds }
    }

    /// What is stored under `key` for a request with these fields and not void.
    pub(super) fn find(
        &self,
        key: u64,
        fields: &(impl Fields + ?Sized),
        is_void: impl Fn(&Held) -> bool,
    ) -> Lookup<&Held> {
        let (entry, varies) = match self.entries.get(&key) {
            None => return Lookup::Nothing,
            Some(Entry::Answer(held)) => (Some(held), false),
            Some(Entry::Variants(vary)) => match self.entries.get(&variant(key, vary, fields)) {
                Some(Entry::Answer(held)) => (Some(held), true),
                _ => (None, true),
            },
        };
        match entry.filter(|held| !is_void(held)) {
            Some(held) => Lookup::Found(held),
            None if varies => Lookup::OtherVariants,
            None => Lookup::Nothing,
        }
    }

    /// Stores an answer, unless its body is longer than one may be. Whether it did.
    pub(super) fn put(
        &mut self,
        key: u64,
        vary: Vary,
        fields: &(impl Fields + ?Sized),
        held: Held,
    ) -> bool {
        if held.bytes > self.bounds.object || held.weight > self.bounds.bytes {
            return false;
        }
        let place = match vary {
            Vary::Nothing | Vary::Anything => key,
            Vary::Fields(_) => {
                let place = variant(key, &vary, fields);
                self.entries.insert(key, Entry::Variants(vary));
                place
            }
        };
        self.added += u64::from(self.entries.peek(&place).is_none());
        self.entries.insert(place, Entry::Answer(held));
        self.peak = self.peak.max(self.entries.weight());
        true
    }

    /// The most bytes that it ever held.
    pub(super) const fn peak(&self) -> u64 {
        self.peak
    }

    /// The bytes it holds.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// Bytes that it holds at most.
    pub(super) const fn capacity(&self) -> u64 {
        self.bounds.bytes
    }

    /// How many answers it holds.
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// How many answers went for want of room.
    pub(super) fn evicted(&self) -> u64 {
        self.added.saturating_sub(self.len())
    }
}

impl Held {
    pub(super) fn is_void(&self, voids: &Voids) -> bool {
        voids.cover(&self.names, self.began)
    }
}

fn variant(key: u64, vary: &Vary, fields: &(impl Fields + ?Sized)) -> u64 {
    digest::with(key, digest::digest(&[vary.signature(fields).as_bytes()]))
}
