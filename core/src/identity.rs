//! Who asks: what a policy may put into a key, and what it may count by.

use core::fmt;

use alloc::string::String;
use sha2::{Digest, Sha256};

use crate::text::Text;

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

impl CredentialHash {
    /// The first 32 of 256 bits, in hexadecimal digits.
    fn short(&self) -> [u8; 8] {
        let digit = |half: u8| b"0123456789abcdef"[usize::from(half & 15)];
        let mut digits = [0; 8];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [digit(byte >> 4), digit(byte)];
        }
        digits
    }
}

impl fmt::Display for CredentialHash {
    /// The first 32 of 256 bits: enough to tell people apart in a log, too few to use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.short()).unwrap_or_default())
    }
}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialHash({self})")
    }
}

impl Identity {
    /// Appends what it displays as.
    pub(crate) fn put(&self, text: &mut Text) {
        match self {
            Self::Anonymous => text.push_str("anonymous"),
            Self::Opaque(hash) => {
                text.push_str("~");
                text.push_str(core::str::from_utf8(&hash.short()).unwrap_or_default());
            }
            Self::Verified(user) => text.push_str(user),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text::new();
        self.put(&mut text);
        f.write_str(&text)
    }
}
