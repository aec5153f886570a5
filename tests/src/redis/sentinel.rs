//! A master with a replica, and three sentinels that watch over them.

use std::{fs, process::Command};

use tempfile::TempDir;

use super::{RedisServer, eventually, free_port, started};
use crate::process::{self, Process};

/// What the sentinels call the master.
const MASTER: &str = "limits";

/// Two servers and three sentinels.
#[derive(Debug)]
pub struct Sentinels {
    /// The server that is master at first.
    pub master: RedisServer,
    /// The one that replicates it.
    pub replica: RedisServer,
    ports: Vec<u16>,
    // They end with this.
    _sentinels: Vec<(Process, TempDir)>,
}

impl Sentinels {
    /// Starts all, and waits until the sentinels know of the replica and of each other.
    ///
    /// # Panics
    /// If they do not come up.
    #[track_caller]
    #[must_use]
    pub fn start() -> Self {
        let master = RedisServer::start();
        let port = master.port().to_string();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
        let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let sentinel = |port: &u16| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = folder.path().join("sentinel.conf");
            let settings = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds {MASTER} 1000\n\
                 sentinel failover-timeout {MASTER} 5000\n",
                folder.path().display(),
                master.port(),
            );
            fs::write(&file, settings).expect("the temporary folder can be written");
            let mut command = Command::new("redis-server");
            (started(command.arg(&file).arg("--sentinel"), "+monitor"), folder)
        };
        let sentinels = ports.iter().map(sentinel).collect();
        for port in &ports {
            eventually("sentinels that know each other", || {
                let port = port.to_string();
                let known = process::run("redis-cli", &["-p", &port, "info", "sentinel"]).stdout;
                known.contains("slaves=1,sentinels=3").then_some(())
            });
        }
        eventually("a replica that has all", || {
            let said = replica.command(&["info", "replication"]);
            said.contains("master_link_status:up").then_some(())
        });
        Self { master, replica, ports, _sentinels: sentinels }
    }

    /// Their URL.
    #[must_use]
    pub fn url(&self) -> String {
        let sentinels = self.ports.iter().map(|port| format!("127.0.0.1:{port}"));
        format!("redis-sentinel://{}/{MASTER}", sentinels.collect::<Vec<_>>().join(","))
    }
}
