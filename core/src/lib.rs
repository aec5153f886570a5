//! Every caching and rate-limit decision of Tidegate, as pure functions of (policy, facts,
//! now): no I/O, no clock, no async, no randomness, no panic on any input.
//!
//! The core answers questions; a shell does what it says. In the order of a request:
//!
//! | question | answer |
//! |---|---|
//! | which route is this, and what does its policy say on this tier? | [`Policy::plan`] → [`Plan`] |
//! | who asks? | [`Policy::evidence`], [`token::open`] → [`Identity`] |
//! | may this client proceed? | [`Admission::decide`] |
//! | what identifies the answer? | [`CacheKey::of`] |
//! | which server is asked, and whether any is? | [`upstream::Group`] → [`upstream::Choice`] |
//! | can the stored copy answer? (RFC 9111 §4) | [`reuse::reuse`] → [`Reuse`] |
//! | what does this answer to a revalidation do to it? (§4.3) | [`refresh::refresh`] → [`Refresh`] |
//! | may we keep this answer? (§3) | [`store::store`] → [`Store`] |
//! | which fields leave on this tier? | [`respond`] |
//! | in which coding does the body leave? | [`compress::Offer`] → [`compress::Verdict`] |
//! | does the edge send this, and for whom? (RFC 9421) | [`signature::Keys::verify`] → [`signature::Verified`] |
//!
//! Time is an argument ([`Timestamp`]). State goes in, new state comes out, the shell keeps it.
//! Every "no" is an enum whose words logs, `Cache-Status` and `explain` share.
//!
//! # One request
//!
//! ```
//! use std::time::Duration;
//! use tidegate_core::{
//!     CacheKey, Exchange, Host, Identity, Lookup, Method, Policy, Request, Response, Reuse,
//!     Scheme, Store, Target, Tier, Timestamp, reuse::reuse, store::store,
//! };
//!
//! // A policy: the canonical JSON, or `document::read` for `tidegate.toml` (feature `toml`).
//! let policy = Policy::from_json(
//!     r#"{"schema":1,"routes":[{"name":"list","pattern":"/api/v1/plugins",
//!         "origin":{"mode":"default","ttl":300000,"client_directives":"ignore"}}]}"#,
//! )?;
//!
//! // The facts of a request, read once.
//! let host = Host::parse("shop.example", Scheme::Https)?;
//! let target = Target::parse("/api/v1/plugins?page=2")?;
//! let fields = [("accept", "application/json")];
//! let request = Request::read(Method::Get, Scheme::Https, &host, &target, &fields);
//!
//! // Which route is this, and may its answer come from a cache?
//! let plan = policy.plan(Tier::Origin, &request);
//! let rule = plan.cache.expect("the route caches on this tier");
//! let key = CacheKey::of(&rule.key, &request, &Identity::Anonymous);
//! assert_eq!(key.to_string(), "https://shop.example/api/v1/plugins?page=2");
//!
//! // Nothing is stored yet, so the origin is asked.
//! let now = Timestamp::from_secs(1_795_000_000);
//! assert!(matches!(reuse(rule, &request, Lookup::<Stored>::Nothing, now), Reuse::Forward { .. }));
//!
//! // Its answer says nothing of caching: the policy's five minutes count.
//! let answer = [("content-type", "application/json"), ("etag", "\"1\"")];
//! let exchange = Exchange { requested_at: now, received_at: now };
//! let response = Response::read(Tier::Origin, 200, &answer, now);
//! let Store::Keep { stored, .. } = store(rule, &request, &response, &exchange) else {
//!     panic!("nothing forbids to keep it");
//! };
//!
//! // Four minutes later it serves; a minute after that the origin is asked to confirm it.
//! let later = |minutes: u64| now + Duration::from_secs(60 * minutes);
//! let decide = |at| reuse(rule, &request, Lookup::Found(stored), at);
//! assert!(matches!(decide(later(4)), Reuse::Serve { ttl, .. } if ttl == Duration::from_secs(60)));
//! assert!(matches!(decide(later(5)), Reuse::Revalidate { .. }));
//! # use tidegate_core::Stored;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod alike;
pub mod canonical;
pub mod compress;
pub mod conditional;
pub mod cors;
pub mod device;
#[cfg(feature = "toml")]
pub mod document;
pub mod explain;
pub mod files;
pub mod forward;
pub mod freshness;
pub mod headers;
pub mod host;
#[cfg(feature = "http")]
pub mod http_types;
pub mod identity;
pub mod invalidate;
pub mod key;
pub mod method;
pub mod partial;
pub mod policy;
pub mod purge;
pub mod rate;
pub mod refresh;
pub mod request;
pub mod respond;
pub mod response;
pub mod reuse;
pub mod rule;
pub mod shadow;
pub mod signature;
mod sort;
pub mod status_ttl;
pub mod store;
pub mod stored;
pub mod target;
pub mod text;
pub mod tier;
pub mod time;
pub mod token;
pub mod upstream;

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
pub use text::Text;
pub use tier::Tier;
pub use time::Timestamp;
