//! A real Redis, as it comes: on a port of its own, keeping nothing on disk.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server, killed when it is dropped.
pub(crate) struct RedisServer {
    port: u16,
    process: Child,
}

/// It may take so long to come up.
const PATIENCE: Duration = Duration::from_secs(10);

impl RedisServer {
    /// Starts one, and waits until it answers.
    pub(crate) fn start() -> Self {
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = any.local_addr().unwrap().port();
        drop(any);
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server runs: on Debian it is the package redis-server");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not come up");
            thread::sleep(Duration::from_millis(20));
        }
        Self { port, process }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How often it has read from a connection: of who sends one question at a time, that is
    /// how many there were.
    pub(crate) fn reads(&self) -> u64 {
        let port = self.port.to_string();
        let asked = Command::new("redis-cli").args(["-p", &port, "info", "stats"]).output();
        let info = String::from_utf8(asked.expect("redis-cli runs").stdout).unwrap();
        let reads = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
        reads.and_then(|reads| reads.trim().parse().ok()).expect("Redis 7 counts its reads")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
