//! workerd with one Worker in it, as a process of its own that can be measured.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tidegate_bench::process::{self, Cores};

use crate::world::Worker;

/// Where the services are that a Worker needs.
#[derive(Clone, Copy)]
pub(crate) struct Around {
    pub(crate) origin: SocketAddr,
    pub(crate) cache: SocketAddr,
}

/// A running workerd, ended when dropped.
pub(crate) struct Runtime {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Runtime {
    /// Starts workerd, and waits until it listens. A process begins on the cores of the thread
    /// that starts it.
    pub(crate) fn start(worker: &Worker, around: Around, cores: &Cores) -> io::Result<Self> {
        let file = worker.folder.join("config.capnp");
        fs::write(&file, config(worker, around))?;
        let mut command = Command::new(&worker.workerd);
        command.args(["serve", "--control-fd=1"]).arg(&file).stdout(Stdio::piped());
        let mut child = cores.spawn(&mut command)?;
        let port = child.stdout.take().and_then(|stdout| {
            let mut lines = BufReader::new(stdout).lines();
            lines.find_map(|line| port(&line.ok()?))
        });
        let Some(port) = port else {
            let _ = child.kill();
            return Err(io::Error::other(format!("workerd does not serve {}", file.display())));
        };
        Ok(Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    /// How long its threads have been running, added up.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        process::cpu(self.child.id())
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port in what workerd says of its socket.
fn port(line: &str) -> Option<u16> {
    let said: serde_json::Value = serde_json::from_str(line).ok()?;
    (said["event"] == "listen").then(|| u16::try_from(said["port"].as_u64()?).ok())?
}

fn config(worker: &Worker, Around { origin, cache }: Around) -> String {
    let modules: Vec<String> = worker.modules.iter().map(|name| module(name)).collect();
    let modules = modules.join(", ");
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "cache", external = (address = "{cache}", http = ())),
    (name = "internet", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  modules = [{modules}],
  compatibilityDate = "2026-11-17",
  bindings = [
    (name = "ORIGIN", text = "http://{origin}"),
    (name = "TIDEGATE_ORIGIN", text = "http://{origin}"),
  ],
  cacheApiOutbound = "cache",
);
"#
    )
}

fn module(name: &str) -> String {
    let kind = if Path::new(name).extension().is_some_and(|end| end == "wasm") {
        "wasm"
    } else {
        "esModule"
    };
    format!(r#"(name = "{name}", {kind} = embed "{name}")"#)
}
