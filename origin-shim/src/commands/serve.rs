//! `tidegate serve`

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use clap::Args;
use tidegate_origin::gate::Shared;
use tidegate_origin::server::Server;

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
    let address = match (arguments.listen, &policy.model().shim.listen) {
        (Some(address), _) => address,
        (None, Some(listen)) => parse(listen)?,
        (None, None) => parse(DEFAULT_LISTEN)?,
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let server = Server::bind(address, threads).map_err(|error| {
        format!("tidegate: cannot listen on {address}: {error}\n= hint: stop what listens there, or choose another address with --listen")
    })?;
    println!("tidegate: listening on http://{}", server.address());
    server.run(Arc::new(Shared::new(policy)))?;
    Ok(())
}

fn parse(listen: &str) -> Result<SocketAddr, String> {
    let hint = "= hint: write an address like 127.0.0.1:8080 in `[shim] listen`";
    listen.parse().map_err(|_| {
        format!("tidegate: cannot listen on `{listen}`: not an IP address with a port\n{hint}")
    })
}
