//! Why a signature does not count.

use core::fmt;

/// Why a signature does not count. What can only be found out by who holds the key comes last: a
/// signature is verified before anything that it covers is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is none of the edge.
    Missing,
    /// The fields break the grammar, are repeated, or do not go together.
    Malformed,
    /// It covers something else than the edge's, or is by another algorithm.
    Covered,
    /// No key of this name is known.
    UnknownKey,
    /// It is not the key's, or not of this request.
    Mismatch,
    /// It was made later than now.
    Early,
    /// Its time is over.
    Expired,
    /// What it says of the client makes no sense.
    Client,
    /// It was here before.
    Replayed,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Missing,
        Self::Malformed,
        Self::Covered,
        Self::UnknownKey,
        Self::Mismatch,
        Self::Early,
        Self::Expired,
        Self::Client,
        Self::Replayed,
    ];

    /// The word for logs, Cache-Status and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "signature-missing",
            Self::Malformed => "signature-malformed",
            Self::Covered => "signature-covered",
            Self::UnknownKey => "signature-unknown-key",
            Self::Mismatch => "signature-mismatch",
            Self::Early => "signature-early",
            Self::Expired => "signature-expired",
            Self::Client => "signature-client",
            Self::Replayed => "signature-replayed",
        }
    }

    /// What whoever sent it is told: that it lacks a signature, that the signature is no good, or
    /// for who holds a key, that it is not of this time. Not which keys there are, nor how far
    /// it got.
    pub const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Missing => ("signature-missing", "This server answers its edge alone."),
            Self::Malformed | Self::Covered | Self::UnknownKey | Self::Mismatch | Self::Client => {
                ("signature-invalid", "The signature is not that of the edge.")
            }
            Self::Early | Self::Expired => {
                ("signature-untimely", "The signature of the edge is not of this time.")
            }
            Self::Replayed => ("signature-replayed", "The signature of the edge was used before."),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for Refusal {}
