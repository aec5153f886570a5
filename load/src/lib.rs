//! A load test that anyone can run: virtual users with think time and ramp, what they ask for, and
//! what they found.
//!
//! [goose](https://docs.rs/goose) starts the users, ramps them up and stops them. What each asks
//! for, and when, is laid down before anything is sent ([`tidegate_traffic`]), and each latency is
//! measured from the moment at which its request was to be sent: a server that stalls answers late
//! all that was to be asked meanwhile, and not one request alone (coordinated omission).

pub mod command;
mod destination;
mod latencies;
mod phases;
mod report;
mod run;
mod served;
mod tally;
mod targets;
mod trouble;
mod visitor;

pub use destination::{Destination, NotToBeLoaded};
pub use latencies::{Latencies, Percentiles};
pub use phases::{Phase, PhasesError, Timeline};
pub use report::{Report, Section, Verdict};
pub use run::{Plan, RunError, run};
pub use served::Served;
pub use targets::{Targets, TargetsError};
pub use trouble::Trouble;
