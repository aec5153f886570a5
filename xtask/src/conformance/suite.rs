//! The suite: its origin and its client, driven by `tests/conformance/*.mjs`,
//! and what it says of a cache.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::conformance::FOLDER;
use crate::conformance::program::Program;
use crate::workspace::Workspace;

/// Where npm put the suite.
const PACKAGE: &str = "node_modules/http-cache-tests";

/// The suite's origin, running, and the client that is about to ask for it.
pub(super) struct Suite {
    origin: SocketAddr,
    client: PathBuf,
    node: PathBuf,
    // Held for its end: the origin is stopped when the suite is dropped.
    _program: Program,
}

/// What the suite said of one cache, in the suite's order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Results(Vec<Case>);

/// One case and its outcome. Whether a case counts does not depend on others:
/// one that passes counts also where the cases that it builds upon fail.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Case {
    /// The group's title.
    pub(super) group: String,
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) passed: bool,
    /// Why it failed, in the suite's words.
    pub(super) reason: Option<String>,
}

/// What the suite makes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Wrong.
    Required,
    /// Allowed, and worse than could be.
    Optimal,
    /// Neither: caches differ.
    Check,
}

impl Suite {
    /// Starts the origin.
    pub(super) fn start(workspace: &Workspace, node: &Path, folder: &Path) -> Result<Self> {
        let scripts = workspace.path(FOLDER);
        let mut command = Command::new(node);
        command.arg("--no-warnings").arg(scripts.join("origin.mjs"));
        // It serves its own files, too: at `/` a page that shows that it is up.
        command.current_dir(workspace.path(PACKAGE));
        let mut program =
            Program::start("the suite's origin", command, &folder.join("origin.log"))?;
        let origin = program.address_after("Listening on http://")?;
        let client = scripts.join("client.mjs");
        Ok(Self { origin, client, node: node.to_path_buf(), _program: program })
    }

    /// Where the origin listens.
    pub(super) fn origin(&self) -> SocketAddr {
        self.origin
    }

    /// Runs every case through the cache at this address.
    pub(super) fn run_through(&self, cache: SocketAddr) -> Result<Results> {
        let mut command = Command::new(&self.node);
        command.arg("--no-warnings").arg(&self.client).arg(format!("http://{cache}"));
        let output = command.output().context("the suite's client could not be started")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the suite's client ended with {}\n{complaint}",
            output.status
        );
        Results::parse(&String::from_utf8_lossy(&output.stdout))
    }
}

impl Results {
    /// Reads what `client.mjs` prints.
    pub(super) fn parse(lines: &str) -> Result<Self> {
        let case = |line| {
            serde_json::from_str(line).with_context(|| format!("the suite's client said {line:?}"))
        };
        let cases = lines.lines().map(case).collect::<Result<Vec<Case>>>()?;
        ensure!(!cases.is_empty(), "the suite's client ran no case");
        Ok(Self(cases))
    }

    pub(super) fn cases(&self) -> impl Iterator<Item = &Case> {
        self.0.iter()
    }

    pub(super) fn find(&self, id: &str) -> Option<&Case> {
        self.cases().find(|case| case.id == id)
    }

    /// The groups' titles, in the suite's order.
    pub(super) fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = self.cases().map(|case| case.group.as_str()).collect();
        groups.dedup();
        groups
    }

    /// How many cases of a kind passed, and how many there are.
    pub(super) fn count(&self, kind: Kind) -> (usize, usize) {
        passed_of(self.cases().filter(|case| case.kind == kind))
    }

    /// The same within one group.
    pub(super) fn count_in(&self, group: &str, kind: Kind) -> (usize, usize) {
        passed_of(self.cases().filter(|case| case.kind == kind && case.group == group))
    }
}

fn passed_of<'a>(cases: impl Iterator<Item = &'a Case>) -> (usize, usize) {
    cases.fold((0, 0), |(passed, all), case| (passed + usize::from(case.passed), all + 1))
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Required, Self::Optimal, Self::Check];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optimal => "optimal",
            Self::Check => "check",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{"group":"Age","id":"a","kind":"required","passed":true,"reason":null}
{"group":"Age","id":"b","kind":"required","passed":false,"reason":"Assertion: stale"}
{"group":"Vary","id":"c","kind":"check","passed":false,"reason":"Setup: 500"}"#;

    #[test]
    fn cases_are_counted_by_kind_and_group() {
        let results = Results::parse(LINES).unwrap();
        assert_eq!(results.groups(), ["Age", "Vary"]);
        assert_eq!(results.count(Kind::Required), (1, 2));
        assert_eq!(results.count_in("Vary", Kind::Required), (0, 0));
        assert_eq!(results.count_in("Vary", Kind::Check), (0, 1));
        assert_eq!(
            results.find("b").and_then(|case| case.reason.as_deref()),
            Some("Assertion: stale")
        );
    }

    #[test]
    fn silence_is_no_result() {
        assert!(Results::parse("").is_err());
        assert!(Results::parse("TypeError: fetch failed").is_err());
    }
}
