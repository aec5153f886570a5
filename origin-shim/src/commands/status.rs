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
    if status["redis"].is_object() {
        println!("redis        {}", redis(&status["redis"]));
    }
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

/// Whether Redis does its work, and what was done so far.
fn redis(redis: &Value) -> String {
    let number = |name: &str| redis[name].as_u64().unwrap_or_default();
    let state = match redis["asked"] == Value::Bool(true) {
        true => "does its work",
        false => "does not answer for all, so limits go by their `on_store_error`",
    };
    let (asked, failed, without) = (number("round_trips"), number("failed"), number("without"));
    format!("{state}; asked {asked} times, {failed} failed; {without} decisions without asking")
}
