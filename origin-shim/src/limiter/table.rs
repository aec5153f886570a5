//! Where a shard's states stand: one array of bytes, where a client is found in one place.
//!
//! Slots are in the order of digests, each where its digest would be if all were spread
//! evenly, or as little behind as there is room. So a search begins beside what it looks for:
//! one memory access, or a few in a row. The table grows by a sixteenth, in one walk from end
//! to end, so that it takes hardly more than the bytes it wants for each client.

use tidegate_core::Timestamp;
use tidegate_core::rate::State;

use super::digest::Digest;

/// Slots of one width, each with a digest, when it was used last, and an encoded state.
#[derive(Clone, Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// Bytes of a slot.
    width: usize,
    /// The slots that searches begin at; the last ones have some more behind them.
    homes: usize,
    len: usize,
}

/// A slot's number. It holds until the next insertion or removal.
pub(super) type At = usize;

// What stands where in a slot. No encoded state begins with zero, so that is a free slot.
const USED: usize = Digest::LEN;
const STATE: usize = USED + 4;

/// Slots behind the last home.
const TAIL: usize = 16;
/// Bytes for each client, free slots included, when the table grows next. What a slot leaves of
/// them is free slots, which make searches short.
const BYTES_EACH: usize = 90;
/// Never more free slots than three for four clients, nor fewer than one for 14.
const HOMES_FOR_64: (usize, usize) = (69, 112);

impl Table {
    /// No slots yet; each is to have room for a state of `state_max` bytes.
    pub(super) const fn new(state_max: usize) -> Self {
        Self { bytes: Vec::new(), width: STATE + state_max, homes: 0, len: 0 }
    }

