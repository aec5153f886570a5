//! A stored answer with its key and zone, as bytes.

use std::io::Read;

use bytes::Bytes;
use tidegate_core::CacheKey;
use tidegate_core::policy::Terms;

use super::BadSnapshot;
use crate::answer_store::Answer;
use crate::second_tier::{Name, Record, decode, encode};

/// The longest entry that makes sense: no body is stored that has half of it.
const LONGEST: usize = 32 << 20;

/// An answer, with what leads to it.
pub(super) struct Entry {
    /// `None` for what has no zone of its own.
    pub(super) zone: Option<String>,
    pub(super) key: CacheKey,
    pub(super) terms: Terms,
    pub(super) record: Record,
}

/// The same, to be written.
pub(super) struct EntryOf<'a> {
    pub(super) zone: Option<&'a str>,
    pub(super) key: &'a CacheKey,
    pub(super) answer: &'a Answer,
}

impl Entry {
    /// Reads the next one; `None` behind the last.
    pub(super) fn read(from: &mut impl Read) -> Result<Option<Self>, BadSnapshot> {
        let mut length = Vec::with_capacity(4);
        match from.by_ref().take(4).read_to_end(&mut length)? {
            0 => return Ok(None),
            4 => {}
            _ => return Err(BadSnapshot::Damaged),
        }
        let length = length.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        if length > LONGEST {
            return Err(BadSnapshot::Damaged);
        }
        let mut entry = vec![0; length];
        from.read_exact(&mut entry)?;
        Self::decode(&entry.into()).map(Some).ok_or(BadSnapshot::Damaged)
    }

    fn decode(entry: &Bytes) -> Option<Self> {
        let rest = &mut &**entry;
        let zone = match part(rest)? {
            [] => None,
            zone => Some(String::from_utf8(zone.to_vec()).ok()?),
        };
        let key = CacheKey::from_bytes(part(rest)?)?;
        let terms = Terms::from_u64(u64::from_be_bytes(*rest.split_off(..8)?.first_chunk()?));
        let record = decode(&Name::of(&key, terms), &entry.slice_ref(rest), LONGEST)?;
        Some(Self { zone, key, terms, record })
    }
}

impl EntryOf<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { zone, key, answer } = self;
        let record = encode(&Name::of(key, answer.terms), answer, false);
        let (zone, key) = (zone.unwrap_or_default().as_bytes(), key.as_bytes());
        let length = 4 + zone.len() + 4 + key.len() + 8 + record.len();
        let mut entry = Vec::with_capacity(4 + length);
        put_length(&mut entry, length);
        for part in [zone, key] {
            put_length(&mut entry, part.len());
            entry.extend_from_slice(part);
        }
        entry.extend_from_slice(&answer.terms.as_u64().to_be_bytes());
        entry.extend_from_slice(&record);
        entry
    }
}

fn put_length(to: &mut Vec<u8>, length: usize) {
    // No answer has four billion bytes.
    to.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(*rest.split_off(..4)?.first_chunk()?);
    rest.split_off(..usize::try_from(length).ok()?)
}
