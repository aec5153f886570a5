//! Signatures, by `ring`: constant-time where secrets are, and no algorithm but the key's.

use std::fmt;
use std::sync::Arc;

use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use tidegate_core::token::{Material, Refusal, decode_base64url};

/// What a signature is held against. `Debug` shows its kind alone.
#[derive(Clone)]
pub(super) enum SignatureKey {
    /// HS256.
    Secret(Arc<hmac::Key>),
    /// RS256.
    Rsa(Arc<RsaPublicKeyComponents<Vec<u8>>>),
    /// ES256: the point, uncompressed (SEC 1 §2.3.3).
    P256(Arc<UnparsedPublicKey<Vec<u8>>>),
    /// There is none.
    Missing,
}

impl SignatureKey {
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self::Secret(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// A public key, whose numbers the core has looked at.
    pub(super) fn public(material: &Material) -> Self {
        let number = |text: &str| decode_base64url(text);
        let key = match material {
            Material::Secret(_) => None,
            Material::Rsa { n, e } => number(n).zip(number(e)).map(|(n, e)| {
                // ring takes no zeros in front.
                let [n, e] = [n, e].map(|n| n.into_iter().skip_while(|b| *b == 0).collect());
                Self::Rsa(Arc::new(RsaPublicKeyComponents { n, e }))
            }),
            Material::P256 { x, y } => number(x).zip(number(y)).map(|(x, y)| {
                let point = [&[4], &*x, &*y].concat();
                Self::P256(Arc::new(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)))
            }),
        };
        key.unwrap_or(Self::Missing)
    }

    /// Whether `signature` is this key's over `input`.
    pub(super) fn suits(&self, input: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
        let checked = match self {
            Self::Secret(key) => hmac::verify(key, input, signature),
            Self::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, input, signature),
            Self::P256(key) => key.verify(input, signature),
            Self::Missing => return Err(Refusal::NoKeys),
        };
        Ok(checked.is_ok())
    }
}

impl fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "HS256",
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Missing => "missing",
        })
    }
}
