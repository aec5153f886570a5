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
        "{}: good (schema {}, {} routes, {} limits, {} upstreams, hash {})",
        arguments.policy.policy.display(),
        model.schema,
        model.routes.len(),
        model.limits.len(),
        model.upstreams.len(),
        policy.hash()
    );
    Ok(())
}
