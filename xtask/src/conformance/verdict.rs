//! Whether results are as good as they were, and as the ledgers say.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use crate::conformance::checks::PassedChecks;
use crate::conformance::contradictions::Contradictions;
use crate::conformance::suite::{Case, Kind, Results};

/// What is to be said about a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What must not be, one sentence each.
    complaints: Vec<String>,
    /// Check cases that pass and are not on record yet.
    pub(super) gained: Vec<String>,
}

impl Verdict {
    /// Compares; an error if a ledger names what the suite does not have.
    pub(super) fn of(
        results: &Results,
        contradictions: &Contradictions,
        recorded: &PassedChecks,
    ) -> Result<Self> {
        require_known(results, contradictions, recorded)?;
        let complaint = |case: &Case| complaint(case, contradictions, recorded);
        let gained =
            |case: &&Case| case.kind == Kind::Check && case.passed && !recorded.contains(&case.id);
        Ok(Self {
            complaints: results.cases().filter_map(complaint).collect(),
            gained: results.cases().filter(gained).map(|case| case.id.clone()).collect(),
        })
    }

    /// An error if there is any complaint.
    pub(super) fn require(&self) -> Result<()> {
        ensure!(
            self.complaints.is_empty(),
            "conformance fell back:\n  {}",
            self.complaints.join("\n  ")
        );
        Ok(())
    }
}

fn complaint(
    case: &Case,
    contradictions: &Contradictions,
    recorded: &PassedChecks,
) -> Option<String> {
    let Case { id, kind, reason, .. } = case;
    let reason = reason.as_deref().unwrap_or_default();
    match (kind, case.passed) {
        (Kind::Check, false) if recorded.contains(id) => {
            Some(format!("{id} (check) passed before: {reason}"))
        }
        (Kind::Required | Kind::Optimal, false) if !contradictions.name(id) => {
            Some(format!("{id} ({kind}) fails: {reason}"))
        }
        (Kind::Required | Kind::Optimal, true) if contradictions.name(id) => {
            Some(format!("{id} ({kind}) passes, and contradictions.toml says it cannot"))
        }
        _ => None,
    }
}

/// A ledger that speaks of cases by a wrong name or kind holds nothing.
fn require_known(
    results: &Results,
    contradictions: &Contradictions,
    recorded: &PassedChecks,
) -> Result<()> {
    let refused = contradictions.cases().map(|(case, kind)| (case.id.as_str(), kind));
    let recorded = recorded.iter().map(|id| (id, Kind::Check));
    let mut seen = BTreeSet::new();
    for (id, kind) in refused.chain(recorded) {
        match results.find(id) {
            Some(case) if case.kind == kind => {}
            Some(case) => bail!("{id} is {}, and a ledger says it is {kind}", case.kind),
            None => bail!("a ledger names {id}, and the suite has no such case"),
        }
        ensure!(seen.insert(id), "the ledgers name {id} twice");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: &str = r#"
[[contradiction]]
section = "RFC 9111, section 5.1"
says = "a cache SHOULD ignore the field"
why = "it wants the opposite"
kind = "required"
[contradiction.cases]
refused = "ignored"
"#;

    /// The complaints and gains when these cases, named by kind, pass or fail.
    fn judged(cases: &[(&str, &str, bool)]) -> Result<Verdict> {
        let line = |(id, kind, passed): &(&str, &str, bool)| {
            format!(r#"{{"group":"G","id":"{id}","kind":"{kind}","passed":{passed},"reason":"R"}}"#)
        };
        let lines: Vec<String> = cases.iter().map(line).collect();
        let results = Results::parse(&lines.join("\n"))?;
        let ledger = Contradictions::parse(LEDGER)?;
        Verdict::of(&results, &ledger, &PassedChecks::parse("recorded\n"))
    }

    #[test]
    fn what_the_ledgers_say_is_no_complaint() {
        let verdict = judged(&[
            ("refused", "required", false),
            ("recorded", "check", true),
            ("never", "check", false),
            ("fine", "optimal", true),
        ]);
        let verdict = verdict.unwrap();
        assert_eq!(verdict, Verdict { complaints: vec![], gained: vec![] });
        assert!(verdict.require().is_ok());
    }

    #[test]
    fn every_fall_back_is_told_at_once() {
        let verdict = judged(&[
            ("refused", "required", true),
            ("recorded", "check", false),
            ("wrong", "required", false),
            ("slow", "optimal", false),
        ]);
        let verdict = verdict.unwrap();
        assert_eq!(
            verdict.complaints,
            [
                "refused (required) passes, and contradictions.toml says it cannot",
                "recorded (check) passed before: R",
                "wrong (required) fails: R",
                "slow (optimal) fails: R",
            ]
        );
        assert!(verdict.require().is_err());
    }

    #[test]
    fn a_check_that_passes_anew_is_a_gain() {
        let verdict = judged(&[
            ("refused", "required", false),
            ("recorded", "check", true),
            ("new", "check", true),
        ]);
        assert_eq!(
            verdict.unwrap(),
            Verdict { complaints: vec![], gained: vec!["new".to_owned()] }
        );
    }

    #[test]
    fn ledgers_speak_of_cases_by_name_and_kind() {
        let missing = judged(&[("refused", "required", false)]).unwrap_err();
        assert_eq!(missing.to_string(), "a ledger names recorded, and the suite has no such case");
        let kind = judged(&[("refused", "optimal", false), ("recorded", "check", true)]);
        assert_eq!(
            kind.unwrap_err().to_string(),
            "refused is optimal, and a ledger says it is required"
        );
    }
}
