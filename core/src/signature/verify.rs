//! Verification (RFC 9421 §3.2).

use alloc::string::String;
use core::net::IpAddr;

use super::base::{self, COVERED, Question};
use super::client;
use super::keys::Keys;
use super::refusal::Refusal;
use super::{CLIENT, LIFETIME, SIGNATURE, SIGNATURE_INPUT, base64};
use crate::headers::Fields;
use crate::headers::structured::{self, Value};
use crate::host::Scheme;
use crate::time::Timestamp;

/// What the edge vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The client's address, where the edge knows it.
    pub ip: Option<IpAddr>,
    /// The host that the client asked for.
    pub host: String,
    /// The scheme by which it did.
    pub scheme: Scheme,
    /// When the signature says that it ends.
    pub expires: Timestamp,
    /// From when on it counts no longer, skew included: whoever keeps fingerprints may forget this
    /// one then. Within twice the skew and [`LIFETIME`] from now.
    pub until: Timestamp,
    /// Tells this signature from all others: the same one comes twice if somebody replays it.
    pub fingerprint: u64,
}

/// The tag of the edge's signatures, and their algorithm.
const TAG: &str = "tidegate";
const ALGORITHM: &str = "hmac-sha256";

impl Keys {
    /// Verifies that the edge has sent `question` with `fields`, by one of the keys and at this
    /// time. Linear in the length of the three fields.
    pub fn verify(
        &self,
        question: &Question<'_>,
        fields: &(impl Fields + ?Sized),
        now: Timestamp,
    ) -> Result<Verified, Refusal> {
        let (input, signature, client) =
            (only(fields, SIGNATURE_INPUT)?, only(fields, SIGNATURE)?, only(fields, CLIENT)?);
        // A client may have signatures of its own, for somebody else.
        let Some(input) = input else { return Err(Refusal::Missing) };
        let members = structured::members(input).ok_or(Refusal::Malformed)?;
        let is_ours = |member: &&structured::Member<'_>| text(member, "tag") == Some(TAG);
        let mut ours = members.iter().filter(is_ours);
        let input = ours.next().ok_or(Refusal::Missing)?;
        if ours.next().is_some() {
            return Err(Refusal::Malformed);
        }
        let signatures = structured::members(signature.ok_or(Refusal::Malformed)?);
        let signatures = signatures.ok_or(Refusal::Malformed)?;
        let signature = signatures.iter().find(|member| member.key == input.key);
        let signature = signature.and_then(|member| base64::decode(member.text));
        let signature = signature.ok_or(Refusal::Malformed)?;

        let covers = input.text.strip_prefix(COVERED).is_some_and(|rest| rest.starts_with(';'));
        if !covers || text(input, "alg") != Some(ALGORITHM) {
            return Err(Refusal::Covered);
        }
        let has_nonce = text(input, "nonce").is_some_and(|nonce| !nonce.is_empty());
        let (Some(created), Some(expires), true) =
            (seconds(input, "created"), seconds(input, "expires"), has_nonce)
        else {
            return Err(Refusal::Malformed);
        };
        let client = client.and_then(|client| core::str::from_utf8(client).ok());
        let client = client.ok_or(Refusal::Malformed)?;
        let key = text(input, "keyid").and_then(|id| self.keys.iter().find(|key| key.id == id));
        let key = key.ok_or(Refusal::UnknownKey)?;
        if !key.suits(&base::of_request(question, client, input.text), &signature) {
            return Err(Refusal::Mismatch);
        }

        let until = expires + self.skew;
        if created > now + self.skew {
            return Err(Refusal::Early);
        }
        // What is made to last longer than ours would have to be remembered for longer.
        if now >= until || expires.since(created) > LIFETIME {
            return Err(Refusal::Expired);
        }
        let (ip, host, scheme) = client::read(client.as_bytes()).ok_or(Refusal::Client)?;
        let [a, b, c, d, e, f, g, h, ..] = signature;
        let fingerprint = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Ok(Verified { ip, host, scheme, expires, until, fingerprint })
    }
}

/// The value of the only line of this name.
fn only<'a>(fields: &'a (impl Fields + ?Sized), name: &str) -> Result<Option<&'a [u8]>, Refusal> {
    let mut lines = fields.lines_of(name);
    let first = lines.next();
    match lines.next() {
        None => Ok(first),
        Some(_) => Err(Refusal::Malformed),
    }
}

fn text<'m>(member: &'m structured::Member<'_>, name: &str) -> Option<&'m str> {
    match member.parameter(name)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn seconds(member: &structured::Member<'_>, name: &str) -> Option<Timestamp> {
    match member.parameter(name)? {
        Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Timestamp::from_secs),
        _ => None,
    }
}
