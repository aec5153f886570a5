//! Counts in a memory that does not grow with what is counted.

mod curves;
mod distinct;
mod hottest;
mod over_time;

pub use curves::{Curve, Point, TTLS};
pub(crate) use curves::{Curves, Seen};
pub use distinct::Count;
pub(crate) use distinct::Distinct;
pub use hottest::Hot;
pub(crate) use hottest::Hottest;
pub(crate) use over_time::OverTime;
pub use over_time::Slice;
