//! A program that runs for as long as it is held: the suite's origin, a cache.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::workspace::Workspace;
use crate::{readiness, report, run};

/// A program that does not answer by then never will.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a program may take to end when told to.
const GRACE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// A running program; it is told to end when dropped, and killed if it does
/// not. It stays in our process group, so that Ctrl-C reaches it, too.
pub(super) struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program whose output goes to `log`.
    pub(super) fn start(name: &'static str, mut command: Command, log: &Path) -> Result<Self> {
        let file =
            File::create(log).with_context(|| format!("could not write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = run::spawn(&mut command)?;
        Ok(Self { name, child, log: log.to_path_buf() })
    }

    /// Waits until the program says where it listens: the address that follows
    /// `words` in its output.
    pub(super) fn address_after(&mut self, words: &str) -> Result<SocketAddr> {
        let log = self.log.clone();
        self.wait_for(|| address_after(words, &fs::read_to_string(&log).unwrap_or_default()))
    }

    /// Waits until the program answers at this address.
    pub(super) fn answers_at(&mut self, address: SocketAddr) -> Result<()> {
        let place = address.to_string();
        self.wait_for(|| readiness::answers(&place, "/").then_some(()))
    }

    fn wait_for<T>(&mut self, sign: impl Fn() -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = sign() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended by itself ({status})\n{}", self.name, self.last_words());
            }
            if Instant::now() > deadline {
                let patience = report::human(PATIENCE);
                bail!("{} was not up within {patience}\n{}", self.name, self.last_words());
            }
            thread::sleep(PAUSE);
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        format!("{}\nall of it is in {}", run::tail(&text, 20), self.log.display())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A program that has ended already cannot be told to, and need not be.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

/// An empty folder for what one run leaves behind: logs, generated
/// configurations, caches on disk.
pub(super) fn fresh_folder(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let folder = workspace.target().join("conformance").join(name.to_lowercase());
    if folder.is_dir() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("could not empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    Ok(folder)
}

/// An address on loopback that is free at this moment, for programs that
/// cannot choose one themselves and tell.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free on loopback")?;
    Ok(listener.local_addr()?)
}

/// The address between `words` and the end of the line or a slash.
fn address_after(words: &str, text: &str) -> Option<SocketAddr> {
    let (_, rest) = text.split_once(words)?;
    let (line, _) = rest.split_once('\n')?;
    line.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_once_its_line_is_whole() {
        let read = |text| address_after("on http://", text);
        let address = Some(SocketAddr::from(([127, 0, 0, 1], 8123)));
        assert_eq!(read("Listening on http://127.0.0.1:8123/\n"), address);
        assert_eq!(read("tidegate: listening on http://127.0.0.1:8123\nmore"), address);
        assert_eq!(read("Listening on http://127.0.0.1:81"), None);
    }

    #[test]
    fn a_program_ends_when_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo on http://127.0.0.1:1; exec sleep 60"]);
        let mut program = Program::start("a shell", command, &folder.path().join("log")).unwrap();
        let address = program.address_after("on http://").unwrap();
        assert_eq!(address.port(), 1);
        let pid = Pid::from_child(&program.child);
        drop(program);
        assert!(kill_process(pid, Signal::TERM).is_err());
    }

    #[test]
    fn a_program_that_ends_early_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such file; exit 3"]);
        let mut program = Program::start("a shell", command, &folder.path().join("log")).unwrap();
        let error = program.address_after("on http://").unwrap_err().to_string();
        assert!(error.contains("no such file") && error.contains("exit status: 3"), "{error}");
    }
}
