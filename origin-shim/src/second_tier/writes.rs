//! What is on its way into Redis: behind the back of every request, and no more than fits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tidegate_core::headers::vary::VariantSignature;
use tokio::sync::mpsc;

use super::record::Name;
use crate::answer_store::Answer;

/// Lanes in which writes go one after the other, so that of one key the last one counts.
pub(super) const LANES: usize = 8;
/// Writes that wait in a lane at most.
const LANE: usize = 512;
/// Bytes of bodies that wait at most.
const BYTES_MAX: usize = 64 << 20;

/// Something to be written.
#[derive(Debug)]
pub(super) enum Write {
    /// An answer that was stored.
    Keep(Name, Arc<Answer>),
    /// One that is to be stored no more.
    Forget(Name, VariantSignature),
}

/// Where requests leave what is to be written.
#[derive(Debug)]
pub(super) struct Writes {
    lanes: [mpsc::Sender<Write>; LANES],
    bytes: AtomicUsize,
    /// Answers that were not written, because too much waited.
    dropped: AtomicU64,
}

impl Writes {
    pub(super) fn new() -> (Self, [mpsc::Receiver<Write>; LANES]) {
        let channels = [(); LANES].map(|()| mpsc::channel(LANE));
        let mut receivers = Vec::with_capacity(LANES);
        let lanes = channels.map(|(sender, receiver)| {
            receivers.push(receiver);
            sender
        });
        let writes = Self { lanes, bytes: AtomicUsize::new(0), dropped: AtomicU64::new(0) };
        // One was pushed for each lane.
        let receivers = receivers.try_into().unwrap_or_else(|_| unreachable!("a receiver a lane"));
        (writes, receivers)
    }

    /// Leaves something to be written, unless too much waits already.
    pub(super) fn push(&self, write: Write) {
        let size = write.size();
        let fits = |bytes: usize| bytes.checked_add(size).filter(|bytes| *bytes <= BYTES_MAX);
        let has_room = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if has_room {
            let lane = &self.lanes[usize::from(write.name().as_bytes()[31]) % LANES];
            if lane.try_send(write).is_ok() {
                return;
            }
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was written, or never will be.
    pub(super) fn is_done(&self, write: &Write) {
        self.bytes.fetch_sub(write.size(), Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Write {
    const fn name(&self) -> &Name {
        match self {
            Self::Keep(name, _) | Self::Forget(name, _) => name,
        }
    }

    fn size(&self) -> usize {
        match self {
            // What waits keeps it in memory, whatever the store does.
            Self::Keep(_, answer) => answer.body.len(),
            Self::Forget(..) => 0,
        }
    }
}
