//! What a policy would have made of requests that are past: both tiers on a virtual clock, with
//! every decision the core's. No network, no clock of its own, and a memory that does not grow with
//! the number of requests.
//!
//! An [`Engine`] is shown one [`Asked`] after another, be it read from a log ([`log`]) or made
//! up, and counts what would have become of it; a [`Report`] says that in numbers, and is written
//! as text, JSON or a page. What nobody knows of the past is an [`Assumptions`], by name.
//!
//! ```
//! use tidegate_core::{Policy, Tier, Timestamp};
//! use tidegate_replay::{Asked, Engine, Setup};
//!
//! let policy = Policy::from_json(
//!     r#"{"schema":1,"routes":[{"name":"all","pattern":"/*",
//!         "origin":{"mode":"default","ttl":60000,"client_directives":"ignore"}}]}"#,
//! )?;
//! let mut engine = Engine::new(policy, Setup::default());
//! let asked = Asked {
//!     at: Timestamp::from_secs(1_795_000_000),
//!     took: None,
//!     client: None,
//!     user: None,
//!     method: "GET",
//!     scheme: None,
//!     host: None,
//!     target: "/plugins",
//!     fields: &[],
//!     has_all_fields: false,
//!     status: 200,
//!     bytes: 512,
//!     answer: None,
//! };
//! let first = engine.ask(&asked).unwrap();
//! assert_eq!(first.origin_requests, 1);
//! let second = engine.ask(&Asked { at: Timestamp::from_secs(1_795_000_059), ..asked }).unwrap();
//! assert_eq!(second.served_by, Some(Tier::Origin));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod asked;
pub mod assumptions;
pub mod counts;
mod digest;
pub mod engine;
pub mod log;
pub mod plot;
pub mod report;
pub mod simulate;
pub mod sketch;

pub use asked::Asked;
pub use assumptions::Assumptions;
pub use counts::Outcomes;
pub use engine::{Engine, Outcome, Setup, Tiers};
pub use report::Report;
