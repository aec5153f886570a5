//! A file that keeps stored answers over a restart.
//!
//! It is written when the process ends and used once: what is void while nobody looks at it would
//! come back otherwise. Whoever starts takes it away, and only who ends for good leaves another.
//! It is what this version of this code wrote for its own user, or no use: a checksum finds what
//! broke, and who may write to its folder can make answers up.

mod entry;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bytes::Bytes;
use siphasher::sip::SipHasher13;
use tidegate_core::policy::Tier;
use tidegate_core::{Policy, Timestamp};

use crate::answer_store::Answer;
use crate::coder::{CodedBodies, Coder};
use crate::invalidations::Moment;
use crate::second_tier::{Record, SecondTier};
use crate::zones::Zones;
use entry::{Entry, EntryOf};

/// What every such file begins with: a name, and the version of what follows.
const MAGIC: &[u8; 8] = b"tidesna\x01";
/// Bytes of the checksum behind all entries.
const SUM: u64 = 8;

/// How much was written, or read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Answers.
    pub answers: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Why a file is no use.
#[derive(Debug)]
#[non_exhaustive]
pub enum BadSnapshot {
    /// It cannot be read, or not be taken away.
    Unreadable(io::Error),
    /// It was written by another version, or by something else.
    Unknown,
    /// It is not as it was written.
    Damaged,
}

/// Where answers go that were saved, and what says which of them are good still.
#[derive(Clone, Copy, Debug)]
pub struct Heir<'a> {
    /// The stores, empty so far.
    pub zones: &'a Zones,
    /// Under other terms than its own nothing is stored.
    pub policy: &'a Policy,
    /// Where shims tell each other what is void, it knows; what it cannot tell is void.
    pub tier: Option<&'a SecondTier>,
}

/// Writes what `zones` hold that is of use at `now`, up to `size` bytes: whole or not at all.
///
/// # Errors
/// If the file cannot be written. What was there before is gone then.
pub fn save(path: &Path, zones: &Zones, size: u64, now: Timestamp) -> io::Result<Saved> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    // Whatever comes of this, what was void since must not come back.
    remove(path)?;
    // Somebody was killed over it, or left it for us to write to.
    remove(&new)?;
    // Answers are their users' business.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = write(BufWriter::new(file), zones, size, now).and_then(|(saved, to)| {
        to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&new, path)?;
        Ok(saved)
    });
    if written.is_err() {
        // Nobody would look at it, and it may be why the disk is full.
        let _ = remove(&new);
    }
    written
}

/// Gives `heir` what such a file holds, as far as it is of use at `now`, and takes the file away.
///
/// # Errors
/// Why it is no use; then nothing of it is stored. A file that is not there is not wrong.
pub fn take(path: &Path, heir: Heir<'_>, now: Timestamp) -> Result<Option<Saved>, BadSnapshot> {
    let file = match File::open(path) {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    // First, so that one that nobody survives to read is read once.
    remove(path)?;
    read(BufReader::new(file), heir, now).map(Some)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write<W: Write>(to: W, zones: &Zones, size: u64, now: Timestamp) -> io::Result<(Saved, W)> {
    let mut to = Summed { to, sum: SipHasher13::new(), bytes: 0 };
    to.write_all(MAGIC)?;
    let mut answers = 0;
    for (zone, store) in zones.by_name() {
        for (key, answer) in store.all() {
            let room = size.saturating_sub(to.bytes + SUM);
            let is_useful = now < answer.stored.useful_until() && store.is_good(&answer);
            // A look at the body spares writing most of what does not fit.
            if !is_useful || answer.body.len() as u64 > room {
                continue;
            }
            let entry = EntryOf { zone, key: &key, answer: &answer }.encode();
            if entry.len() as u64 <= room {
                to.write_all(&entry)?;
                answers += 1;
            }
        }
    }
    let sum = to.sum.finish().to_be_bytes();
    to.write_all(&sum)?;
    Ok((Saved { answers, bytes: to.bytes }, to.to))
}

fn read(mut from: impl Read + Seek, heir: Heir<'_>, now: Timestamp) -> Result<Saved, BadSnapshot> {
    // What is void from now on was not when these were asked for.
    let began = heir.zones.begin();
    let entries = check(&mut from)?;
    let bytes = MAGIC.len() as u64 + entries + SUM;
    let mut from = from.take(entries);
    let mut answers = 0;
    loop {
        match Entry::read(&mut from) {
            Ok(Some(entry)) => answers += u64::from(heir.takes(entry, began, now)),
            Ok(None) => return Ok(Saved { answers, bytes }),
            Err(bad) => {
                heir.zones.by_name().for_each(|(_, store)| store.clear());
                return Err(bad);
            }
        }
    }
}

/// Whether all of it is as it was written: how many bytes of entries it has, which come next.
fn check(from: &mut (impl Read + Seek)) -> Result<u64, BadSnapshot> {
    let bytes = from.seek(SeekFrom::End(0))?;
    let begin = MAGIC.len() as u64;
    let entries = bytes.checked_sub(begin + SUM).ok_or(BadSnapshot::Unknown)?;
    from.rewind()?;
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(BadSnapshot::Unknown);
    }
    let mut sum = Summed { to: io::sink(), sum: SipHasher13::new(), bytes: 0 };
    sum.write_all(MAGIC)?;
    io::copy(&mut from.by_ref().take(entries), &mut sum)?;
    let mut written = [0; SUM as usize];
    from.read_exact(&mut written)?;
    if sum.sum.finish() != u64::from_be_bytes(written) {
        return Err(BadSnapshot::Damaged);
    }
    from.seek(SeekFrom::Start(begin))?;
    Ok(entries)
}

impl Heir<'_> {
    /// Stores an answer if it is good still; whether it is.
    fn takes(&self, entry: Entry, began: Moment, now: Timestamp) -> bool {
        let Entry { zone, key, terms, record } = entry;
        let store = self.zones.named(zone.as_deref());
        let is_good = self.policy.terms(Tier::Origin).any(|known| known == terms)
            && now < record.stored.useful_until()
            && record.body.len() <= store.object_max()
            && self.tier.is_none_or(|tier| tier.vouches_for(&record));
        if is_good {
            let Record { heard, stored, vary, signature, resource, tags, head, body } = record;
            let answer = Answer {
                stored,
                head,
                // So that the rest of the entry goes.
                body: Bytes::copy_from_slice(&body),
                coded: CodedBodies::default(),
                // Where nothing is compressed, nobody asks it.
                coder: Some(Coder::new(key.clone())),
                resource,
                tags: tags.into(),
                terms,
                began: began.of_another(heard),
                vary,
                signature,
            };
            store.put(key, answer, now);
        }
        is_good
    }
}

/// Writes, and sums up what was written.
struct Summed<W> {
    to: W,
    sum: SipHasher13,
    bytes: u64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sum.write(bytes.get(..written).unwrap_or(bytes));
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl From<io::Error> for BadSnapshot {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged,
            _ => Self::Unreadable(error),
        }
    }
}

impl fmt::Display for BadSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be used: {error}"),
            Self::Unknown => f.write_str("is none of this version of Tidegate"),
            Self::Damaged => f.write_str("is damaged"),
        }
    }
}

impl std::error::Error for BadSnapshot {}
