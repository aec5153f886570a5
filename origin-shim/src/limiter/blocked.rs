//! Who is blocked, in words: what an operator lists and unblocks by.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_core::Timestamp;

use super::digest::Digest;

/// Names of blocked clients under one limit. States are kept under digests, which nobody can
/// read, so the names of those that are blocked stand here.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HeldNames>);

#[derive(Clone, Debug, Default)]
struct HeldNames {
    blocks: HashMap<Digest, Block>,
    /// No look for blocks that have ended before this.
    sweep_at: Timestamp,
}

/// A client that is blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The client as the limit counts it, such as `user:ada` or `ip:192.0.2.1`.
    pub client: String,
    /// When the block ends.
    pub until: Timestamp,
}

/// Names that are kept for a limit; a name and what goes with it take 300 bytes at most, so
/// all take 3 MB at most. Whoever is blocked beyond is blocked all the same.
pub(super) const NAMES_MAX: usize = 10_000;
/// When all are taken, those whose block has ended are looked for once in so long.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

impl Names {
    /// Notes a block that begins.
    pub(super) fn add(&self, digest: Digest, block: Block, now: Timestamp) {
        let mut held = self.lock();
        if held.blocks.len() >= NAMES_MAX && now >= held.sweep_at {
            held.blocks.retain(|_, block| block.until > now);
            held.sweep_at = now + SWEEP_EVERY;
        }
        if held.blocks.len() < NAMES_MAX || held.blocks.contains_key(&digest) {
            held.blocks.insert(digest, block);
        }
    }

    /// Forgets a client that is not blocked any more.
    pub(super) fn remove(&self, digest: Digest) {
        self.lock().blocks.remove(&digest);
    }

    /// All that are noted; among them may be some whose block has ended.
    pub(super) fn all(&self) -> Vec<(Digest, Block)> {
        self.lock().blocks.iter().map(|(digest, block)| (*digest, block.clone())).collect()
    }

    /// Who is called so.
    pub(super) fn of(&self, client: &str) -> Option<Digest> {
        let held = self.lock();
        held.blocks.iter().find(|(_, block)| block.client == client).map(|(digest, _)| *digest)
    }

    fn lock(&self) -> MutexGuard<'_, HeldNames> {
        // A panic while it was held leaves whole names behind, so they stay good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Names {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.lock().clone()))
    }
}
