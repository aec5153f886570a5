//! `tidegate explain`

use std::error::Error;
use std::net::IpAddr;

use clap::{Args, ValueEnum};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use tidegate_core::document::Reading;
use tidegate_core::explain::{Url, Who, explain};
use tidegate_core::{Host, Method, Policy, Request, Target, Tier};
use tidegate_origin::client::Client;
use tidegate_origin::clock;
use tidegate_origin::tokens::Tokens;
use tidegate_origin::visitor::Visitor;

use super::{Outcome, PolicyArgument};

#[derive(Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// One tier alone; both without it
    #[arg(long, value_enum)]
    tier: Option<TierName>,
    /// The method, as for curl
    #[arg(short = 'X', long = "request", value_name = "METHOD", conflicts_with = "method")]
    request: Option<String>,
    /// A request header, as for curl; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The client's address, for limits
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    client: IpAddr,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// The method; GET without it
    method: Option<String>,
    /// What is asked for: a URL, or a path on localhost
    url: String,
}

impl Arguments {
    fn method_name(&self) -> &str {
        self.method.as_deref().or(self.request.as_deref()).unwrap_or("GET")
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum TierName {
    Edge,
    Origin,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Reading { policy, places, .. } = arguments.policy.read()?;
    let url = Url::parse(&arguments.url);
    let url = url.map_err(|bad| format!("{bad}\n= hint: {}", Url::HINT))?;
    let mut fields = HeaderMap::new();
    for (name, value) in &arguments.headers {
        fields.append(name, value.clone());
    }
    let host =
        Host::parse(url.host, url.scheme).map_err(|_| format!("`{}` names no host", url.host))?;
    let target = Target::parse(url.target).map_err(|bad| format!("`{}`: {bad}", url.target))?;
    let method_name = arguments.method_name();
    let method = Method::parse(method_name);
    let request = Request::read(method, url.scheme, &host, &target, &fields);
    let client = Client { ip: Some(arguments.client), scheme: url.scheme };
    let visitor = identify(&policy, client, &fields)?;
    let who = Who::of(&visitor.identity, visitor.refusal, &policy);
    let tiers = match arguments.tier {
        Some(TierName::Edge) => vec![Tier::Edge],
        Some(TierName::Origin) => vec![Tier::Origin],
        None => vec![Tier::Edge, Tier::Origin],
    };
    let explanations: Vec<_> = tiers
        .into_iter()
        .map(|tier| {
            let (who, client) = (&visitor.identity, visitor.facts());
            let mut explanation = explain(&policy, tier, &request, who, &client, clock::now());
            explanation.locate(&policy, |path| {
                Some(format!("{}:{}", arguments.policy.file(), places.get(path)?.line))
            });
            explanation
        })
        .collect();
    let normalised = format!("{}://{}{target}", url.scheme.as_str(), host.as_str());
    if arguments.json {
        let document = json!({
            "method": method_name,
            "url": normalised,
            "policy": policy.hash(),
            "identity": who,
            "tiers": explanations,
        });
        println!("{document:#}");
    } else {
        println!("{} {normalised}\n\nidentity                  {who}", method_name);
        for explanation in explanations {
            print!("\n{}\n{explanation}", explanation.tier);
        }
    }
    Ok(())
}

/// By the keys that are here: no key set is asked for.
fn identify(
    policy: &Policy,
    client: Client,
    fields: &HeaderMap,
) -> Result<Visitor, Box<dyn Error>> {
    let tokens = Tokens::offline(&policy.model().identity, &|name| std::env::var(name).ok());
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(Visitor::identify(policy, &tokens, client, None, fields, clock::now())))
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'name: value'")?;
    let name = name.trim().parse().map_err(|_| format!("`{}` is no header name", name.trim()))?;
    let value = value.trim().parse().map_err(|_| "the value has a byte that no header may hold")?;
    Ok((name, value))
}
