//! `tidegate serve` before a demo origin, and the other subcommands.

use std::{net::SocketAddr, process::Command};

use crate::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    process::{self, Ended, Process},
    wire::Client,
};

/// A running shim.
#[derive(Debug)]
pub struct Shim {
    address: SocketAddr,
    // Held for its end: the process is killed when the shim is dropped.
    _process: Process,
}

impl Shim {
    /// Serves `policy` before `origin` and waits until it listens.
    ///
    /// # Panics
    /// If it does not come up; the message has what it wrote to standard error.
    #[track_caller]
    #[must_use]
    pub fn serve(policy: &PolicyFile, origin: &DemoOrigin) -> Self {
        let mut process = Process::start(&mut serve_command(policy, Some(origin)));
        let line = process.next_line();
        let address = line
            .strip_prefix("tidegate: listening on http://")
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("an address was expected in {line:?}"));
        Self { address, _process: process }
    }

    /// A client of this shim.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::of(self.address)
    }
}

/// `tidegate serve` with a policy that is expected to be refused.
#[track_caller]
#[must_use]
pub fn refused_serve(policy: &PolicyFile) -> Ended {
    Process::start(&mut serve_command(policy, None)).ended()
}

/// `tidegate check` of a policy.
#[track_caller]
#[must_use]
pub fn check(policy: &PolicyFile) -> Ended {
    run("check", policy, &[])
}

/// `tidegate explain` with these arguments.
#[track_caller]
#[must_use]
pub fn explain(policy: &PolicyFile, arguments: &[&str]) -> Ended {
    run("explain", policy, arguments)
}

fn run(subcommand: &str, policy: &PolicyFile, arguments: &[&str]) -> Ended {
    let mut command = Command::new(process::tidegate());
    command.arg(subcommand).arg("--policy").arg(policy.path()).args(arguments);
    Process::start(&mut command).ended()
}

fn serve_command(policy: &PolicyFile, origin: Option<&DemoOrigin>) -> Command {
    let mut command = Command::new(process::tidegate());
    command.arg("serve").arg("--policy").arg(policy.path()).args(["--listen", "127.0.0.1:0"]);
    if let Some(origin) = origin {
        command.env("BASE_SVC", origin.base().address().to_string());
        command.env("PLUGIN_SERVER", origin.plugins().address().to_string());
    }
    command
}
