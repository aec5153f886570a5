//! What a file holds, and by what it is told apart from what it held before.

use std::fs::{File, Metadata};
use std::hash::Hasher;
use std::io::{self, Read};
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use siphasher::sip128::{Hasher128, SipHasher13};
use tidegate_core::Timestamp;

use super::body::FileBody;

/// Files up to this size are read at once, and the hash of what they hold is their tag: that is
/// right also where builds set every file to the same time. Longer ones are streamed, and told
/// apart by time and length.
const WHOLE_MAX: u64 = 256 * 1024;
/// Times before 1980-01-02 are what builds set that leave times out (SOURCE_DATE_EPOCH).
const NO_TIME: Duration = Duration::from_secs(315_619_200);

/// The content of a file.
pub(super) enum Content {
    Whole(Bytes),
    Long(File, u64),
}

impl Content {
    pub(super) fn read(mut file: File, metadata: &Metadata) -> io::Result<Self> {
        if metadata.len() > WHOLE_MAX {
            return Ok(Self::Long(file, metadata.len()));
        }
        // It may have grown by now.
        let mut whole = Vec::with_capacity(metadata.len() as usize + 1);
        Read::by_ref(&mut file).take(WHOLE_MAX).read_to_end(&mut whole)?;
        Ok(Self::Whole(whole.into()))
    }

    /// In bytes.
    pub(super) const fn length(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Long(_, length) => *length,
        }
    }

    /// The strong entity tag (RFC 9110 §8.8.3).
    pub(super) fn tag(&self, metadata: &Metadata) -> String {
        match self {
            Self::Whole(bytes) => {
                let mut hasher = SipHasher13::new();
                hasher.write(bytes);
                format!("\"{:032x}\"", hasher.finish128().as_u128())
            }
            Self::Long(_, length) => {
                let time = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
                format!("\"{:x}-{length:x}\"", time.unwrap_or_default().as_nanos())
            }
        }
    }

    /// These bytes of it.
    pub(super) fn part(self, bytes: Range<u64>) -> FileBody {
        match self {
            Self::Whole(whole) => {
                let range = bytes.start as usize..bytes.end as usize;
                FileBody::whole(
                    whole.get(range).map(|part| whole.slice_ref(part)).unwrap_or_default(),
                )
            }
            Self::Long(file, _) => FileBody::streamed(file, bytes),
        }
    }
}

/// When it was changed last, if that says something.
pub(super) fn modified(metadata: &Metadata) -> Option<Timestamp> {
    let modified = metadata.modified().ok()?;
    // A validator must not be later than the answer (RFC 9110 §8.8.2.1).
    let since_epoch = modified.min(SystemTime::now()).duration_since(UNIX_EPOCH).ok()?;
    (since_epoch >= NO_TIME).then(|| Timestamp::from_secs(since_epoch.as_secs()))
}
