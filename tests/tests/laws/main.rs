//! Laws that hold for every input, tried on many: what a case cannot say.
//!
//! A case that once broke a law is kept under `proptest-regressions` and tried first.

mod asked;
mod decisions;
mod keys;
mod limits;
mod panics;
mod parts;
mod policies;
mod routes;
mod storing;
mod targets;
mod texts;
mod vary;
