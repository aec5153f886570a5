//! Does the edge send this request, and for whom? HTTP message signatures (RFC 9421) between
//! the edge and the shim behind it, by HMAC-SHA256 (§3.3.3).
//!
//! The edge names the client in one field of its own, [`CLIENT`], and signs that together with
//! method, path and query. Fields that proxies between the two may add to or rewrite
//! (X-Forwarded-For and its kin, Host) are not covered, so they cannot break a signature; nor is
//! the body, which streams: a digest of it would have to be known before it begins. Against
//! who can change a request on its way there is TLS; the signature is against who goes around
//! the edge.
//!
//! What a request says of its client cannot be used before the signature was verified:
//! [`Keys::verify`] is the only way to it. That a signature is used once is for the shell to
//! see to, which keeps the [fingerprints](Verified::fingerprint) of those that are not over yet.
//!
//! ```
//! use tidegate_core::signature::{Client, Key, Keys, Question, SignatureRule};
//! use tidegate_core::{Scheme, Timestamp};
//! # use tidegate_core::FieldsMut;
//! # #[derive(Default)] struct Head(Vec<(String, String)>);
//! # impl FieldsMut for Head {
//! #     fn set(&mut self, name: &'static str, value: &str) { self.set_named(name, value) }
//! #     fn set_named(&mut self, name: &str, value: &str) { self.0.push((name.into(), value.into())) }
//! #     fn append(&mut self, name: &'static str, value: &str) { self.set(name, value) }
//! #     fn remove(&mut self, _: &'static str) {}
//! # }
//! let rule: SignatureRule =
//!     serde_json::from_str(r#"{"keys":[{"id":"a","secret":"EDGE_KEY"}],"skew":30000}"#)?;
//! let keys = Keys::of(&rule, |_name| Some("0123456789abcdef0123456789abcdef".into()))?;
//!
//! // At the edge:
//! let now = Timestamp::from_secs(1_795_000_000);
//! let question = Question { method: "GET", path: "/plugins", query: Some("page=2") };
//! let client = Client { ip: Some("203.0.113.7".parse()?), host: "shop.example", scheme: Scheme::Https };
//! let mut head = Head::default();
//! keys.sign(&question, &client, "f3a1-1", now, &mut head);
//!
//! // In the shim:
//! let verified = keys.verify(&question, &head.0, now)?;
//! assert_eq!(verified.host, "shop.example");
//! assert!(keys.verify(&Question { query: None, ..question }, &head.0, now).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base;
mod base64;
mod client;
mod keys;
mod refusal;
mod rule;
#[cfg(test)]
mod tests;
mod verify;

use core::time::Duration;

pub use base::Question;
pub use client::Client;
pub use keys::{BadSecret, Key, Keys};
pub use refusal::Refusal;
pub use rule::{KeyName, SECRET_MIN, SignatureRule};
pub use verify::Verified;

/// The field in which the edge names the client.
pub const CLIENT: &str = "tidegate-client";
/// What is signed, and how (§4.1).
pub const SIGNATURE_INPUT: &str = "signature-input";
/// The signatures themselves (§4.2).
pub const SIGNATURE: &str = "signature";

/// The fields that go from the edge to the shim and no further.
pub const FIELDS: [&str; 3] = [CLIENT, SIGNATURE_INPUT, SIGNATURE];

/// How long a signature counts. A request is on its way for milliseconds; a connection that must
/// be made first, or a busy proxy between, may take seconds.
pub const LIFETIME: Duration = Duration::from_secs(60);
