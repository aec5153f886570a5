//! A key as a name of fixed length that can stand in a URL.

use sha2::{Digest, Sha256};

use crate::hex;

/// The SHA-256 of `bytes`, in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}
