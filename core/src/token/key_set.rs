//! Which key must have signed a token.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::base64url::{is_base64url, significant_bits};
use super::members::Members;
use super::refusal::Refusal;

/// The largest key set that is read, in bytes.
const SET_MAX: usize = 64 * 1024;
/// The most keys of a set that are kept.
const KEYS_MAX: usize = 64;
/// The shortest modulus that RSA signatures are believed of, in bits (RFC 7518 §3.3).
const RSA_MIN: usize = 2048;
/// The longest, lest a key be a way to keep the processor busy.
const RSA_MAX: usize = 8192;

/// The signature algorithms that are taken (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// A key, for one algorithm alone: what a key is made of says which (RFC 8725 §3.1), so that
/// no public key can be taken for a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// What tokens call it. One without is for tokens whose `kid` no other key has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// What it is made of.
    pub material: Material,
}

/// What a key is made of; numbers in base64url (RFC 7518 §6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Material {
    /// For HS256: the name of the variable that holds the secret. Never the secret.
    Secret(String),
    /// For RS256.
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
    /// For ES256.
    P256 {
        /// One coordinate.
        x: String,
        /// The other.
        y: String,
    },
}

/// The keys that may have signed a token, at fixed positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

/// What was fetched is no key set that has a key for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadKeySet {
    /// It is longer than 64 KiB.
    Oversized,
    /// It is not the JSON of a key set.
    Malformed,
    /// It has no key for RS256 or ES256.
    Empty,
}

impl Algorithm {
    /// The `alg` of a token's header.
    pub(super) fn of(header: &Members) -> Result<Self, Refusal> {
        match header.get("alg") {
            None => Err(Refusal::Malformed),
            Some(alg) => match alg.as_str() {
                // RFC 7518 §3.6; by the letter it is lower case, but some readers are lax.
                Some(none) if none.eq_ignore_ascii_case("none") => Err(Refusal::Unsigned),
                Some(name) => Self::parse(name).ok_or(Refusal::Algorithm),
                None => Err(Refusal::Malformed),
            },
        }
    }

    /// Reads a name; case counts.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }

    /// The name in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

impl Key {
    /// The one algorithm that it is for.
    pub const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256 { .. } => Algorithm::Es256,
        }
    }

    /// A key of a set at a URL (RFC 7517 §4), if it is one to check signatures of ours with.
    /// A secret is never taken from there.
    fn from_jwk(jwk: &Members) -> Option<Self> {
        let text = |name| jwk.text(name).map(String::from);
        // §4.2, §4.3: what a key is for, where it says so.
        if jwk.get("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops") {
            operations.as_array()?.iter().find(|operation| *operation == "verify")?;
        }
        let material = match jwk.text("kty")? {
            "RSA" => Material::Rsa { n: text("n")?, e: text("e")? },
            "EC" if jwk.text("crv") == Some("P-256") => {
                Material::P256 { x: text("x")?, y: text("y")? }
            }
            _ => return None,
        };
        let key = Self { kid: text("kid"), material };
        let algorithm = key.algorithm().as_str();
        let is_ours = jwk.get("alg").is_none_or(|alg| alg == algorithm);
        (is_ours && key.material.check().is_ok()).then_some(key)
    }
}

impl Material {
    /// Whether the numbers are such as a key can have; else what is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Secret(_) => Ok(()),
            Self::Rsa { n, e } => match (significant_bits(n), significant_bits(e)) {
                (None, _) | (_, None) => Err("`n` and `e` are numbers in base64url"),
                (Some(bits), _) if bits < RSA_MIN => Err("an RSA key has 2048 bits at least"),
                (Some(bits), _) if bits > RSA_MAX => Err("an RSA key has 8192 bits at most"),
                (_, Some(bits)) if bits > 33 => Err("the exponent `e` is 65537 as a rule"),
                _ => Ok(()),
            },
            // RFC 7518 §6.2.1.2: 32 bytes each, which is 43 letters.
            Self::P256 { x, y } => match [x, y].iter().all(|n| n.len() == 43 && is_base64url(n)) {
                true => Ok(()),
                false => Err("`x` and `y` are 32 bytes each in base64url"),
            },
        }
    }
}

impl KeySet {
    /// A set of these keys.
    pub fn new(keys: Vec<Key>) -> Self {
        Self(keys)
    }

    /// Reads a key set (RFC 7517 §5). Keys of other kinds, and such as cannot be read, are left
    /// out, as §5 demands.
    pub fn from_jwks(json: &[u8]) -> Result<Self, BadKeySet> {
        if json.len() > SET_MAX {
            return Err(BadKeySet::Oversized);
        }
        let set = Members::read(json).ok_or(BadKeySet::Malformed)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(BadKeySet::Malformed)?;
        let members = keys.iter().filter_map(Members::of);
        let keys: Vec<Key> = members.filter_map(|jwk| Key::from_jwk(&jwk)).take(KEYS_MAX).collect();
        if keys.is_empty() {
            return Err(BadKeySet::Empty);
        }
        Ok(Self(keys))
    }

    /// The keys, at their positions.
    pub fn keys(&self) -> &[Key] {
        &self.0
    }

    /// The position of the one key that a token of this `kid` and algorithm is signed with.
    ///
    /// The token names a key, and the key has an algorithm: a token that names another is
    /// refused, whatever a library would make of it (RFC 8725 §3.1).
    pub(super) fn choose(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<usize, Refusal> {
        let every = || self.0.iter().enumerate();
        if self.0.is_empty() {
            return Err(Refusal::NoKeys);
        }
        let named: Vec<usize> = every()
            .filter(|(_, key)| kid.is_some() && key.kid.as_deref() == kid)
            .map(|(at, _)| at)
            .collect();
        let unnamed = || every().filter(|(_, key)| key.kid.is_none()).map(|(at, _)| at).collect();
        let candidates: Vec<usize> = match (named.is_empty(), kid) {
            (false, _) => named,
            (true, Some(_)) => unnamed(),
            // A token that names no key may be any key's.
            (true, None) => every().map(|(at, _)| at).collect(),
        };
        if candidates.is_empty() {
            return Err(Refusal::UnknownKey);
        }
        let mut fitting = candidates.into_iter().filter(|at| self.0[*at].algorithm() == algorithm);
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Refusal::Algorithm),
            (Some(_), Some(_)) => Err(Refusal::UnclearKey),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kid = self.kid.as_deref().unwrap_or("without kid");
        write!(f, "Key({kid}, {})", self.algorithm().as_str())
    }
}

impl BadKeySet {
    /// The reason as a sentence.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Oversized => "the key set is longer than 64 KiB",
            Self::Malformed => "what came is no JSON Web Key Set",
            Self::Empty => "the key set has no key for RS256 or ES256",
        }
    }
}

impl fmt::Display for BadKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain())
    }
}

impl core::error::Error for BadKeySet {}
