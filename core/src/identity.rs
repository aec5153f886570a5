//! Who asks: what a policy may put into a key, and what it may count by.

use core::fmt;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
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
    Verified(User),
}

/// A user, and what else was verified of them. Equal users may have different claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: Box<str>,
    claims: Vec<(String, String)>,
}

/// The SHA-256 of a credential: keys hold it in place of the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialHash([u8; 32]);

impl User {
    /// A user with verified claims, of the names that the policy has a use for.
    pub fn with_claims(name: impl Into<Box<str>>, claims: Vec<(String, String)>) -> Self {
        Self { name: name.into(), claims }
    }

    /// What the user is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A verified claim.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl From<&str> for User {
    fn from(name: &str) -> Self {
        Self { name: name.into(), claims: Vec::new() }
    }
}

impl Identity {
    /// The user, if something trusted named one: what limits count by.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Verified(user) => Some(user.name()),
            Self::Opaque(_) | Self::Anonymous => None,
        }
    }

    /// A claim of a verified user.
    pub fn claim(&self, name: &str) -> Option<&str> {
        match self {
            Self::Verified(user) => user.claim(name),
            Self::Opaque(_) | Self::Anonymous => None,
        }
    }
}

impl CredentialHash {
    /// Hashes a credential.
    pub fn of(credential: &[u8]) -> Self {
        Self(Sha256::digest(credential).into())
    }

    /// Hashes the credentials that a request has; one alone is hashed as it is.
    pub fn of_all<'a>(mut credentials: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let first = credentials.next()?;
        let Some(second) = credentials.next() else { return Some(Self::of(first)) };
        let mut hasher = Sha256::new();
        for credential in [first, second].into_iter().chain(credentials) {
            hasher.update((credential.len() as u64).to_be_bytes());
            hasher.update(credential);
        }
        Some(Self(hasher.finalize().into()))
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
            Self::Verified(user) => text.push_encoded(user.name()),
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
