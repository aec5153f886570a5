//! Traffic as a small team's platform has it, made from a seed: who comes when, and asks for what.
//!
//! It does no I/O, has no clock and no randomness of its own: the same seed gives the same requests
//! on every platform. Time is counted from a midnight on.
//!
//! What people do is data ([`mix.toml`](../mix.toml), read by [`Mix`]); nothing of it is measured on
//! a real platform, so whatever follows from it holds as far as its assumptions do.
//!
//! - [`Requests`]: all requests of many users in the order of time, to be decided on.
//! - [`Visit`]: the pages of one visit, one after the other, for who really asks.
//!
//! ```
//! use std::num::NonZeroU32;
//! use tidegate_traffic::{Mix, Requests, Traffic};
//!
//! let mix = Mix::platform();
//! let users = NonZeroU32::new(10_000).unwrap();
//! let traffic = Traffic { users, rate: 200.0, ..Traffic::default() };
//! let an_hour = Requests::of(&mix, traffic).take_while(|request| request.at.as_secs() < 11 * 3600);
//! assert!(an_hour.count() > 10_000);
//! ```

mod browser;
mod chance;
mod day;
mod mix;
mod population;
mod requests;
mod visit;
mod zipf;

pub use browser::{Asking, Browser};
pub use chance::Chance;
pub use mix::{Day, Endpoint, Kind, Mix, MixError, Page, People};
pub use population::{Person, Population};
pub use requests::{OriginAnswer, Request, Requests, Traffic};
pub use visit::{Step, Visit, Want};
pub use zipf::Zipf;
