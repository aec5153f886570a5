//! `tidegate load`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to people")]

use std::error::Error;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tidegate_traffic::Mix;

use crate::destination::Destination;
use crate::phases::{Phase, Timeline, span};
use crate::report::Report;
use crate::run::{Plan, run as run_plan};
use crate::targets::Targets;

/// What is told on the command line.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The website to ask, as http://127.0.0.1:8080
    #[arg(required_unless_present = "print_mix")]
    url: Option<String>,
    /// How many visit at once
    #[arg(long, value_name = "N", default_value = "1000")]
    users: NonZeroU32,
    /// How many there are, of whom those who visit are drawn [default: ten times as many]
    #[arg(long, value_name = "N")]
    people: Option<NonZeroU32>,
    /// How long all of them visit, behind the ramp
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = time)]
    lasts: Duration,
    /// How long they take to come [default: a third of the time; of more than five minutes, a
    /// minute for each thousand]
    #[arg(long, value_name = "TIME", value_parser = time)]
    ramp: Option<Duration>,
    /// In place of one phase, several that are reported apart: "steady=20s,origin down=10s"; each
    /// is announced on standard error when it begins
    #[arg(long, value_name = "NAME=TIME,…", value_delimiter = ',', conflicts_with = "lasts")]
    phases: Vec<Phase>,
    /// What is to hold: "p95<500ms,errors<0.1%,hits>80%"; "NAME:errors<1%" is for one phase
    #[arg(long, value_name = "TARGETS")]
    targets: Option<Targets>,
    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    timeout: Duration,
    /// What users ask for, as `--print-mix` shows it
    #[arg(long, value_name = "FILE")]
    mix: Option<PathBuf>,
    /// How long users think between two pages, on average, in place of what the mix says
    #[arg(long, value_name = "TIME", value_parser = time)]
    think: Option<Duration>,
    /// Print the mix that is used without --mix, to be copied and changed
    #[arg(long)]
    print_mix: bool,
    /// Another number means that other things are asked for
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// Load a website on another machine: it is mine, or its owner has agreed
    #[arg(long)]
    with_permission: bool,
}

/// Ends with 0 when all targets hold, with 1 when one does not, with 2 when there was no run.
pub fn run(arguments: &Arguments) -> ExitCode {
    if arguments.print_mix {
        print!("{}", Mix::PLATFORM);
        return ExitCode::SUCCESS;
    }
    match made(arguments) {
        Ok(report) => {
            match arguments.json {
                true => println!("{:#}", serde_json::json!(report)),
                false => print!("{report}"),
            }
            if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn made(arguments: &Arguments) -> Result<Report, Box<dyn Error>> {
    let plan = arguments.plan()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(run_plan(plan, |phase| eprintln!("phase: {}", phase.name)))?)
}

impl Arguments {
    fn plan(&self) -> Result<Plan, Box<dyn Error>> {
        let url = self.url.as_deref().unwrap_or_default();
        let destination = Destination::new(url, self.with_permission)?;
        let phases = match self.phases.is_empty() {
            true => vec![Phase { name: "steady".into(), lasts: self.lasts }],
            false => self.phases.clone(),
        };
        let lasts = phases.iter().map(|phase| phase.lasts).sum();
        let ramp = self.ramp.unwrap_or_else(|| usual_ramp(self.users, lasts));
        let people = self.people.unwrap_or_else(|| self.users.saturating_mul(TEN));
        let mut mix = self.mix()?;
        if let Some(think) = self.think {
            mix.people.think_seconds = think.as_secs_f64();
        }
        Ok(Plan {
            destination,
            users: self.users,
            people: people.max(self.users),
            timeline: Timeline::new(ramp, phases),
            mix,
            timeout: self.timeout,
            seed: self.seed,
            targets: self.targets.clone().unwrap_or_default(),
        })
    }

    fn mix(&self) -> Result<Mix, Box<dyn Error>> {
        let Some(file) = &self.mix else { return Ok(Mix::platform()) };
        let shown = file.display();
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("{shown} cannot be read: {error}"))?;
        Ok(Mix::read(&text).map_err(|error| format!("{shown}: {error}"))?)
    }
}

/// A thousand users a minute where there is time for that.
fn usual_ramp(users: NonZeroU32, lasts: Duration) -> Duration {
    const LONG: Duration = Duration::from_secs(300);
    match lasts > LONG {
        true => Duration::from_millis(u64::from(users.get()) * 60),
        false => lasts / 3,
    }
}

const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();

fn time(said: &str) -> Result<Duration, &'static str> {
    span(said).filter(|span| !span.is_zero()).ok_or("a time has a unit, as 30s or 5m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t4_users_come_within_a_third_of_a_short_run_and_a_thousand_a_minute_in_a_long_one() {
        let thousands = |n: u32| NonZeroU32::new(n * 1_000).unwrap();
        let ramp = |users, secs| usual_ramp(users, Duration::from_secs(secs));
        assert_eq!(ramp(thousands(1), 30), Duration::from_secs(10));
        assert_eq!(ramp(thousands(10), 3_600), Duration::from_secs(600));
    }
}
