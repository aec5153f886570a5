//! `tidegate status`

use clap::Args;
use http::Method;
use serde_json::Value;

use super::Outcome;
use super::maintenance;
use super::operate::ShimArgument;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shim: ShimArgument,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let status = arguments.shim.find()?.ask(Method::GET, &["status"], None)?;
    if arguments.shim.json {
        println!("{status:#}");
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let policy = &status["policy"];
    println!("tidegate     {} (origin)", text(&status["version"]));
    println!("running      since {}", text(&status["started"]));
    println!("policy       {}, hash {}", text(&policy["file"]), text(&policy["hash"]));
    println!("read         {}", text(&policy["read"]));
    println!("maintenance  {}", maintenance::describe(&status["maintenance"]));
    let limits = status["overrides"]["limits"].as_object();
    for (name, said) in limits.into_iter().flatten() {
        println!("override     limit {name}: {said}");
    }
    if status["overrides_survive_restart"] == Value::Bool(false)
        && status["overrides"].as_object().is_some_and(|all| !all.is_empty())
    {
        println!("             a restart forgets overrides: `[admin]` names no `state` file");
    }
    Ok(())
}
