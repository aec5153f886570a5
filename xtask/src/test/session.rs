//! One run of the tests: what passed, what failed, what had to be left out.

use std::collections::BTreeSet;
use std::env;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::report::{self, bold};
use crate::system::Missing;

/// The checks so far.
pub(super) struct Session {
    started: Instant,
    on_ci: bool,
    passed: usize,
    failed: Vec<Unproven>,
    skipped: Vec<Unproven>,
    passed_tests: BTreeSet<String>,
}

/// A check that did not pass.
#[derive(Debug, PartialEq, Eq)]
struct Unproven {
    name: String,
    why: String,
}

/// What a runner of tests did.
pub(super) struct TestRun {
    /// The names of those that passed.
    pub(super) passed: BTreeSet<String>,
    /// Whether all passed.
    pub(super) success: bool,
}

impl Session {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            on_ci: env::var_os("CI").is_some_and(|value| !value.is_empty()),
            passed: 0,
            failed: Vec::new(),
            skipped: Vec::new(),
            passed_tests: BTreeSet::new(),
        }
    }

    /// Runs one check. What it made is there for those that build on it.
    pub(super) fn check<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        match report::step(name, work) {
            Ok(value) => {
                self.passed += 1;
                Some(value)
            }
            Err(error) => {
                report::failure(&error);
                self.note_failure(name, &error);
                None
            }
        }
    }

    /// Runs one check that consists of tests, and keeps their names.
    pub(super) fn check_tests(&mut self, name: &str, work: impl FnOnce() -> Result<TestRun>) {
        let mut passed = BTreeSet::new();
        self.check(name, || {
            let run = work()?;
            passed = run.passed;
            ensure!(run.success, "not all tests passed; the output above names the others");
            Ok(())
        });
        self.passed_tests.append(&mut passed);
    }

    /// Counts checks that need what an earlier one did not bring about. They
    /// share its fate: skipped if it was, else failed.
    pub(super) fn leave_out(&mut self, name: &str, needed: &str) {
        let was_skipped = self.skipped.iter().any(|check| check.name == needed);
        let list = if was_skipped { &mut self.skipped } else { &mut self.failed };
        list.push(Unproven { name: name.to_owned(), why: format!("not run without {needed}") });
    }

    /// The names of all tests that passed.
    pub(super) fn passed_tests(&self) -> &BTreeSet<String> {
        &self.passed_tests
    }

    /// Tells the result of the whole run; an error if anything failed.
    pub(super) fn verdict(self) -> Result<()> {
        let Self { passed, failed, skipped, .. } = &self;
        let time = report::human(self.started.elapsed());
        let counts = format!(
            "{passed} checks passed, {} failed, {} skipped, in {time}",
            failed.len(),
            skipped.len()
        );
        println!("\n{}", bold(&counts));
        for Unproven { name, why } in skipped {
            println!("  skipped: {name}: {why}");
        }
        for Unproven { name, why } in failed {
            println!("  failed: {name}: {why}");
        }
        ensure!(failed.is_empty(), "not everything passed");
        Ok(())
    }

    /// Lacking a component of the system is no failure of ours, except on CI,
    /// where a test that silently stops running would never be missed.
    fn note_failure(&mut self, name: &str, error: &anyhow::Error) {
        let why = error.to_string().lines().next().unwrap_or_default().to_owned();
        let skipped = error.is::<Missing>() && !self.on_ci;
        let list = if skipped { &mut self.skipped } else { &mut self.failed };
        list.push(Unproven { name: name.to_owned(), why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::NGINX;
    use anyhow::anyhow;

    #[test]
    fn the_run_goes_on_after_a_failure_and_ends_with_it() {
        let mut session = Session::start();
        assert_eq!(session.check("first", || Err::<(), _>(anyhow!("broken"))), None);
        assert_eq!(session.check("second", || Ok(7)), Some(7));
        let broken = Unproven { name: "first".to_owned(), why: "broken".to_owned() };
        assert_eq!(session.failed, [broken]);
        assert!(session.verdict().is_err());
    }

    #[test]
    fn a_missing_component_is_a_skip_but_a_failure_on_ci() {
        for (on_ci, skipped, failed) in [(false, 1, 0), (true, 0, 1)] {
            let mut session = Session { on_ci, ..Session::start() };
            let missing = Missing::new(&NGINX);
            session.check("tools", || Err::<(), _>(missing.into()));
            session.leave_out("the worker", "tools");
            assert_eq!((session.skipped.len(), session.failed.len()), (skipped * 2, failed * 2));
        }
    }

    #[test]
    fn tests_that_passed_count_even_if_others_failed() {
        let mut session = Session::start();
        let passed = BTreeSet::from(["c1_hit".to_owned()]);
        session.check_tests("tests", || Ok(TestRun { passed, success: false }));
        assert!(session.passed_tests().contains("c1_hit"));
        assert_eq!(session.failed.len(), 1);
    }
}
