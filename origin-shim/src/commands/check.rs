//! `tidegate check`

use clap::Args;

use super::{Outcome, PolicyArgument};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// Let warnings fail the check
    #[arg(long)]
    deny_warnings: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let reading = arguments.policy.read()?;
    let warnings = arguments.policy.warnings(&reading);
    if arguments.deny_warnings && !warnings.is_empty() {
        return Err(warnings.trim_end().into());
    }
    eprint!("{warnings}");
    let policy = reading.policy;
    let model = policy.model();
    println!(
        "{}: good ({}, {}, {}; hash {})",
        arguments.policy.policy.display(),
        counted(model.routes.len(), "route"),
        counted(model.limits.len(), "limit"),
        counted(model.upstreams.len(), "upstream"),
        policy.hash()
    );
    Ok(())
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
