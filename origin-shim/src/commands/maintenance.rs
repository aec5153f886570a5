//! `tidegate maintenance`

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
    /// Keep everybody out but health checks and whom the policy allows
    On {
        /// A sentence for clients
        #[arg(long, value_name = "TEXT")]
        message: Option<String>,
        /// For how long clients are told to wait, like 10m
        #[arg(long, value_name = "TIME")]
        retry_after: Option<String>,
        /// When it ends by itself, like 2026-11-21T18:30:00Z
        #[arg(long, value_name = "WHEN", conflicts_with = "span")]
        until: Option<String>,
        /// After how long it ends by itself, like 2h
        #[arg(long = "for", value_name = "TIME")]
        span: Option<String>,
        #[command(flatten)]
        shim: ShimArgument,
    },
    /// Let everybody in again
    Off {
        #[command(flatten)]
        shim: ShimArgument,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    const PATH: &[&str] = &["maintenance"];
    let (shim, answer) = match &arguments.action {
        None => (&arguments.shim, arguments.shim.find()?.ask(Method::GET, PATH, None)?),
        Some(Action::On { message, retry_after, until, span, shim }) => {
            let fields = [
                ("message", message),
                ("retry_after", retry_after),
                ("until", until),
                ("for", span),
            ];
            let body = fields.into_iter().filter_map(|(name, value)| {
                Some((name.to_owned(), Value::from(value.as_deref()?)))
            });
            let body: Map<String, Value> = body.collect();
            (shim, shim.find()?.ask(Method::PUT, PATH, Some(body.into()))?)
        }
        Some(Action::Off { shim }) => (shim, shim.find()?.ask(Method::DELETE, PATH, None)?),
    };
    if shim.json {
        println!("{answer:#}");
        return Ok(());
    }
    println!("Maintenance is {}.", describe(&answer["maintenance"]));
    if let Some(kept) = answer["kept"].as_str().filter(|kept| !kept.is_empty()) {
        println!("{kept}");
    }
    Ok(())
}

/// What the admin listener says of maintenance, in words.
pub(super) fn describe(maintenance: &Value) -> String {
    if maintenance["enabled"] != Value::Bool(true) {
        return "off".into();
    }
    let text = |name: &str| maintenance[name].as_str();
    let mut words = match text("by") {
        Some("policy") => String::from("on, as the policy says"),
        _ => String::from("on"),
    };
    match (text("until"), text("retry_after")) {
        (Some(until), _) => words += &format!(", until {until}"),
        (None, Some(wait)) => words += &format!("; clients are told to wait {wait}"),
        (None, None) => {}
    }
    if let Some(message) = text("message") {
        words += &format!("; they are told {message:?}");
    }
    words
}
