//! Server-Timing (W3C): where the time of an answer went.

use core::fmt;
use core::time::Duration;

/// One member: `origin;dur=35`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What took the time.
    pub name: &'static str,
    /// How long.
    pub duration: Duration,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};dur={}", self.name, self.duration.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_metric_is_a_name_and_milliseconds() {
        let metric = Metric { name: "origin", duration: Duration::from_micros(35_400) };
        assert_eq!(metric.to_string(), "origin;dur=35");
    }
}
