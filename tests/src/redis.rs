//! Real Redis servers, each on ports of its own and with a folder of its own; killed when dropped.

mod cluster;
mod sentinel;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub use self::{cluster::Cluster, sentinel::Sentinels};
use crate::process::{self, PATIENCE, Process};

/// A server that keeps what it is told on disk, so that it has it again after a kill.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts one.
    ///
    /// # Panics
    /// If there is no `redis-server`, or it does not come up.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further settings, as on the command line.
    ///
    /// # Panics
    /// If there is no `redis-server`, or it does not come up.
    #[track_caller]
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { port: free_port(), arguments, folder, process: None };
        server.restart();
        server
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it anew at the same port, with what it has on disk; kills it before if it runs.
    ///
    /// # Panics
    /// If it does not come up.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port, "--bind", "127.0.0.1", "--dir"])
            .arg(self.folder.path())
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
            .args(["--repl-diskless-sync-delay", "0"])
            .args(&self.arguments);
        self.process = Some(started(&mut command, "Ready to accept connections"));
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it in the middle of whatever it does: connections stay, nothing is answered.
    ///
    /// # Panics
    /// If it does not run.
    pub fn freeze(&self) {
        self.running().signal("STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If it does not run.
    pub fn thaw(&self) {
        self.running().signal("CONT");
    }

    /// What it answers to a command.
    ///
    /// # Panics
    /// If `redis-cli` fails.
    #[track_caller]
    pub fn command(&self, command: &[&str]) -> String {
        let port = self.port.to_string();
        let ended = process::run("redis-cli", &[&["-p", &port], command].concat());
        assert!(ended.status.success(), "{command:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout.trim().to_owned()
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }
}

/// Looks again and again until `there` has something.
///
/// # Panics
/// If it has nothing for too long.
#[track_caller]
pub fn eventually<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come about in {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn started(command: &mut Command, ready: &str) -> Process {
    let there = Command::new("redis-server").arg("--version").output();
    assert!(
        there.is_ok(),
        "these tests run a real Redis: type `sudo apt-get install redis-server` on Debian"
    );
    let mut process = Process::start(command);
    while !process.next_line().contains(ready) {}
    process
}

/// A port that nobody has; the one 10,000 above, by which nodes of a cluster speak, neither.
///
/// Both lie below those that the system gives to clients: after a test with ten thousand
/// connections it keeps theirs from everybody for a minute.
fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 10_100..22_100;
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let count = u64::from(PORTS.end - PORTS.start);
    // Tests that run at the same time begin elsewhere.
    let begin = RandomState::new().build_hasher().finish() % count;
    (0..count)
        .map(|step| PORTS.start + u16::try_from((begin + step) % count).unwrap_or_default())
        .find(|port| bind(*port).and_then(|_| bind(port + 10_000)).is_ok())
        .expect("two free ports")
}
