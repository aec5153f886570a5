//! `tidegate serve` before a demo origin, and the other subcommands.

use std::{net::SocketAddr, process::Command};

use serde_json::Value;

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
    places: Vec<String>,
    // It is killed when the shim is dropped.
    process: Process,
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
        before_origin(&mut command, origin).envs(environment.iter().copied());
        Self::start(&mut command)
    }

    /// Serves `policy` before `origin`, listening where it says.
    ///
    /// # Panics
    /// If it does not come up; the message has what it wrote to standard error.
    #[track_caller]
    #[must_use]
    pub fn serve_where_the_policy_says(policy: &PolicyFile, origin: &DemoOrigin) -> Self {
        Self::start(before_origin(&mut command("serve", policy), origin))
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

    /// Serves `policy` before `origin`, listening at these places.
    ///
    /// # Panics
    /// If it does not come up; the message has what it wrote to standard error.
    #[track_caller]
    #[must_use]
    pub fn serve_at(policy: &PolicyFile, origin: &DemoOrigin, places: &[&str]) -> Self {
        let mut command = command("serve", policy);
        command.args(places.iter().flat_map(|place| ["--listen", place]));
        Self::start_at(before_origin(&mut command, origin), places.len())
    }

    /// The same with variables in the environment.
    ///
    /// # Panics
    /// If it does not come up; the message has what it wrote to standard error.
    #[track_caller]
    #[must_use]
    pub fn serve_policy_with(policy: &PolicyFile, environment: &[(&str, &str)]) -> Self {
        Self::start(serve_command(policy).envs(environment.iter().copied()))
    }

    /// Serves a policy that names its own upstreams, listening where it says.
    ///
    /// # Panics
    /// If it does not come up; the message has what it wrote to standard error.
    #[track_caller]
    #[must_use]
    pub fn serve_policy_as_it_says(policy: &PolicyFile) -> Self {
        Self::start(&mut command("serve", policy))
    }

    #[track_caller]
    fn start(command: &mut Command) -> Self {
        Self::start_at(command, 1)
    }

    /// Waits until it listens at so many places.
    ///
    /// # Panics
    /// If it does not come up; the message has what it wrote to standard error.
    #[track_caller]
    #[must_use]
    pub fn start_at(command: &mut Command, places: usize) -> Self {
        let mut process = Process::start(command);
        let places: Vec<String> = (0..places)
            .map(|_| {
                let line = process.next_line();
                let place = line.strip_prefix("tidegate: listening on ");
                place.unwrap_or_else(|| panic!("an address was expected in {line:?}")).to_owned()
            })
            .collect();
        let address = places.iter().find_map(|place| address_of(place));
        // Over a socket in the file system, any will do for the Host field.
        let address = address.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        Self { address, places, process }
    }

    /// A client of its admin listener. Ask once: it is said once.
    ///
    /// # Panics
    /// If its policy has none.
    #[track_caller]
    #[must_use]
    pub fn admin(&mut self) -> Client {
        let line = self.process.next_line();
        let address = line.strip_prefix("tidegate: admin listener on http://");
        Client::of(address.and_then(|a| a.parse().ok()).unwrap_or_else(|| panic!("{line:?}")))
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// If it does not, or says that something went wrong.
    #[track_caller]
    pub fn stop(self) {
        self.process.interrupt();
        self.stopped();
    }

    /// Asks it to end, and returns what it still wrote when it has.
    ///
    /// # Panics
    /// If it does not, or says that something went wrong.
    #[track_caller]
    #[must_use]
    pub fn last_words(self) -> Ended {
        self.process.interrupt();
        let ended = self.process.ended();
        assert!(ended.status.success(), "{ended:?}");
        ended
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it does not, or says that something went wrong.
    #[track_caller]
    pub fn stopped(self) {
        let ended = self.process.ended();
        assert!(ended.status.success(), "{ended:?}");
    }

    /// Makes it read its policy again by SIGHUP, and returns what it says to that: the line of
    /// the audit log.
    ///
    /// # Panics
    /// If it says nothing.
    #[track_caller]
    #[must_use]
    pub fn reload(&mut self) -> Value {
        self.process.signal("HUP");
        self.audited()
    }

    /// Sends it the signal of this name, without its `SIG`.
    ///
    /// # Panics
    /// If `kill` cannot be run or refuses.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// The next line on its standard error.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn next_error_line(&mut self) -> String {
        self.process.next_error_line()
    }

    /// The next line of its audit log.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn audited(&mut self) -> Value {
        loop {
            let line = self.process.next_error_line();
            if line.starts_with('{') {
                return serde_json::from_str(&line).expect("a line of JSON");
            }
        }
    }

    /// Where it listens; at the first address, should there be several.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All the places where it listens, as it says them: `http://127.0.0.1:8080`.
    #[must_use]
    pub fn places(&self) -> &[String] {
        &self.places
    }

    /// The process.
    #[must_use]
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// A client of this shim.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::of(self.address)
    }
}

/// The address in `http://127.0.0.1:8080` or `https://127.0.0.1:8443`.
#[must_use]
pub fn address_of(place: &str) -> Option<SocketAddr> {
    let (_, address) = place.split_once("://")?;
    address.parse().ok()
}

/// `tidegate serve` at these places, expected to be refused.
#[track_caller]
#[must_use]
pub fn refused_serve_at(policy: &PolicyFile, places: &[&str]) -> Ended {
    let mut command = command("serve", policy);
    Process::start(command.args(places.iter().flat_map(|place| ["--listen", place]))).ended()
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

/// A command that operates the shim whose admin listener is at `admin`.
#[track_caller]
#[must_use]
pub fn operate(policy: &PolicyFile, admin: Client, arguments: &[&str]) -> Ended {
    operate_with(policy, admin, arguments, &[])
}

/// The same with variables in the environment.
#[track_caller]
#[must_use]
pub fn operate_with(
    policy: &PolicyFile,
    admin: Client,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Ended {
    let mut command = operating(policy, arguments);
    command.arg("--admin").arg(format!("http://{}", admin.server()));
    Process::start(command.envs(environment.iter().copied())).ended()
}

/// The same for the shim that the policy speaks of.
#[track_caller]
#[must_use]
pub fn operate_by_policy(policy: &PolicyFile, arguments: &[&str]) -> Ended {
    Process::start(&mut operating(policy, arguments)).ended()
}

fn operating(policy: &PolicyFile, arguments: &[&str]) -> Command {
    let mut command = Command::new(process::tidegate());
    command.env_clear().args(arguments).arg("--policy").arg(policy.path());
    command
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

fn before_origin<'a>(command: &'a mut Command, origin: &DemoOrigin) -> &'a mut Command {
    command
        .env("BASE_SVC", origin.base().address().to_string())
        .env("PLUGIN_SERVER", origin.plugins().address().to_string())
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
    command.env("TIDEGATE_ADMIN_LISTEN", "127.0.0.1:0");
    command
}
