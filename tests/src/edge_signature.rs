//! Requests as the edge signs them (RFC 9421), made by another library than that of the programs.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ring::hmac;

use crate::wire::Request;

/// Signs requests by one key, as an edge would.
#[derive(Clone, Debug)]
pub struct EdgeSigner {
    id: String,
    key: hmac::Key,
    /// The client's address.
    ip: String,
    /// What the client asks for.
    host: String,
    /// By how many seconds the edge's clock differs from ours.
    pub skew: i64,
}

impl EdgeSigner {
    /// A signer by the key of this name; the client is 203.0.113.7 and asks for
    /// `https://shop.example`.
    #[must_use]
    pub fn new(id: &str, secret: &str) -> Self {
        Self {
            id: id.to_owned(),
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            ip: "203.0.113.7".into(),
            host: "shop.example".into(),
            skew: 0,
        }
    }

    /// The same for another client.
    #[must_use]
    pub fn of_client(&self, ip: &str) -> Self {
        Self { ip: ip.to_owned(), ..self.clone() }
    }

    /// The same by a clock that is ahead by so many seconds.
    #[must_use]
    pub fn ahead_by(&self, seconds: i64) -> Self {
        Self { skew: seconds, ..self.clone() }
    }

    /// A signed GET.
    #[must_use]
    pub fn get(&self, target: &str) -> Request {
        self.sign(Request::get(target), "GET", target)
    }

    /// `request` with a signature over this method and target, be they its own or not.
    ///
    /// # Panics
    /// If the clock stands before 1970.
    #[must_use]
    pub fn sign(&self, request: Request, method: &str, target: &str) -> Request {
        static NONCE: AtomicUsize = AtomicUsize::new(0);
        let nonce = NONCE.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let created = now.as_secs().cast_signed() + self.skew;
        let Self { id, ip, host, .. } = self;
        let client = format!(r#"ip="{ip}", host="{host}", scheme="https""#);
        let parameters = format!(
            "(\"@method\" \"@path\" \"@query\" \"tidegate-client\");created={created};expires={};\
             nonce=\"{}-{nonce}\";keyid=\"{id}\";alg=\"hmac-sha256\";tag=\"tidegate\"",
            created + 60,
            std::process::id(),
        );
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let base = format!(
            "\"@method\": {method}\n\"@path\": {path}\n\"@query\": ?{query}\n\
             \"tidegate-client\": {client}\n\"@signature-params\": {parameters}"
        );
        let signature = BASE64_STANDARD.encode(hmac::sign(&self.key, base.as_bytes()));
        request
            .header("Tidegate-Client", &client)
            .header("Signature-Input", &format!("edge={parameters}"))
            .header("Signature", &format!("edge=:{signature}:"))
    }
}
