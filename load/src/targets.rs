//! What is to hold: `p95<500ms,errors<0.1%,hits>80%`.

use std::fmt;
use std::str::FromStr;

use crate::phases::RAMP;
use crate::report::Section;

/// What is to hold of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets(Vec<Target>);

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    /// As it was said.
    pub(crate) said: String,
    /// Of which phase; without one, of all behind the ramp together.
    pub(crate) phase: Option<String>,
    metric: Metric,
    is_below: bool,
    value: f64,
}

/// Targets that cannot be read: where, and what may stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetsError {
    said: String,
    /// Where, in letters from the beginning.
    at: usize,
    why: String,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    P50,
    P95,
    P99,
    P999,
    CachedP95,
    Errors,
    Limited,
    Hits,
    Cached,
    Rate,
}

const METRICS: [(&str, Metric); 10] = [
    ("p50", Metric::P50),
    ("p95", Metric::P95),
    ("p99", Metric::P99),
    ("p99.9", Metric::P999),
    ("cached-p95", Metric::CachedP95),
    ("errors", Metric::Errors),
    ("limited", Metric::Limited),
    ("hits", Metric::Hits),
    ("cached", Metric::Cached),
    ("rate", Metric::Rate),
];

impl Target {
    /// What a section has, and whether that is as it should be.
    pub(crate) fn judge(&self, section: &Section) -> (String, bool) {
        let found = match self.metric {
            Metric::P50 => section.latency_ms.p50,
            Metric::P95 => section.latency_ms.p95,
            Metric::P99 => section.latency_ms.p99,
            Metric::P999 => section.latency_ms.p999,
            Metric::CachedP95 => section.cached_latency_ms.p95,
            Metric::Errors => section.error_share * 100.0,
            Metric::Limited => section.limited_share * 100.0,
            Metric::Hits => section.hit_ratio * 100.0,
            Metric::Cached => section.cached_share * 100.0,
            Metric::Rate => section.requests_per_second,
        };
        let holds = if self.is_below { found < self.value } else { found > self.value };
        // Nothing measured proves nothing.
        let is_known = section.requests > 0;
        let unit = self.metric.unit();
        (format!("{found:.2}{unit}"), holds && is_known)
    }
}

impl Targets {
    pub(crate) fn all(&self) -> &[Target] {
        &self.0
    }

    /// The phases that they speak of.
    pub(crate) fn phases(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|target| target.phase.as_deref())
    }
}

impl Metric {
    const fn unit(self) -> &'static str {
        match self {
            Self::P50 | Self::P95 | Self::P99 | Self::P999 | Self::CachedP95 => "ms",
            Self::Errors | Self::Limited | Self::Hits | Self::Cached => "%",
            Self::Rate => "",
        }
    }
}

impl FromStr for Targets {
    type Err = TargetsError;

    fn from_str(said: &str) -> Result<Self, TargetsError> {
        let mut targets = Vec::new();
        let mut begins = 0;
        for one in said.split(',') {
            let refused = |within: usize, why: String| TargetsError {
                said: said.into(),
                at: said[..begins + within].chars().count(),
                why,
            };
            targets.push(target(one).map_err(|(within, why)| refused(within, why))?);
            begins += one.len() + 1;
        }
        Ok(Self(targets))
    }
}

/// A target, or where it is wrong and how.
fn target(said: &str) -> Result<Target, (usize, String)> {
    let blank = said.len() - said.trim_start().len();
    let Some(sign) = said.find(['<', '>']) else {
        return Err((blank, "a target has a `<` or a `>`, as in p95<500ms".into()));
    };
    let (phase, from) = match said[..sign].find(':') {
        Some(colon) => (Some(said[..colon].trim().to_owned()), colon + 1),
        None => (None, 0),
    };
    if phase.as_deref() == Some(RAMP) {
        return Err((blank, "nothing is promised while users come".into()));
    }
    let name = said[from..sign].trim();
    let Some((_, metric)) = METRICS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = METRICS.iter().map(|(name, _)| *name).collect();
        let at = from + said[from..].len() - said[from..].trim_start().len();
        return Err((at, format!("there is no \"{name}\", but {}", names.join(", "))));
    };
    let behind = &said[sign + 1..];
    let at = sign + 1 + behind.len() - behind.trim_start().len();
    let wanted = match metric.unit() {
        "ms" => "a time, as 500ms or 1.5s",
        "%" => "a share, as 0.1%",
        _ => "a number, as 200",
    };
    let value = value(behind.trim(), metric.unit());
    let value = value.ok_or_else(|| (at, format!("behind the sign stands {wanted}")))?;
    let is_below = said.as_bytes()[sign] == b'<';
    Ok(Target { said: said.trim().into(), phase, metric: *metric, is_below, value })
}