    /// How many slots are taken.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// How many slots there are, taken or free.
    pub(super) const fn slots(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// The slot of a client.
    pub(super) fn find(&self, digest: Digest) -> Option<At> {
        let (at, is_it) = self.search(digest);
        is_it.then_some(at)
    }

    /// A free slot for a client that has none; [`Self::put`] takes it. Grows as need be.
    pub(super) fn insert(&mut self, digest: Digest) -> At {
        if self.len >= self.len_max() {
            self.rebuild(self.homes_for(self.len + self.len / 16 + 1));
        }
        loop {
            let (at, _) = self.search(digest);
            // What stands there makes room, up to the next free slot.
            if let Some(free) = (at..self.slots()).find(|at| self.is_free(*at)) {
                let (from, to) = (at * self.width, free * self.width);
                self.bytes.copy_within(from..to, from + self.width);
                self.slot_mut(at)[..USED].copy_from_slice(&digest.to_bytes());
                self.len += 1;
                return at;
            }
            self.rebuild(self.homes + self.homes / 16 + 1);
        }
    }

    /// Frees a slot; what stands behind moves nearer to where it belongs.
    pub(super) fn remove(&mut self, at: At) {
        let behind = at + 1..self.slots();
        let stays = |at: &At| self.is_free(*at) || self.home(self.digest(*at)) == *at;
        let end = behind.clone().find(stays).unwrap_or(behind.end);
        let from = (at + 1) * self.width;
        self.bytes.copy_within(from..end * self.width, at * self.width);
        self.slot_mut(end - 1).fill(0);
        self.len -= 1;
    }

    /// Gives memory back, if most slots are free. Moves all that are not.
    pub(super) fn shrink(&mut self) {
        if self.slots() > 4 * (self.len + TAIL) {
            self.rebuild(self.homes_for(self.len));
        }
    }

    /// Whether nobody has this slot.
    pub(super) fn is_free(&self, at: At) -> bool {
        self.slot(at)[STATE] == 0
    }

    /// Whose slot this is.
    pub(super) fn digest(&self, at: At) -> Digest {
        Digest::from_bytes(self.read(at, 0))
    }

    /// When this slot was used last, in decisions of its shard.
    pub(super) fn used(&self, at: At) -> u32 {
        u32::from_le_bytes(self.read(at, USED))
    }

    /// An encoded state, and whatever was behind it.
    pub(super) fn state(&self, at: At) -> &[u8] {
        &self.slot(at)[STATE..]
    }

    /// Puts a state into a slot, encoded there: a copy more would cost as much as the verdict.
    /// One that is too long is of none of this table's limits, and leaves nothing known.
    pub(super) fn put(&mut self, at: At, state: &State, used: u32) {
        let (head, place) = self.slot_mut(at).split_at_mut(STATE);
        if state.encode_to(place).is_none() {
            let _ = State::Blocked { until: Timestamp::EPOCH }.encode_to(place);
        }
        head[USED..].copy_from_slice(&used.to_le_bytes());
    }

    /// Where a client is, or is to be, and whether it is there.
    fn search(&self, digest: Digest) -> (At, bool) {
        let leading = digest.leading();
        let home = self.home(digest);
        for (behind, slot) in self.bytes[home * self.width..].chunks_exact(self.width).enumerate() {
            let Some((found, rest)) = slot.split_first_chunk::<{ Digest::LEN }>() else { break };
            let found = Digest::from_bytes(*found);
            if rest[STATE - USED] == 0 || found.leading() > leading {
                return (home + behind, false);
            }
            if found == digest {
                return (home + behind, true);
            }
        }
        (self.slots(), false)
    }

    /// Where the search for a digest begins.
    const fn home(&self, digest: Digest) -> At {
        ((digest.leading() as u64 * self.homes as u64) >> u32::BITS) as usize
    }

    /// As many as there may be before the table grows.
    fn len_max(&self) -> usize {
        self.homes * 64 / self.homes_for_64()
    }

    /// The homes that so many clients need.
    fn homes_for(&self, len: usize) -> usize {
        (len * self.homes_for_64()).div_ceil(64)
    }

    fn homes_for_64(&self) -> usize {
        let (least, most) = HOMES_FOR_64;
        (64 * BYTES_EACH / self.width).clamp(least, most)
    }

    /// Moves all to a table of so many homes, or of as many more as it takes.
    fn rebuild(&mut self, mut homes: usize) {
        let old = std::mem::take(&mut self.bytes);
        loop {
            self.homes = homes;
            self.bytes = vec![0; (homes + TAIL) * self.width];
            match self.fill(&old) {
                true => return,
                false => homes += homes / 16 + 1,
            }
        }
    }

    /// Moves the slots of `old` here, where all are free; whether there is room.
    fn fill(&mut self, old: &[u8]) -> bool {
        let mut free = 0;
        for slot in old.chunks_exact(self.width).filter(|slot| slot[STATE] != 0) {
            let Some(digest) = slot.first_chunk() else { continue };
            let at = self.home(Digest::from_bytes(*digest)).max(free);
            if at >= self.slots() {
                return false;
            }
            self.slot_mut(at).copy_from_slice(slot);
            free = at + 1;
        }
        true
    }

    fn read<const N: usize>(&self, at: At, from: usize) -> [u8; N] {
        let mut read = [0; N];
        read.copy_from_slice(&self.slot(at)[from..from + N]);
        read
    }

    fn slot(&self, at: At) -> &[u8] {
        &self.bytes[at * self.width..][..self.width]
    }

    fn slot_mut(&mut self, at: At) -> &mut [u8] {
        &mut self.bytes[at * self.width..][..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn state(name: u8) -> State {
        State::Paced { until: name.into() }
    }

    #[test]
    fn a_state_that_is_too_long_leaves_nothing_known() {
        let mut table = Table::new(9);
        let at = table.insert(Digest::from_bytes([1; Digest::LEN]));
        table.put(at, &State::Counting { since: Timestamp::EPOCH, used: 1 }, 1);
        assert!(!table.is_free(at));
        let nothing = State::Blocked { until: Timestamp::EPOCH };
        assert_eq!(State::decode_first(table.state(at)), Some(nothing));
    }

    proptest! {
        // Few digests, and of those some with the same begin.
        #[test]
        fn it_holds_what_it_was_given_and_nothing_else(
            steps in prop::collection::vec((any::<bool>(), 0..200_u8), 0..600),
            state_max in prop::sample::select(&[9, 13, 70][..]),
        ) {
            let mut table = Table::new(state_max);
            let mut held: HashMap<u8, u32> = HashMap::new();
            for (number, (adds, name)) in steps.into_iter().enumerate() {
                let mut digest = [name; Digest::LEN];
                digest[..4].fill(name / 3 * 3);
                let digest = Digest::from_bytes(digest);
                match (table.find(digest), adds) {
                    (Some(at), false) => {
                        held.remove(&name);
                        table.remove(at);
                        table.shrink();
                    }
                    (found, true) => {
                        let at = found.unwrap_or_else(|| table.insert(digest));
                        table.put(at, &state(name), number as u32);
                        held.insert(name, number as u32);
                    }
                    (None, false) => prop_assert!(!held.contains_key(&name)),
                }
                prop_assert_eq!(table.len(), held.len());
                let taken = (0..table.slots()).filter(|at| !table.is_free(*at));
                let mut in_order: Vec<Digest> = taken.map(|at| table.digest(at)).collect();
                prop_assert_eq!(in_order.len(), held.len());
                prop_assert!(in_order.is_sorted_by_key(|digest| digest.leading()));
                for digest in in_order.drain(..) {
                    let at = table.find(digest).expect("it stands there");
                    let [.., name] = digest.to_bytes();
                    prop_assert_eq!(table.digest(at), digest);
                    prop_assert_eq!(Some(&table.used(at)), held.get(&name));
                    prop_assert_eq!(State::decode_first(table.state(at)), Some(state(name)));
                }
            }
        }
    }
}
