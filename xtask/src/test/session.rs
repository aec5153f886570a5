//! One run of the tests: what passed, what failed, what had to be left out.

use std::collections::BTreeSet;
use std::env;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::report::{self, bold};
use crate::system::Missing;

/// The checks so far.
pub(super) struct Session {
    started: Instant,
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    passed_tests: BTreeSet<String>,
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

    /// Counts checks that could not run because an earlier one failed.
    pub(super) fn leave_out(&mut self, what: &str, cause: &str) {
        self.failed.push(format!("{what}: not run, because of {cause}"));
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
        for line in skipped {
            println!("  skipped: {line}");
        }
        for line in failed {
            println!("  failed: {line}");
        }
        if failed.is_empty() { Ok(()) } else { bail!("{} checks failed", failed.len()) }
    }

    /// Lacking a component of the system is no failure of ours, except on CI,
    /// where a test that silently stops running would never be missed.
    fn note_failure(&mut self, name: &str, error: &anyhow::Error) {
        let first_line = error.to_string().lines().next().unwrap_or_default().to_owned();
        let line = format!("{name}: {first_line}");
        let on_ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
        if error.is::<Missing>() && !on_ci {
            self.skipped.push(line);
        } else {
            self.failed.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn the_run_goes_on_after_a_failure_and_ends_with_it() {
        let mut session = Session::start();
        assert_eq!(session.check("first", || Err::<(), _>(anyhow!("broken"))), None);
        assert_eq!(session.check("second", || Ok(7)), Some(7));
        assert_eq!(session.failed, ["first: broken"]);
        assert!(session.verdict().is_err());
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
