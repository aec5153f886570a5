//! `tidegate simulate`

use std::error::Error;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidegate_replay::Setup;
use tidegate_replay::simulate::{Reckoning, Report, STEPS, Scenario};
use tidegate_traffic::Mix;

use super::progress::Progress;
use super::{Outcome, PolicyArgument, print};

/// Between two lines of how far it is.
const BETWEEN_LINES: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// How many users there are
    #[arg(long, value_name = "NUMBER", default_value = "10000",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    users: u32,
    /// Requests in a second of the busiest hour; without it 200 for 10,000 users
    #[arg(long, value_name = "NUMBER", value_parser = parse_rate)]
    rate: Option<f64>,
    /// The same number means the same traffic
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// In how many places the edge stores by itself
    #[arg(long, value_name = "NUMBER", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    edge_locations: u16,
    /// What users do, as a file; --print-mix writes one to begin with
    #[arg(long, value_name = "FILE")]
    mix: Option<PathBuf>,
    /// What things take, by the names that the report ends with; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    reckon: Vec<String>,
    /// Leave out the steps of growth from 500 to 10,000 users at once
    #[arg(long)]
    no_steps: bool,
    /// As many requests are simulated at most; of more users some stand for all
    #[arg(long, value_name = "NUMBER", default_value_t = 12_000_000,
          value_parser = clap::value_parser!(u64).range(1_000..))]
    requests: u64,
    /// Print what users do, to be changed and given as --mix
    #[arg(long)]
    print_mix: bool,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// Say nothing of how far it is
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    if arguments.print_mix {
        return print(Mix::PLATFORM);
    }
    let policy = arguments.policy.read()?.policy;
    let mut mix = mix(arguments)?;
    // What is asked for has to be what the policy is for.
    let mut hosts = policy.model().routes.iter().flat_map(|route| &route.hosts);
    if let Some(host) = hosts.next() {
        mix.host.clone_from(host);
    }
    let mut reckoning = Reckoning::default();
    for given in &arguments.reckon {
        let (name, value) = given.split_once('=').ok_or_else(|| {
            format!("`--reckon {given}` has no `=`\n= hint: write it as in --reckon busy=0.7")
        })?;
        reckoning.set(name.trim(), value.trim())?;
    }
    let users = NonZeroU32::new(arguments.users).unwrap_or(NonZeroU32::MIN);
    let mut scenario = Scenario::of(users);
    scenario.seed = arguments.seed;
    scenario.requests_max = arguments.requests;
    scenario.rate = arguments.rate.unwrap_or(scenario.rate);
    let steps = if arguments.no_steps { &[][..] } else { &STEPS };
    let setup = Setup { edge_locations: arguments.edge_locations, ..Setup::default() };
    let name = arguments.policy.file();
    let mut progress = Progress::new(arguments.quiet, BETWEEN_LINES);
    let report = Report::of(
        (&name, &policy),
        &mix,
        &setup,
        &scenario,
        steps,
        reckoning,
        &mut |done, all| {
            if progress.is_due() {
                progress.show(done, Some(done as f64 / all.max(1) as f64));
            }
        },
    );
    progress.end();
    match arguments.json {
        true => print(&format!("{:#}\n", report.to_json())),
        false => print(&report.text().to_string()),
    }
}

fn mix(arguments: &Arguments) -> Result<Mix, Box<dyn Error>> {
    let Some(path) = &arguments.mix else { return Ok(Mix::platform()) };
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("{name}: {error}\n= hint: `tidegate simulate --print-mix` prints one to begin with")
    })?;
    Ok(Mix::read(&text).map_err(|error| format!("{name}: {error}"))?)
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.01..=10_000_000.0).contains(rate));
    rate.ok_or_else(|| "a number of requests a second, from 0.01 to 10,000,000".into())
}
