//! Keys, and signing by the first of them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::base::{self, COVERED, Question};
use super::rule::{SECRET_MIN, SignatureRule};
use super::{CLIENT, Client, LIFETIME, SIGNATURE, SIGNATURE_INPUT, base64};
use crate::headers::FieldsMut;
use crate::time::Timestamp;

/// A key with its secret, made ready: what hashing of the secret there is, is done.
#[derive(Clone)]
pub struct Key {
    pub(super) id: String,
    mac: Hmac<Sha256>,
}

/// The keys of a policy: the first signs, all of them verify.
#[derive(Clone, Debug)]
pub struct Keys {
    pub(super) keys: Vec<Key>,
    pub(super) skew: Duration,
}

/// Why a secret is no use. It names the variable, never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSecret {
    /// The variable is not set.
    Unset(String),
    /// It is shorter than [`SECRET_MIN`].
    Short(String),
}

impl Keys {
    /// The keys that `rule` names; `secret` answers for variables. The error is the first secret
    /// that is no use.
    pub fn of(
        rule: &SignatureRule,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BadSecret> {
        let key = |name: &super::KeyName| {
            let secret = secret(&name.secret).ok_or_else(|| BadSecret::Unset(name.secret.clone()));
            let key = Key::new(&name.id, secret?.as_bytes());
            key.ok_or_else(|| BadSecret::Short(name.secret.clone()))
        };
        let keys = rule.keys.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys, skew: rule.skew })
    }

    /// Signs a request by the first key: sets the fields [`super::FIELDS`], in place of whatever
    /// they are. Nothing happens where there is no key. `nonce` must never come twice within
    /// [`LIFETIME`], and consists of letters, digits and `-`.
    ///
    /// Costs one hash of all that is signed, a few hundred bytes.
    pub fn sign(
        &self,
        question: &Question<'_>,
        client: &Client<'_>,
        nonce: &str,
        now: Timestamp,
        fields: &mut impl FieldsMut,
    ) {
        let Some(key) = self.keys.first() else { return };
        let client = client.to_string();
        let created = now.as_secs();
        let (created, expires) =
            (created.to_string(), created.saturating_add(LIFETIME.as_secs()).to_string());
        let parameters = [
            COVERED,
            ";created=",
            &created,
            ";expires=",
            &expires,
            ";nonce=\"",
            nonce,
            "\";keyid=\"",
            &key.id,
            "\";alg=\"hmac-sha256\";tag=\"tidegate\"",
        ]
        .concat();
        let signature = key.sign(&base::of_request(question, &client, &parameters));
        fields.set(CLIENT, &client);
        fields.set(SIGNATURE_INPUT, &["edge=", &parameters].concat());
        fields.set(SIGNATURE, &["edge=", &base64::encode(&signature)].concat());
    }
}

impl Key {
    /// A key by this name; `None` for a secret that is too short.
    pub fn new(id: &str, secret: &[u8]) -> Option<Self> {
        let mac = Hmac::new_from_slice(secret).ok().filter(|_| secret.len() >= SECRET_MIN)?;
        Some(Self { id: id.into(), mac })
    }

    pub(super) fn sign(&self, base: &str) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(base.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Compared in the same time whatever they are.
    pub(super) fn suits(&self, base: &str, signature: &[u8; 32]) -> bool {
        let mut mac = self.mac.clone();
        mac.update(base.as_bytes());
        mac.verify(&(*signature).into()).is_ok()
    }
}

impl fmt::Debug for Key {
    /// Its name alone: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Display for BadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset(name) => write!(f, "the secret `{name}` is not set"),
            Self::Short(name) => {
                write!(f, "the secret `{name}` is shorter than {SECRET_MIN} bytes")
            }
        }
    }
}

impl core::error::Error for BadSecret {}
