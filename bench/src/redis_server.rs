//! A real Redis, as it comes: on a port of its own, keeping nothing on disk.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server, killed when it is dropped.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    process: Child,
}

/// It may take so long to come up.
const PATIENCE: Duration = Duration::from_secs(10);

impl RedisServer {
    /// Starts one with these options besides, and waits until it answers.
    pub fn start(options: &[&str]) -> io::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(options)
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self { port, process };
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other("redis-server does not come up"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Where it listens, on this machine.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same, as clients are told.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How often it has read from a connection: of who sends one question at a time, that is
    /// how many there were.
    pub fn reads(&self) -> io::Result<u64> {
        let port = self.port.to_string();
        let asked = Command::new("redis-cli").args(["-p", &port, "info", "stats"]).output()?;
        let info = String::from_utf8_lossy(&asked.stdout).into_owned();
        let reads = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
        let reads = reads.and_then(|reads| reads.trim().parse().ok());
        reads.ok_or_else(|| io::Error::other("Redis 7 counts its reads"))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
