//! One program of the stack: started in a process group of its own, its output
//! written to a file, and shown once the stack is up.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::dev::ports::Seat;
use crate::dev::stack::Event;
use crate::{report, run};

/// What to start, and how to see that it is up.
pub(super) struct Plan {
    /// The word before each line of its output.
    pub(super) name: &'static str,
    /// What it is, for people.
    pub(super) what: &'static str,
    pub(super) command: Command,
    /// Each of these answers 200 when it is up.
    pub(super) ready: &'static [(Seat, &'static str)],
}

/// A running program and everything it started.
pub(super) struct Service {
    group: Pid,
}

impl Service {
    /// Starts a program. Its end comes as an [`Event`]; its output goes to
    /// `log`, and to the terminal as long as `live` says so.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        live: &Arc<AtomicBool>,
        events: Sender<Event>,
    ) -> Result<Self> {
        let (reader, writer) = io::pipe().context("could not make a pipe")?;
        // Without a terminal to read from, wrangler offers no keyboard
        // shortcuts; out of the foreground group, reading would stop it.
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
        let mut child = run::spawn(&mut command)?;
        let group = Pid::from_child(&child);
        let file =
            File::create(log).with_context(|| format!("could not write {}", log.display()))?;
        let live = Arc::clone(live);
        thread::spawn(move || relay(name, reader, file, &live));
        thread::spawn(move || {
            let status = child.wait();
            // Nobody listens any more when the stack is going down.
            let _ = events.send(Event::Ended { name, status });
        });
        Ok(Self { group })
    }

    /// Signals the program and all it started.
    pub(super) fn signal(&self, signal: Signal) {
        // The group may have emptied meanwhile, which is what a signal is for.
        let _ = kill_process_group(self.group, signal);
    }

    /// Whether anything of it still runs.
    pub(super) fn is_running(&self) -> bool {
        test_kill_process_group(self.group).is_ok()
    }
}

/// Where a program's output is kept.
pub(super) fn log_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

/// How a program ended, in words.
pub(super) fn ending(status: &io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("no status: {error}"),
    }
}

fn relay(name: &str, reader: PipeReader, mut file: File, live: &AtomicBool) {
    let prefix = report::bold(&format!("{name:>6} |"));
    for line in BufReader::new(reader).split(b'\n') {
        let Ok(line) = line else { return };
        let line = String::from_utf8_lossy(&line);
        // The file is a courtesy; the stack runs on when the disk is full.
        let _ = writeln!(file, "{line}");
        if live.load(Ordering::Relaxed) {
            println!("{prefix} {line}");
        }
    }
}
