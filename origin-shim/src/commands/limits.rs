//! `tidegate limits`

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value};

use super::Outcome;
use super::operate::ShimArgument;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    shim: ShimArgument,
}

#[derive(Subcommand)]
enum Action {
    /// Show all limits
    List {
        #[command(flatten)]
        shim: ShimArgument,
    },
    /// Override a limit until it is reset, or for a time
    Set {
        /// The limit's name in the policy
        name: String,
        /// How many requests in which time, like "200 per 60s"
        limit: Option<String>,
        /// How many may come at once on top of an even pace (gcra)
        #[arg(long, value_name = "NUMBER")]
        burst: Option<u32>,
        /// For how long a client is refused that has asked too often; 0s frees who is blocked
        #[arg(long, value_name = "TIME")]
        block: Option<String>,
        /// When the override ends by itself, like 2026-11-21T18:30:00Z
        #[arg(long, value_name = "WHEN", conflicts_with = "span")]
        until: Option<String>,
        /// After how long the override ends by itself, like 2h
        #[arg(long = "for", value_name = "TIME")]
        span: Option<String>,
        #[command(flatten)]
        shim: ShimArgument,
    },
    /// Show who is blocked under a limit
    Blocked {
        /// The limit's name in the policy
        name: String,
        #[command(flatten)]
        shim: ShimArgument,
    },
    /// Forget what a client has used up
    Unblock {
        /// The limit's name in the policy
        name: String,
        /// The client as the list of blocked ones has it, like ip:192.0.2.1 or user:ada
        client: String,
        #[command(flatten)]
        shim: ShimArgument,
    },
    /// Let the policy's word count again
    Reset {
        /// The limit's name in the policy
        name: String,
        #[command(flatten)]
        shim: ShimArgument,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.action {
        None => list(&arguments.shim),
        Some(Action::List { shim }) => list(shim),
        Some(Action::Set { name, limit, burst, block, until, span, shim }) => {
            let texts = [("limit", limit), ("block", block), ("until", until), ("for", span)];
            let texts = texts.into_iter().filter_map(|(name, value)| {
                Some((name.to_owned(), Value::from(value.as_deref()?)))
            });
            let mut body: Map<String, Value> = texts.collect();
            body.extend(burst.map(|burst| ("burst".into(), burst.into())));
            change(shim, Method::PUT, name, Some(body.into()))
        }
        Some(Action::Blocked { name, shim }) => blocked(shim, name),
        Some(Action::Unblock { name, client, shim }) => unblock(shim, name, client),
        Some(Action::Reset { name, shim }) => change(shim, Method::DELETE, name, None),
    }
}

fn list(shim: &ShimArgument) -> Outcome {
    let answer = shim.find()?.ask(Method::GET, &["limits"], None)?;
    if shim.json {
        println!("{answer:#}");
        return Ok(());
    }
    let limits = answer["limits"].as_array().map_or(&[][..], Vec::as_slice);
    if limits.is_empty() {
        println!("The policy has no limits.");
    }
    for limit in limits {
        println!("{}", describe(limit));
        println!("{:<16}  {}", "", counted(&limit["counted"]));
    }
    Ok(())
}

fn blocked(shim: &ShimArgument, name: &str) -> Outcome {
    let answer = shim.find()?.ask(Method::GET, &["limits", name, "blocked"], None)?;
    if shim.json {
        println!("{answer:#}");
        return Ok(());
    }
    let blocked = answer["blocked"].as_array().map_or(&[][..], Vec::as_slice);
    if blocked.is_empty() {
        println!("Nobody is blocked under `{name}`.");
    }
    for block in blocked {
        let text = |name: &str| block[name].as_str().unwrap_or_default();
        println!("{}  until {}", text("client"), text("until"));
    }
    Ok(())
}

fn unblock(shim: &ShimArgument, name: &str, client: &str) -> Outcome {
    let path = ["limits", name, "blocked", client];
    let answer = shim.find()?.ask(Method::DELETE, &path, None)?;
    match shim.json {
        true => println!("{answer:#}"),
        false => println!("`{client}` has its whole quota under `{name}`."),
    }
    if let Some(kept) = answer["kept"].as_str().filter(|_| !shim.json) {
        println!("{kept}");
    }
    Ok(())
}

fn change(shim: &ShimArgument, method: Method, name: &str, body: Option<Value>) -> Outcome {
    let answer = shim.find()?.ask(method, &["limits", name], body)?;
    if shim.json {
        println!("{answer:#}");
        return Ok(());
    }
    println!("{}", describe(&answer["limit"]));
    if let Some(kept) = answer["kept"].as_str().filter(|kept| !kept.is_empty()) {
        println!("{kept}");
    }
    Ok(())
}

/// A limit in words: `standard  200 per 60s, block 60s (policy: 100 per 60s), until …`.
fn describe(limit: &Value) -> String {
    let name = limit["name"].as_str().unwrap_or_default();
    let mut line = format!("{name:<16}  {}", words(limit));
    if limit["policy"].is_object() {
        line += &format!("  (the policy says {})", words(&limit["policy"]));
    }
    if let Some(until) = limit["override"]["until"].as_str() {
        line += &format!(", until {until}");
    }
    line
}

/// What it has said: `97 allowed, 3 refused; 12 clients known`.
fn counted(counted: &Value) -> String {
    let number = |name: &str| counted[name].as_u64().unwrap_or_default();
    let mut line = format!("{} allowed, {} refused", number("allowed"), number("refused"));
    for (name, words) in [
        ("would_refuse", "would be refused but for `dry_run`"),
        ("uncounted", "uncounted for want of the store"),
        ("store_failed", "failures of the store"),
    ] {
        if number(name) > 0 {
            line += &format!(", {} {words}", number(name));
        }
    }
    let clients = number("clients");
    line + &format!("; {clients} {} in memory", if clients == 1 { "client" } else { "clients" })
}

fn words(limit: &Value) -> String {
    let text = |name: &str| limit[name].as_str();
    let mut words = text("limit").unwrap_or_default().to_owned();
    if let Some(burst) = limit["burst"].as_u64() {
        words += &format!(", burst {burst}");
    }
    if let Some(block) = text("block") {
        words += &format!(", block {block}");
    }
    if limit["dry_run"] == Value::Bool(true) {
        words += ", rehearsed only";
    }
    words
}
