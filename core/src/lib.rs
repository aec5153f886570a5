//! Every caching and rate-limit decision of Tidegate, as pure functions of (policy, facts,
//! now): no I/O, no clock, no async, no randomness, no panic on any input.
//!
//! The core answers questions; a shell does what it says. In the order of a request:
//!
//! | question | answer |
//! |---|---|
//! | which route is this, and what does its policy say on this tier? | [`Policy::plan`] → [`Plan`] |
//! | may this client proceed? | [`Admission::decide`] |
//! | what identifies the answer? | [`CacheKey::of`] |
//! | can the stored copy answer? (RFC 9111 §4) | [`reuse::reuse`] → [`Reuse`] |
//! | what does this answer to a revalidation do to it? (§4.3) | [`refresh::refresh`] → [`Refresh`] |
//! | may we keep this answer? (§3) | [`store::store`] → [`Store`] |
//! | which fields leave on this tier? | [`respond`] |
//!
//! Time is an argument ([`Timestamp`]). State goes in, new state comes out, the shell keeps it.
//! Every "no" is an enum whose words logs, `Cache-Status` and `explain` share.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod conditional;
#[cfg(feature = "toml")]
pub mod document;
pub mod explain;
pub mod forward;
pub mod freshness;
pub mod headers;
pub mod host;
#[cfg(feature = "http")]
mod http_types;
pub mod identity;
pub mod invalidate;
pub mod key;
pub mod method;
pub mod partial;
pub mod policy;
pub mod rate;
pub mod refresh;
pub mod request;
pub mod respond;
pub mod response;
pub mod reuse;
pub mod rule;
pub mod store;
pub mod stored;
pub mod target;
pub mod tier;
pub mod time;

pub use freshness::Exchange;
pub use headers::{Fields, FieldsMut};
pub use host::{Host, Scheme};
pub use identity::Identity;
pub use key::CacheKey;
pub use method::Method;
pub use policy::{Plan, Policy};
pub use rate::{Admission, ClientFacts, LimitKey};
pub use refresh::Refresh;
pub use request::Request;
pub use response::Response;
pub use reuse::{Lookup, Reuse};
pub use rule::CacheRule;
pub use store::Store;
pub use stored::Stored;
pub use target::Target;
pub use tier::Tier;
pub use time::Timestamp;
