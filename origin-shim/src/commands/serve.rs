//! `tidegate serve`

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use clap::Args;
use tidegate_core::Policy;
use tidegate_origin::admin::AdminListener;
use tidegate_origin::clock;
use tidegate_origin::control::{Control, Start};
use tidegate_origin::edge_signature::{self, EdgeSignature};
use tidegate_origin::gate::Shared;
use tidegate_origin::in_force::InForce;
use tidegate_origin::redis_limiter::RedisLimiter;
use tidegate_origin::server::Server;
use tidegate_origin::tokens::Tokens;

use super::{Outcome, PolicyArgument};

/// Where to listen when neither the command line nor the policy says so.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// The address to listen on, in place of the policy's; port 0 takes any free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let reading = arguments.policy.read()?;
    eprint!("{}", arguments.policy.warnings(&reading));
    let policy = reading.policy;
    let edge = EdgeSignature::new(&policy, |name| std::env::var(name).ok())
        .map_err(|bad| format!("tidegate: {bad}\n= hint: {}", edge_signature::HINT))?;
    let tokens = tokens(&policy)?;
    let address = match (arguments.listen, &policy.model().shim.listen) {
        (Some(address), _) => address,
        (None, Some(listen)) => parse(listen)?,
        (None, None) => parse(DEFAULT_LISTEN)?,
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let server = Server::bind(address, threads).map_err(|error| {
        format!("tidegate: cannot listen on {address}: {error}\n= hint: stop what listens there, or choose another address with --listen")
    })?;
    let start = Start {
        policy: arguments.policy.policy.clone(),
        listen: policy.model().shim.listen.clone(),
        listen_is_given: arguments.listen.is_some(),
        admin: policy.model().admin.clone(),
        at: clock::now(),
    };
    let environment = |name: &str| std::env::var(name).ok();
    let admin = policy.model().admin.as_ref();
    let admin = admin.map(|admin| AdminListener::bind(admin, &environment)).transpose();
    let admin = admin.map_err(|error| format!("tidegate: {error}"))?;
    let redis = redis(&policy)?;
    let shared = Arc::new(Shared::new(InForce::new(policy, edge, tokens, redis)));
    let control = Control::new(shared, start).map_err(|error| format!("tidegate: {error}"))?;
    let address = server.address();
    let operated_at = admin.as_ref().map(AdminListener::address);
    server.run(&Arc::new(control), admin, || {
        println!("tidegate: listening on http://{address}");
        if let Some(address) = operated_at {
            println!("tidegate: admin listener on http://{address}");
        }
    })?;
    Ok(())
}

/// The keys for tokens. Without its secrets nothing is served, since every user would be a
/// stranger; a key set that does not come may still come, and strangers can wait.
fn tokens(policy: &Policy) -> Result<Tokens, Box<dyn Error>> {
    let tokens = Tokens::new(&policy.model().identity, &|name| std::env::var(name).ok());
    if !tokens.bad_secrets().is_empty() {
        let each = tokens.bad_secrets().iter().map(|bad| format!("tidegate: {bad}"));
        return Err(each.collect::<Vec<_>>().join("\n").into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Err(error) = runtime.block_on(tokens.refresh()) {
        eprintln!("tidegate: {error}; until one comes, tokens of its keys count as unverified");
    }
    Ok(tokens)
}

/// The Redis of the policy. Without its URL nothing is served; a server that does not answer may
/// still come, and until then limits go by their `on_store_error`.
fn redis(policy: &Policy) -> Result<Option<Arc<RedisLimiter>>, Box<dyn Error>> {
    let Some(rule) = &policy.model().redis else { return Ok(None) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let redis = runtime.block_on(RedisLimiter::from_environment(rule));
    Ok(Some(redis.map_err(|bad| format!("tidegate: {bad}"))?))
}

fn parse(listen: &str) -> Result<SocketAddr, String> {
    let hint = "= hint: write an address like 127.0.0.1:8080 in `[shim] listen`";
    listen.parse().map_err(|_| {
        format!("tidegate: cannot listen on `{listen}`: not an IP address with a port\n{hint}")
    })
}
