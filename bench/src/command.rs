//! What every bench is told, and how it says what it has found.
#![allow(clippy::print_stdout, reason = "the output of a bench is what it is for")]

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

/// How to measure, and what to write.
#[derive(Args)]
pub struct Options {
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Measure for some seconds: enough to see that it runs, too short to judge by
    #[arg(long)]
    pub quick: bool,
    /// Measure only what has this in its name, and judge nothing; for a profiler
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// One budget, and what was measured.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// What is promised.
    pub budget: String,
    /// What was found.
    pub found: String,
    /// Whether that keeps the promise.
    pub holds: bool,
}

impl Options {
    /// What a name has in it that is to be measured; everything has the empty text.
    pub fn wanted(&self) -> &str {
        self.only.as_deref().unwrap_or_default()
    }

    /// Judges `report` by `judge`, if all was measured, and writes it, by `print` for people.
    pub fn conclude<R: Serialize>(
        &self,
        report: &R,
        judge: impl FnOnce(&R) -> Vec<Verdict>,
        print: impl FnOnce(&R),
    ) -> ExitCode {
        let verdicts = match self.only {
            Some(_) => Vec::new(),
            None => judge(report),
        };
        if self.json {
            let whole = serde_json::json!({ "measured": report, "budgets": verdicts });
            println!("{whole:#}");
        } else {
            print(report);
            println!();
            for Verdict { budget, found, holds } in &verdicts {
                println!("{}  {budget}: {found}", if *holds { "PASS" } else { "FAIL" });
            }
        }
        match verdicts.iter().all(|verdict| verdict.holds) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
