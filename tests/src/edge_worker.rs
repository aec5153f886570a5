//! A built worker in the platform's own runtime.

use std::{env, net::SocketAddr, path::Path, process::Command};

use crate::{process::Process, wire::Client};

/// A running worker.
#[derive(Debug)]
pub struct EdgeWorker {
    address: SocketAddr,
    process: Process,
}

impl EdgeWorker {
    /// Serves the build in `folder` before `origin`, and waits until it listens. After each
    /// request, and all that was begun for it, the origin is asked for the host `ended`.
    ///
    /// # Panics
    /// If it does not come up; the message has what it wrote to standard error.
    #[track_caller]
    #[must_use]
    pub fn serve(folder: &Path, origin: SocketAddr, ended: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("edge/harness/direct-worker.mjs");
        let node = env::var_os("NODE").unwrap_or_else(|| "node".into());
        let mut command = Command::new(node);
        command.arg(script).arg(folder).arg(format!("http://{origin}")).arg(ended);
        let mut process = Process::start(&mut command);
        let line = process.next_line();
        let address = line
            .strip_prefix("worker listening on http://")
            .and_then(|address| address.trim_end_matches('/').parse().ok())
            .unwrap_or_else(|| panic!("an address was expected in {line:?}"));
        Self { address, process }
    }

    /// A client of this worker.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::of(self.address)
    }
}

impl Drop for EdgeWorker {
    /// The runtime is a process below this one, which alone can end it.
    fn drop(&mut self) {
        self.process.end();
    }
}
