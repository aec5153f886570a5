//! The record of check cases that pass: `checks.txt`, one id a line.
//!
//! None of them is right or wrong by itself, so what the record holds is that
//! an answer changes on purpose: whoever means it takes the line out by hand.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use crate::conformance::FOLDER;
use crate::conformance::suite::{Kind, Results};
use crate::workspace::Workspace;

pub(super) const FILE: &str = "checks.txt";

/// The ids, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PassedChecks(BTreeSet<String>);

impl PassedChecks {
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let path = workspace.path(FOLDER).join(FILE);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("could not read {}", path.display()))?;
        Ok(Self::parse(&text))
    }

    pub(super) fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    pub(super) fn of(results: &Results) -> Self {
        let passed = results.cases().filter(|case| case.kind == Kind::Check && case.passed);
        Self(passed.map(|case| case.id.clone()).collect())
    }

    pub(super) fn write(&self, workspace: &Workspace) -> Result<()> {
        let path = workspace.path(FOLDER).join(FILE);
        let text: String = self.iter().map(|id| format!("{id}\n")).collect();
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }
}
