//! `tidegate check`

use std::path::PathBuf;

use clap::Args;

use super::{Outcome, PolicyArgument, wrangler};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// The policy file, in place of --policy
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Let warnings fail the check
    #[arg(long)]
    deny_warnings: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let policy =
        arguments.file.clone().map_or_else(|| arguments.policy.clone(), PolicyArgument::of);
    let reading = policy.read()?;
    let mut warnings = policy.warnings(&reading);
    let limits = &reading.policy.model().limits;
    warnings.push_str(&wrangler::warnings(&policy.policy, limits));
    if arguments.deny_warnings && !warnings.is_empty() {
        return Err(warnings.trim_end().into());
    }
    eprint!("{warnings}");
    let model = reading.policy.model();
    println!(
        "{}: good ({}, {}, {}; hash {})",
        policy.file(),
        counted(model.routes.len(), "route"),
        counted(model.limits.len(), "limit"),
        counted(model.upstreams.len() + model.folders.len(), "upstream"),
        reading.policy.hash()
    );
    Ok(())
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
