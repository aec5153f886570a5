//! The shim as a process of its own, and what it says of itself.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use tidegate_bench::redis_server::RedisServer;

const POLICY: &str = include_str!("policy.toml");

/// A shim, ended when dropped.
pub(crate) struct Shim {
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    child: Child,
    folder: PathBuf,
}

/// How much a zone holds, as it accounts for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    pub(crate) answers: u64,
    pub(crate) bytes: u64,
}

impl Shim {
    /// Starts the one that `TIDEGATE_BIN` names.
    pub(crate) fn start(
        origin: SocketAddr,
        limits: &RedisServer,
        answers: &RedisServer,
    ) -> io::Result<Self> {
        let folder = PathBuf::from(format!("/dev/shm/tidegate-soak-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let policy = folder.join("tidegate.toml");
        fs::write(&policy, POLICY)?;
        let program = env::var_os("TIDEGATE_BIN").unwrap_or_else(|| "tidegate".into());
        let mut child = Command::new(program)
            .arg("serve")
            .arg("--policy")
            .arg(policy)
            .args(["--listen", "127.0.0.1:0"])
            .env("SOAK_ORIGIN", origin.to_string())
            .env("SOAK_LIMITS", limits.url())
            .env("SOAK_ANSWERS", answers.url())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let silent = || io::Error::other("the shim does not serve");
        let stdout = child.stdout.take().ok_or_else(silent)?;
        let mut lines = BufReader::new(stdout).lines();
        let mut next = |begin: &str| {
            lines.find_map(|line| line.ok()?.strip_prefix(begin)?.parse::<SocketAddr>().ok())
        };
        let address = next("tidegate: listening on http://").ok_or_else(silent)?;
        let admin = next("tidegate: admin listener on http://").ok_or_else(silent)?;
        // Lines of requests are written, and read by somebody.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { address, admin, child, folder })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks its admin listener.
    pub(crate) fn ask(&self, method: &str, target: &str, body: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let (host, length) = (self.admin, body.len());
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.starts_with("HTTP/1.1 200 ") {
            true => Ok(answer),
            false => Err(io::Error::other(format!("{method} {target}: {answer}"))),
        }
    }

    /// What is stored in this zone.
    pub(crate) fn held(&self, zone: &str) -> io::Result<Held> {
        let metrics = self.ask("GET", "/metrics", "")?;
        let value = |name: &str| {
            let begin = format!("{name}{{zone=\"{zone}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&begin)?.trim().parse::<u64>().ok())
        };
        let of =
            |name| value(name).ok_or_else(|| io::Error::other(format!("no {name}: {metrics}")));
        Ok(Held { answers: of(ENTRIES)?, bytes: of(BYTES)? })
    }
}

const ENTRIES: &str = "tidegate_zone_entries";
const BYTES: &str = "tidegate_zone_bytes";

impl Drop for Shim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
