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
        Self::serve_with(policy, origin, &[])
    }

    /// The same with further variables in the environment, from which the
    /// policy may take values.
    ///
    /// # Panics
    /// If it does not come up; the message has what it wrote to standard error.
    #[track_caller]
    #[must_use]
    pub fn serve_with(
        policy: &PolicyFile,
        origin: &DemoOrigin,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = serve_command(policy);
        command
            .env("BASE_SVC", origin.base().address().to_string())
            .env("PLUGIN_SERVER", origin.plugins().address().to_string())
            .envs(environment.iter().copied());
        Self::start(&mut command)
    }

    /// Serves a policy that names its own upstreams.
    ///
    /// # Panics
    /// If it does not come up; the message has what it wrote to standard error.
    #[track_caller]
    #[must_use]
    pub fn serve_policy(policy: &PolicyFile) -> Self {
        Self::start(&mut serve_command(policy))
    }

    #[track_caller]
    fn start(command: &mut Command) -> Self {
        let mut process = Process::start(command);
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

/// `tidegate serve` of a policy that is expected to be refused.
#[track_caller]
#[must_use]
pub fn refused_serve(policy: &PolicyFile) -> Ended {
    Process::start(&mut serve_command(policy)).ended()
}

/// The same with variables in the environment.
#[track_caller]
#[must_use]
pub fn refused_serve_with(policy: &PolicyFile, environment: &[(&str, &str)]) -> Ended {
    Process::start(serve_command(policy).envs(environment.iter().copied())).ended()
}

/// `tidegate check` of a policy.
#[track_caller]
#[must_use]
pub fn check(policy: &PolicyFile) -> Ended {
    check_with(policy, &[])
}

/// The same with further arguments.
#[track_caller]
#[must_use]
pub fn check_with(policy: &PolicyFile, arguments: &[&str]) -> Ended {
    Process::start(command("check", policy).args(arguments)).ended()
}

/// `tidegate explain` with these arguments.
#[track_caller]
#[must_use]
pub fn explain(policy: &PolicyFile, arguments: &[&str]) -> Ended {
    Process::start(command("explain", policy).args(arguments)).ended()
}

/// The same with variables in the environment.
#[track_caller]
#[must_use]
pub fn explain_with(
    policy: &PolicyFile,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Ended {
    let mut command = command("explain", policy);
    Process::start(command.args(arguments).envs(environment.iter().copied())).ended()
}

fn serve_command(policy: &PolicyFile) -> Command {
    let mut serve = command("serve", policy);
    serve.args(["--listen", "127.0.0.1:0"]);
    serve
}

/// The policy takes values from the environment, so that of the tests must not
/// leak into it.
fn command(subcommand: &str, policy: &PolicyFile) -> Command {
    let mut command = Command::new(process::tidegate());
    command.env_clear().arg(subcommand).arg("--policy").arg(policy.path());
    command
}
