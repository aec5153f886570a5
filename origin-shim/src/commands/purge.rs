//! `tidegate purge`

use clap::Args;
use tidegate_core::invalidate::Tag;
use tidegate_core::purge::order::Order;
use tidegate_origin::edge_outbox;

use super::{Outcome, PolicyArgument};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
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
    /// As other commands are told; nothing else is purged by it
    #[arg(long)]
    edge: bool,
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
    // What the worker would refuse is said here, with the same words.
    let order = Order::from_json(order.to_value().to_string().as_bytes())?;
    let file = arguments.policy.file();
    let edge = arguments.policy.read()?.policy.model().edge.clone();
    let url = arguments.url.as_deref().or(edge.url.as_deref()).ok_or_else(|| {
        format!(
            "{file} does not say where the edge is\n= hint: add `url` to `[edge]`, or --url URL"
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
    runtime.block_on(edge_outbox::send(url, token, &order)).map_err(|why| {
        format!("the edge at {url} does not purge: {why}\n= hint: docs/guides/operating.md")
    })?;
    println!(
        "Purged in the data centre that answered, and everywhere within a minute as a rule, two \
         at most."
    );
    Ok(())
}
