//! What the end-to-end tests stand on: an origin to hide behind a gate, the
//! real programs as processes, and a client that shows what came over the wire.
//!
//! Nothing here replaces a part of Tidegate by an imitation, and nothing waits
//! by sleeping: readiness is read from the programs, and every wait is bounded.

pub mod cache_status;
pub mod cases;
pub mod demo_origin;
pub mod edge_signature;
pub mod edge_worker;
pub mod held_origin;
pub mod hold;
pub mod http2;
pub mod limit_traces;
pub mod metrics;
pub mod parity;
pub mod policy_file;
pub mod process;
pub mod raw_origin;
pub mod redis;
pub mod scripted_origin;
pub mod shim;
pub mod tier;
pub mod tls;
pub mod tokens;
pub mod wire;
