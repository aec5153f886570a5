//! `tidegate status`

use clap::Args;
use http::Method;
use serde_json::Value;

use super::Outcome;
use super::maintenance;
use super::operate::{Operated, ShimArgument};
use super::top;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shim: ShimArgument,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let operated = arguments.shim.find()?;
    let status = operated.ask(Method::GET, &["status"], None)?;
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
    if let Operated::Shim(_) = operated {
        let stats = operated.ask(Method::GET, &["stats"], None)?;
        println!("ready        {}", ready(&stats["ready"]));
        println!("requests     {}", requests(&stats["requests"]));
        println!("memory       {}", memory(&stats));
    }
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

/// Whether requests should come here, and what is not as it should be.
fn ready(ready: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut words = text(&ready["status"]);
    for check in ready["checks"].as_array().into_iter().flatten() {
        if check["status"] != "ok" {
            let name = check["name"].as_str().map(|name| format!(" {name}")).unwrap_or_default();
            words += &format!("; {}{name}: {}", text(&check["check"]), text(&check["detail"]));
        }
    }
    words
}

/// Since the process began.
fn requests(requests: &Value) -> String {
    let number = |name: &str| requests[name].as_u64().unwrap_or_default();
    let count = number("count");
    let share = |part: u64| part as f64 * 100.0 / count.max(1) as f64;
    let (hits, failed) = (share(number("hits")), share(number("failed")));
    format!("{count}, {hits:.1} % from the cache, {failed:.1} % failed")
}

/// What it uses, where the system says that, and what stored answers take of it.
fn memory(stats: &Value) -> String {
    let zones = stats["zones"].as_array().into_iter().flatten();
    let stored: u64 = zones.filter_map(|zone| zone["bytes"].as_u64()).sum();
    let stored = top::bytes(&Value::from(stored));
    match &stats["process"]["resident"] {
        Value::Null => format!("{stored} of stored answers"),
        resident => format!("{}, with {stored} of stored answers", top::bytes(resident)),
    }
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
