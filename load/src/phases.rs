//! What happens when, beside the load: `steady=20s,origin down=10s,after=10s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A part of a run that is reported by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What it is called.
    pub name: String,
    /// How long it takes.
    pub lasts: Duration,
}

/// One phase after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline(Vec<Phase>);

/// A timeline that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhasesError {
    said: String,
    why: &'static str,
}

/// While users come, before all others.
pub(crate) const RAMP: &str = "ramp";

impl Timeline {
    /// All users come within `ramp`, and then `phases`.
    #[must_use]
    pub fn new(ramp: Duration, phases: Vec<Phase>) -> Self {
        let mut all = vec![Phase { name: RAMP.into(), lasts: ramp }];
        all.extend(phases);
        Self(all)
    }

    /// All of them, the ramp first.
    #[must_use]
    pub fn phases(&self) -> &[Phase] {
        &self.0
    }

    /// The place of the phase at a time since the beginning; the last one's from the end on.
    #[must_use]
    pub fn at(&self, since: Duration) -> usize {
        let mut ends = Duration::ZERO;
        let place = self.0.iter().position(|phase| {
            ends += phase.lasts;
            since < ends
        });
        place.unwrap_or(self.0.len() - 1)
    }

    /// How long all of it takes.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.0.iter().map(|phase| phase.lasts).sum()
    }

    /// How long users come.
    #[must_use]
    pub fn ramp(&self) -> Duration {
        self.0[0].lasts
    }
}

impl FromStr for Phase {
    type Err = PhasesError;

    fn from_str(said: &str) -> Result<Self, PhasesError> {
        let refused = |why| PhasesError { said: said.into(), why };
        let (name, lasts) = said.split_once('=').ok_or_else(|| refused("an `=` is missing"))?;
        let name = name.trim();
        if name.is_empty() || name == RAMP || name.contains([':', '<', '>']) {
            return Err(refused("a name has letters, other than that of the ramp"));
        }
        let lasts = span(lasts).ok_or_else(|| refused("behind the `=` stands how long, as 10s"))?;
        if lasts < Duration::from_secs(1) {
            return Err(refused("a phase lasts a second at least"));
        }
        Ok(Self { name: name.into(), lasts })
    }
}

/// `500ms`, `30s`, `5m` or `1h`; whole numbers.
pub(crate) fn span(said: &str) -> Option<Duration> {
    let said = said.trim();
    let (number, unit) = said.split_at(said.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

impl fmt::Display for PhasesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is no phase: {}; say it as \"origin down=10s\"", self.said, self.why)
    }
}

impl std::error::Error for PhasesError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_the_ramp_and_each_other() {
        let phases = ["steady=20s", "origin down = 10s"].map(|said| said.parse().unwrap());
        let timeline = Timeline::new(Duration::from_secs(5), phases.into());
        let names: Vec<&str> = [0, 4, 5, 24, 25, 34, 99]
            .map(|at| &*timeline.phases()[timeline.at(Duration::from_secs(at))].name)
            .into();
        let down = "origin down";
        assert_eq!(names, ["ramp", "ramp", "steady", "steady", down, down, down]);
        assert_eq!(timeline.lasts(), Duration::from_secs(35));
    }

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(span("90s"), Some(Duration::from_secs(90)));
        assert_eq!(span("2m"), Some(Duration::from_secs(120)));
        assert_eq!(span("250ms"), Some(Duration::from_millis(250)));
        for said in ["", "s", "10", "-1s", "1.5s", "1d", "99999999999999999999s"] {
            assert_eq!(span(said), None, "{said}");
        }
    }

    #[test]
    fn what_is_no_phase_is_shown_with_the_way_to_say_it() {
        let error = "origin down".parse::<Phase>().unwrap_err().to_string();
        assert_eq!(
            error,
            "\"origin down\" is no phase: an `=` is missing; say it as \"origin down=10s\""
        );
        for said in ["=10s", "a=", "a=10", "a=0s", "ramp=10s", "a:b=1s"] {
            assert!(said.parse::<Phase>().is_err(), "{said}");
        }
    }
}
