//! Is this JSON Web Token good, and whose is it? (RFC 7515, 7519, 8725)
//!
//! Everything but the signature is decided here, before it: shape, size, algorithm, times,
//! issuer, audience, and which key must have signed. The shell does the one step that needs a
//! cryptographic library and hands its result to [`Unverified::verified`], the only way to the
//! user of a token: what a token claims cannot be used before somebody vouched for it.
//!
//! ```
//! use tidegate_core::Timestamp;
//! use tidegate_core::token::{self, KeySet, Refusal, TokenRule};
//!
//! fn user_of(token: &[u8], rule: &TokenRule, keys: &KeySet) -> Result<String, Refusal> {
//!     let token = token::open(token, rule, keys, Timestamp::from_secs(1_800_000_000))?;
//!     let good = signature_suits(token.key(), token.signing_input(), token.signature());
//!     Ok(token.verified(good)?.user.name().into())
//! }
//! # fn signature_suits(_key: usize, _input: &[u8], _signature: &[u8]) -> bool { false }
//! ```

mod base64url;
mod claims;
mod key_set;
mod members;
mod refusal;
mod rule;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

pub use base64url::decode as decode_base64url;
pub use key_set::{Algorithm, BadKeySet, Key, KeySet, Material};
pub use refusal::Refusal;
pub use rule::{OnInvalid, RemoteKeys, SECRET_MIN, TokenRule, TokenSource};

use crate::identity::User;
use crate::time::Timestamp;
use claims::Claims;
use members::Members;

/// The longest token that is looked at, in bytes. Header sections rarely may be longer.
pub const TOKEN_MAX: usize = 8 * 1024;

/// A token that is in order but for its signature, which nobody looked at yet. Nothing it
/// claims can be had from it.
pub struct Unverified<'t> {
    signing_input: &'t [u8],
    signature: Vec<u8>,
    key: usize,
    claims: Claims,
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose it is.
    pub user: User,
    /// From when on it counts no longer, skew included.
    pub until: Timestamp,
}

/// Looks at all of a token but its signature. `keys` are those of `rule`, together with what
/// its key set at a URL has at the moment.
///
/// Times are looked at before the key is chosen: an old token with the `kid` of a key long gone
/// is expired, not a reason to ask for new keys.
pub fn open<'t>(
    token: &'t [u8],
    rule: &TokenRule,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Unverified<'t>, Refusal> {
    if token.len() > TOKEN_MAX {
        return Err(Refusal::Oversized);
    }
    // RFC 7515 §7.1: exactly three parts.
    let text = core::str::from_utf8(token).map_err(|_| Refusal::Malformed)?;
    let (signing_input, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, payload) = signing_input.split_once('.').ok_or(Refusal::Malformed)?;
    let decode = |part| base64url::decode(part).ok_or(Refusal::Malformed);

    let header = Members::read(&decode(header)?).ok_or(Refusal::Malformed)?;
    let algorithm = Algorithm::of(&header)?;
    // RFC 7515 §4.1.11: whoever does not understand an extension that is critical must refuse,
    // and this crate understands none. `jku`, `jwk` and `x5u` are for a token to choose its own
    // key by, and are never heeded (RFC 8725 §3.10).
    if header.get("crit").is_some() {
        return Err(Refusal::Critical);
    }
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().ok_or(Refusal::Malformed)?),
    };
    let payload = Members::read(&decode(payload)?).ok_or(Refusal::Malformed)?;
    let signature = decode(signature)?;
    if signature.is_empty() {
        return Err(Refusal::Unsigned);
    }
    let claims = Claims::read(payload, rule, now)?;
    let key = keys.choose(kid, algorithm)?;
    Ok(Unverified { signing_input: signing_input.as_bytes(), signature, key, claims })
}

impl<'t> Unverified<'t> {
    /// What was signed (RFC 7515 §5.2 step 8).
    pub const fn signing_input(&self) -> &'t [u8] {
        self.signing_input
    }

    /// The signature: for ES256 the two numbers one after the other (RFC 7518 §3.4).
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The position in the key set of the one key that must have signed it.
    pub const fn key(&self) -> usize {
        self.key
    }

    /// What the token says, once it is known whether the signature is good.
    pub fn verified(self, is_good: bool) -> Result<Verified, Refusal> {
        match is_good {
            true => Ok(Verified { user: self.claims.user, until: self.claims.until }),
            false => Err(Refusal::Signature),
        }
    }
}

impl core::fmt::Debug for Unverified<'_> {
    /// Neither claims nor signature: this may end in a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Unverified").field("key", &self.key).finish_non_exhaustive()
    }
}
