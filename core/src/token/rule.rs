//! What a policy says about tokens.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::key_set::Key;
use crate::time::as_millis;

/// The shortest secret of HS256, in bytes (RFC 7518 §3.2).
pub const SECRET_MIN: usize = 32;

/// Which tokens count, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRule {
    /// Where a request has its token.
    pub from: TokenSource,
    /// The only `iss` that counts; any when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Who we are in `aud`. A token that names an audience must name one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// The claim that names the user.
    pub user: String,
    /// By how much clocks may differ.
    #[serde(with = "as_millis")]
    pub skew: Duration,
    /// The claims that keys and names are made of; no others are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// The keys that the policy names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
    /// Where further keys are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<RemoteKeys>,
    /// What a bad token means.
    pub on_invalid: OnInvalid,
}

/// Where a request has its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenSource {
    /// Behind `Bearer` in the Authorization field (RFC 6750 §2.1).
    Authorization,
    /// In the cookie of this name.
    Cookie(String),
    /// In the field of this name, in lower case.
    Header(String),
}

/// A key set at a URL (RFC 7517 §5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteKeys {
    /// Its URL.
    pub url: String,
    /// How often it is asked for; and a token with an unknown key may ask for it ahead of
    /// time once in as long.
    #[serde(with = "as_millis")]
    pub refresh: Duration,
}

/// What a bad token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnInvalid {
    /// Nobody vouches for who sent it: limits count it by what else they know. In keys it is
    /// what an unverified credential is, apart from everybody else's.
    Anonymous,
    /// 401, or 503 where it is us who cannot tell.
    Deny,
}
