//! `tidegate diff`

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tidegate_core::Policy;
use tidegate_origin::policy_diff::PolicyDiff;

use super::PolicyArgument;
use super::kv::KvArgument;
use super::published::{Shelf, Version};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// The policy file that is in force before
    #[arg(long, value_name = "FILE", required_unless_present_any = ["edge", "local"])]
    against: Option<PathBuf>,
    /// In place of a file, the policy that is published at the edge
    #[arg(long, conflicts_with = "against")]
    edge: bool,
    #[command(flatten)]
    kv: KvArgument,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// As `diff` ends: 0 when nothing differs, 1 when something does, 2 when that cannot be told.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match between(arguments) {
        Ok(diff) if diff.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn between(arguments: &Arguments) -> Result<PolicyDiff, Box<dyn Error>> {
    let after = arguments.policy.read()?.policy;
    let before = before(arguments)?;
    let diff = PolicyDiff::between(&before, &after);
    match arguments.json {
        true => println!("{:#}", diff.to_value()),
        false if diff.is_empty() => println!(
            "No decision differs, by {} requests to each tier ({} and {}).",
            diff.probes,
            before.hash(),
            after.hash()
        ),
        false => print!("{diff}"),
    }
    Ok(diff)
}

fn before(arguments: &Arguments) -> Result<Policy, Box<dyn Error>> {
    if let Some(file) = &arguments.against {
        return Ok(PolicyArgument::of(file.clone()).read()?.policy);
    }
    match Shelf::open(arguments.kv.open())?.current {
        Version::Published(published) => Ok(published.policy),
        Version::Embedded => {
            Err("nothing is published at the edge: the worker has its policy from \
                                  when it was built, and says its hash at /.tidegate/health\n= \
                                  hint: --against FILE compares with a file"
                .into())
        }
    }
}
