//! `tidegate explain`

use clap::Args;

use super::{Outcome, PolicyArgument};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    arguments.policy.read()?;
    Ok(())
}
