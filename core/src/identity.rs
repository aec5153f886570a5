//! Who asks: what a policy may put into a key, and what it may count by.

use core::fmt;

use alloc::string::String;
use sha2::{Digest, Sha256};

/// Who a request comes from, as far as the shell could find out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// No credential.
    #[default]
    Anonymous,
    /// A credential nobody checked. The same credential is the same identity, so it may
    /// separate cache entries; but anyone can make up new ones, so limits do not count by it.
    Opaque(CredentialHash),
    /// A user whom something trusted named; good for keys and for limits.
    Verified(String),
}

/// The SHA-256 of a credential: keys hold it in place of the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialHash([u8; 32]);

impl CredentialHash {
    /// Hashes a credential.
    pub fn of(credential: &[u8]) -> Self {
        Self(Sha256::digest(credential).into())
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for CredentialHash {
    /// The first 32 of 256 bits: enough to tell people apart in a log, too few to use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialHash({self})")
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Opaque(hash) => write!(f, "~{hash}"),
            Self::Verified(user) => f.write_str(user),
        }
    }
}
