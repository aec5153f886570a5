//! `[edge] memory`: what an isolate of the worker keeps in its own memory, before the Cache API.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::as_millis;

/// How much, how large, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsolateMemory {
    /// For how long an answer serves from there before it is looked up anew.
    #[serde(with = "as_millis")]
    pub ttl: Duration,
    /// Bytes in all, heads and bookkeeping included; 0 switches it off.
    pub size: u64,
    /// Bytes of a body at most.
    pub object: u64,
}

impl IsolateMemory {
    /// Nothing is kept.
    pub const OFF: Self = Self { size: 0, ..Self::DEFAULT };

    const DEFAULT: Self = Self { ttl: Duration::from_secs(10), size: 16 << 20, object: 256 << 10 };

    /// Whether anything is kept.
    pub const fn is_on(&self) -> bool {
        self.size > 0
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}

impl Default for IsolateMemory {
    /// 10 s, 16 MiB, 256 KiB.
    fn default() -> Self {
        Self::DEFAULT
    }
}
