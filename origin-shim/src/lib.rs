//! Tidegate at the origin: a proxy that applies the policy file before a service.
//!
//! Every decision is `tidegate-core`'s; this crate brings what that has not: sockets, a
//! clock, and the places where answers and limiter states live. [`gate`] is the loop of one
//! request, in the same order as the worker's at the edge.

mod account;
pub mod admin;
pub mod alike;
pub mod answer_store;
pub mod asking;
pub mod audit;
pub mod body;
mod by_limit;
pub mod client;
pub mod clock;
pub mod coder;
pub mod compressing;
pub mod control;
mod crypto;
pub mod edge_outbox;
pub mod edge_signature;
mod encoder;
pub mod gate;
pub mod http1;
pub mod in_force;
pub mod invalidations;
mod lanes;
pub mod layer;
pub mod limited;
pub mod limiter;
pub mod metrics;
pub mod multipart;
mod name_bits;
pub mod operating;
pub mod origin;
#[cfg(feature = "otel")]
pub mod otel;
mod overlay;
pub mod policy_diff;
mod policy_fields;
pub mod policy_file;
pub mod process_log;
pub mod purging;
pub mod recording;
pub mod redis_limiter;
pub mod redis_link;
pub mod request_log;
pub mod saved_answers;
pub mod second_tier;
pub mod server;
pub mod shadows;
pub mod stored_head;
pub mod stores;
pub mod tallies;
pub mod tokens;
mod tracing;
pub mod upstream;
pub mod visitor;
pub mod wrangler_file;
pub mod zones;

pub use gate::Gate;
pub use layer::{Tidegate, TidegateLayer};
