//! What several rounds have found.

use serde::Serialize;

/// The median of all rounds, and the least and the most of any.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Spread {
    /// Half of the rounds found less.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of one round or more.
    pub fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        let [least, .., most] = rounds[..] else {
            return Self { median: rounds[0], least: rounds[0], most: rounds[0] };
        };
        Self { median: rounds[rounds.len() / 2], least, most }
    }
}
