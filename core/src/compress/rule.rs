//! What the policy says about compression.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::headers::accept_encoding::Coding;
use crate::headers::media_type::MediaRange;

/// Which answers are compressed, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompressionRule {
    /// The codings, the preferred one first.
    pub codings: Vec<CodingRule>,
    /// Bodies shorter than this leave as they are.
    pub min_bytes: u32,
    /// The media types that are worth it.
    pub types: Vec<MediaRange>,
    /// Whether answers for one person are compressed as well, though their length may give
    /// secrets away (BREACH).
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub personal: bool,
}

/// A coding that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodingRule {
    /// Which.
    pub coding: Coding,
    /// How hard to try, within [`Coding::levels`].
    pub level: u32,
}

/// As npm's compression counts (P3).
const MIN_BYTES: u32 = 1024;

/// What is text, or nearly: all else is compressed already, or rarely sent.
const TYPES: [&str; 9] = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/*+xml",
    "application/wasm",
    "image/svg+xml",
];

impl Default for CompressionRule {
    fn default() -> Self {
        let with_level = |coding: Coding| CodingRule { coding, level: coding.default_level() };
        Self {
            codings: Coding::ALL.into_iter().map(with_level).collect(),
            min_bytes: MIN_BYTES,
            types: TYPES.into_iter().filter_map(|text| MediaRange::parse(text).ok()).collect(),
            personal: false,
        }
    }
}

impl CompressionRule {
    /// Whether a media type, without its parameters, is one to compress.
    pub fn means(&self, essence: &[u8]) -> bool {
        self.types.iter().any(|range| range.means(essence))
    }
}

impl Coding {
    /// The level where the policy names none: about as quick as gzip at 6, and smaller.
    pub const fn default_level(self) -> u32 {
        match self {
            Self::Zstd => 3,
            Self::Br => 5,
            Self::Gzip => 6,
        }
    }

    /// The lowest and the highest level. Zstandard has higher ones, which need more memory than
    /// HTTP allows to ask of a client (RFC 9659).
    pub const fn levels(self) -> (u32, u32) {
        match self {
            Self::Zstd => (1, 19),
            Self::Br => (0, 11),
            Self::Gzip => (1, 9),
        }
    }
}
