//! `tidegate purge`

use clap::Args;
use http::Method;
use serde_json::Value;
use tidegate_core::invalidate::Tag;
use tidegate_core::policy::Edge;
use tidegate_core::purge::order::Order;
use tidegate_origin::edge_outbox;

use super::Outcome;
use super::operate::AdminArgument;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shim: AdminArgument,
    /// A URL whose answers are void, or a path on all hosts; may be repeated
    #[arg(long = "key", value_name = "URL", required_unless_present_any = ["tags", "prefixes", "everything"])]
    keys: Vec<String>,
    /// A tag whose answers are void; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// What the URLs of void answers begin with, or their paths on all hosts; may be repeated
    #[arg(long = "prefix", value_name = "URL")]
    prefixes: Vec<String>,
    /// All answers are void
    #[arg(long)]
    everything: bool,
    /// At the edge alone; by default in the shim and at the edge, as far as the policy says where
    /// they are
    #[arg(long, conflicts_with_all = ["origin", "admin"])]
    edge: bool,
    /// In the shim alone, and in those that share a Redis with it
    #[arg(long, conflicts_with = "url")]
    origin: bool,
    /// Where the worker is reached, in place of the policy's `[edge] url`
    #[arg(long, value_name = "URL", env = "TIDEGATE_EDGE")]
    url: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let order = Order {
        keys: arguments.keys.clone(),
        tags: arguments.tags.iter().map(Tag::named).collect(),
        prefixes: arguments.prefixes.clone(),
        everything: arguments.everything,
    };
    // What would be refused is said here, with the same words.
    let order = Order::from_json(order.to_value().to_string().as_bytes())?;
    let policy = arguments.shim.policy.read()?.policy;
    let edge = &policy.model().edge;
    let has_shim = arguments.shim.is_there(&policy);
    let has_edge = arguments.url.is_some() || (edge.url.is_some() && edge.token.is_some());
    // The shim first, or the edge fetches from it what was to be purged.
    if !arguments.edge && (has_shim || arguments.origin) {
        purge_shims(arguments, &order)?;
    }
    if arguments.edge || (!arguments.origin && (has_edge || !has_shim)) {
        purge_edge(arguments, edge, &order)?;
    }
    Ok(())
}

fn purge_shims(arguments: &Arguments, order: &Order) -> Outcome {
    let purged = arguments.shim.find()?.ask(Method::POST, &["purge"], Some(order.to_value()))?;
    match &purged["elsewhere"] {
        Value::String(when) => {
            println!("Purged in the shim, and in those that share its Redis {when}.")
        }
        _ => println!("Purged in the shim."),
    }
    Ok(())
}

fn purge_edge(arguments: &Arguments, edge: &Edge, order: &Order) -> Outcome {
    let file = arguments.shim.policy.file();
    let url = arguments.url.as_deref().or(edge.url.as_deref()).ok_or_else(|| {
        format!(
            "{file} does not say where the edge is\n= hint: add `url` to `[edge]`, or --url URL; for \
             the shim, add `[admin]`, or --admin URL"
        )
    })?;
    let token = edge.token.as_deref().ok_or_else(|| {
        format!(
            "{file} names no token, so that the edge takes no purges\n= hint: add `token = \
             \"${{TIDEGATE_EDGE_TOKEN}}\"` to `[edge]`, and set it: npx wrangler secret put \
             TIDEGATE_EDGE_TOKEN"
        )
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let url = url.trim_end_matches('/');
    runtime.block_on(edge_outbox::send(url, token, order)).map_err(|why| {
        format!("the edge at {url} does not purge: {why}\n= hint: docs/guides/operating.md")
    })?;
    println!(
        "Purged in the data centre that answered, and everywhere within a minute as a rule, two \
         at most."
    );
    Ok(())
}
