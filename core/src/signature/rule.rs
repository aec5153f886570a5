//! What a policy says about signatures.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::as_millis;

/// The shortest secret, in bytes: as long as the hash (RFC 2104 §3).
pub const SECRET_MIN: usize = 32;

/// By which keys the edge signs what it sends to the shim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureRule {
    /// The first signs, all of them verify.
    pub keys: Vec<KeyName>,
    /// By how much the clocks of edge and shim may differ.
    #[serde(with = "as_millis")]
    pub skew: Duration,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyName {
    /// Its name in signatures, which everybody may read.
    pub id: String,
    /// The name of the variable that holds the secret.
    pub secret: String,
}