/// A value in the unit in which it is compared.
fn value(said: &str, unit: &str) -> Option<f64> {
    let (number, factor) = match unit {
        "ms" => match said.strip_suffix("ms") {
            Some(number) => (number, 1.0),
            None => (said.strip_suffix('s')?, 1000.0),
        },
        "%" => (said.strip_suffix('%')?, 1.0),
        _ => (said, 1.0),
    };
    let number = number.trim();
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = number.parse().ok().filter(|_| is_plain)?;
    Some(value * factor)
}

impl fmt::Display for TargetsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, at, why } = self;
        writeln!(f, "these targets cannot be read: {why}")?;
        writeln!(f, "  {said}")?;
        write!(f, "  {:at$}^", "")
    }
}

impl std::error::Error for TargetsError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latencies::Percentiles;

    fn section() -> Section {
        Section {
            requests: 1_000,
            latency_ms: Percentiles { p50: 5.0, p95: 400.0, p99: 900.0, p999: 950.0, max: 999.0 },
            error_share: 0.001,
            hit_ratio: 0.81,
            requests_per_second: 200.0,
            ..Section::default()
        }
    }

    fn judged(said: &str) -> Vec<(String, bool)> {
        let targets: Targets = said.parse().unwrap();
        targets.all().iter().map(|target| target.judge(&section())).collect()
    }

    #[test]
    fn targets_are_judged_by_what_was_found() {
        let found = judged("p95<500ms, p99 < 0.5s, errors<0.1%, hits>80%, rate > 199.5");
        let holds: Vec<bool> = found.iter().map(|(_, holds)| *holds).collect();
        // As many errors as the limit are not below it.
        assert_eq!(holds, [true, false, false, true, true]);
        assert_eq!(found[1].0, "900.00ms");
        assert_eq!(found[3].0, "81.00%");
    }

    #[test]
    fn nothing_holds_of_a_phase_in_which_nothing_was_asked() {
        let targets: Targets = "errors<1%".parse().unwrap();
        assert!(!targets.all()[0].judge(&Section::default()).1);
    }

    #[test]
    fn a_target_may_be_that_of_a_phase() {
        let targets: Targets = "p95<1s,origin down:errors<5%".parse().unwrap();
        assert_eq!(targets.phases().collect::<Vec<_>>(), ["origin down"]);
        assert_eq!(targets.all()[1].said, "origin down:errors<5%");
    }

    #[track_caller]
    fn refused(said: &str, marked: &str, why: &str) {
        let error = said.parse::<Targets>().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(why), "{text}");
        let rest: String = said.chars().skip(error.at).collect();
        assert!(rest.starts_with(marked), "{text}");
    }

    #[test]
    fn what_cannot_be_read_is_shown_with_its_place_and_what_may_stand_there() {
        refused("p95<500ms,p98<1s", "p98", "there is no \"p98\", but p50, p95");
        refused("p95<500", "500", "behind the sign stands a time, as 500ms or 1.5s");
        refused("errors<1", "1", "a share, as 0.1%");
        refused("errors<-1%", "-1%", "a share");
        refused("p95=500ms", "p95=", "has a `<` or a `>`");
        refused("hits>80%,", "", "has a `<` or a `>`");
        refused("rate>NaN", "NaN", "a number, as 200");
        refused("ramp:errors<1%", "ramp", "nothing is promised");
        assert_eq!(
            "über:p95<1s,x<1".parse::<Targets>().unwrap_err().to_string(),
            "these targets cannot be read: there is no \"x\", but p50, p95, p99, p99.9, \
             cached-p95, errors, limited, hits, cached, rate\n  über:p95<1s,x<1\n              ^"
        );
    }
}
