//! Cases as data, and the small world in which they run: the core, a store in memory, an origin
//! that says what its script says, and a clock that moves when a case says so.
//!
//! Nothing here reads a clock, a file or a socket, so the same cases run natively, in wasm, and
//! (by [`expectation`]) against the real programs.

pub mod case;
pub mod expectation;
pub mod message;
pub mod policy;
mod shell;
mod store;
pub mod verdict;
#[cfg(target_family = "wasm")]
mod wasm;

pub use case::Case;
pub use verdict::{Verdict, judge};
