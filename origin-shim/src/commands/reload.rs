//! `tidegate reload`

use clap::Args;
use http::Method;
use serde_json::Value;

use super::Outcome;
use super::operate::ShimArgument;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shim: ShimArgument,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let reloaded = arguments.shim.find()?.ask(Method::POST, &["reload"], None)?;
    if arguments.shim.json {
        println!("{reloaded:#}");
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    eprint!("{}", text(&reloaded["warnings"]));
    let (before, after) = (text(&reloaded["before"]), text(&reloaded["after"]));
    match before == after {
        true => println!("The policy is the same ({after})."),
        false => println!("Policy {after} is in force in place of {before}."),
    }
    for note in reloaded["notes"].as_array().into_iter().flatten() {
        println!("Note: {}", text(note));
    }
    Ok(())
}
