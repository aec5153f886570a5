//! `[cache]`: what the shim does with stored answers besides keeping them in memory.

use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::as_millis;

/// What the shim does with stored answers besides keeping them in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// The store behind the memory of each shim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<CacheRedis>,
    /// What a restart keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<Snapshot>,
}

/// The Redis that all shims store in, and by which they hear of what others invalidate. Where it
/// is may hold a password, so the policy carries the name of a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheRedis {
    /// The variable that holds its URL.
    pub url: String,
    /// How long a request waits for it at most.
    #[serde(with = "as_millis")]
    pub timeout: Duration,
    /// What the names of all its keys begin with.
    pub prefix: String,
    /// Whether answers lie there; else only invalidations pass through it.
    pub answers: bool,
    /// Bytes of a body at most.
    pub object: u64,
    /// Whether bodies that gain by it are compressed there.
    pub compress: bool,
}

/// A file that keeps stored answers over a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Its name; one that is not absolute is beside the policy file.
    pub file: String,
    /// Bytes of it at most.
    pub size: u64,
}

impl Cache {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
