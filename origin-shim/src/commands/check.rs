//! `tidegate check`

use clap::Args;

use super::{Outcome, PolicyArgument};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let policy = arguments.policy.read()?;
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
