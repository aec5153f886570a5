//! The demo stack as processes of their own: edge, shim, Redis, and the service behind all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_bench::process;

use crate::origin::{COUNTS, SLOW};
use crate::programs::Programs;

/// All of them, ended when dropped.
pub(crate) struct Stack {
    pub(crate) origin: Server,
    pub(crate) redis: Server,
    pub(crate) shim: Server,
    pub(crate) edge: Server,
}

/// One process, which may be ended and started anew where it was.
pub(crate) struct Server {
    name: &'static str,
    pub(crate) address: SocketAddr,
    command: Command,
    child: Child,
    /// What those took that were ended before.
    spent: Duration,
}

/// It may take so long to come up.
const PATIENCE: Duration = Duration::from_secs(20);

impl Stack {
    /// Starts all of them; what the worker stores goes to `cache`.
    pub(crate) fn start(programs: &Programs, cache: SocketAddr) -> io::Result<Self> {
        let place = free_place()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("origin").arg(place.to_string());
        let logs = &programs.worker;
        let origin = Server::start("service", logs, place, command)?;
        let place = free_place()?;
        let mut command = Command::new("redis-server");
        command.args(["--port", &place.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no"]);
        let redis = Server::start("redis", logs, place, command)?;
        let place = free_place()?;
        let mut command = Command::new(&programs.tidegate);
        command.args(["serve", "--policy"]).arg(&programs.policy);
        command.args(["--listen", &place.to_string()]);
        command.env("LOAD_ORIGIN", origin.address.to_string());
        command.env("LOAD_REDIS", format!("redis://{}", redis.address));
        let shim = Server::start("shim", logs, place, command)?;
        let place = free_place()?;
        let file = programs.worker.join("config.capnp");
        fs::write(&file, edge_config(place, shim.address, cache))?;
        let mut command = Command::new(&programs.workerd);
        command.arg("serve").arg(&file);
        let edge = Server::start("edge", logs, place, command)?;
        Ok(Self { origin, redis, shim, edge })
    }

    /// Requests that reached the service, and queries of its database.
    pub(crate) fn counts(&self) -> io::Result<(u64, u64)> {
        let said: Value = serde_json::from_str(&self.origin.ask(COUNTS)?)?;
        let count = |name: &str| said[name].as_u64().ok_or_else(|| io::Error::other("no counts"));
        Ok((count("requests")?, count("queries")?))
    }

    /// An error if one of them has ended by itself.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        let all = [&mut self.origin, &mut self.redis, &mut self.shim, &mut self.edge];
        all.into_iter().try_for_each(Server::check)
    }

    /// Makes the database so many times slower than usual.
    pub(crate) fn slow(&self, times: u32) -> io::Result<()> {
        self.origin.ask(&format!("{SLOW}{times}")).map(drop)
    }

    /// Takes the memory away from Redis, or gives it back.
    pub(crate) fn bound_redis(&self, bytes: &str) -> io::Result<()> {
        let port = self.redis.address.port().to_string();
        let mut command = Command::new("redis-cli");
        command.args(["-p", &port, "config", "set", "maxmemory", bytes]).stdout(Stdio::null());
        match command.status()?.success() {
            true => Ok(()),
            false => Err(io::Error::other("redis-cli cannot bound the memory")),
        }
    }
}

impl Server {
    /// What it says goes into a file of this folder.
    fn start(
        name: &'static str,
        folder: &Path,
        address: SocketAddr,
        mut command: Command,
    ) -> io::Result<Self> {
        let said = File::create(folder.join(format!("{name}.log")))?;
        command.stdout(said.try_clone()?).stderr(said);
        let child = command.spawn()?;
        let server = Self { name, address, command, child, spent: Duration::ZERO };
        server.wait_until_up()?;
        Ok(server)
    }

    /// An error if it has ended by itself.
    fn check(&mut self) -> io::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        Err(io::Error::other(format!(
            "{} has ended by itself ({status}): {}.log among the modules of the worker says more",
            self.name, self.name
        )))
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.spent += process::cpu(self.child.id())?;
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Starts it anew, where it was.
    pub(crate) fn start_anew(&mut self) -> io::Result<()> {
        self.child = self.command.spawn()?;
        self.wait_until_up()
    }

    /// How long its threads have been running, added up.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        Ok(self.spent + process::cpu(self.child.id())?)
    }

    /// Bytes of memory that it takes.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        process::memory(self.child.id())
    }

    fn wait_until_up(&self) -> io::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("{} does not come up", self.name)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn ask(&self, target: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        write!(stream, "GET {target} HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        body.ok_or_else(|| io::Error::other("the origin does not answer"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_place() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The worker in bare workerd.
fn edge_config(place: SocketAddr, shim: SocketAddr, cache: SocketAddr) -> String {
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "cache", external = (address = "{cache}", http = ())),
    (name = "internet", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", address = "{place}", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = embed "index.js"),
    (name = "index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  compatibilityDate = "2026-11-17",
  bindings = [(name = "TIDEGATE_ORIGIN", text = "http://{shim}")],
  cacheApiOutbound = "cache",
);
"#
    )
}
