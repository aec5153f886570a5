//! The programs together: up one after the other, down all at once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::dev::ports::Seat;
use crate::dev::service::{self, Plan, Service};
use crate::{readiness, report, run};

/// A program that does not answer by then never will.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a program may take to finish what it is doing.
const GRACE: Duration = Duration::from_secs(5);

/// What ends the run.
pub(super) enum Event {
    /// Ctrl-C, SIGTERM, or the terminal went away.
    ToldToStop,
    /// A program ended by itself.
    Ended { name: &'static str, status: io::Result<ExitStatus> },
}

/// The running programs, in the order they were started.
pub(super) struct Stack {
    services: Vec<Service>,
    events: Receiver<Event>,
    sender: Sender<Event>,
    live: Arc<AtomicBool>,
    logs: PathBuf,
}

impl Stack {
    /// From here on signals are events; before, they end xtask as usual.
    pub(super) fn new(logs: &Path) -> Result<Self> {
        let (sender, events) = mpsc::channel();
        let mut signals =
            Signals::new([SIGINT, SIGTERM, SIGHUP]).context("could not listen for signals")?;
        let to_stack = sender.clone();
        thread::spawn(move || {
            for _ in signals.forever() {
                if to_stack.send(Event::ToldToStop).is_err() {
                    return;
                }
            }
        });
        let live = Arc::new(AtomicBool::new(false));
        Ok(Self { services: Vec::new(), events, sender, live, logs: logs.to_path_buf() })
    }

    /// Starts one program and waits until it answers. `false`: told to stop.
    pub(super) fn start(&mut self, plan: Plan) -> Result<bool> {
        let log = service::log_path(&self.logs, plan.name);
        let service =
            Service::start(plan.name, plan.command, &log, &self.live, self.sender.clone())?;
        self.services.push(service);
        let deadline = Instant::now() + PATIENCE;
        for (seat, path) in plan.ready {
            if !self.wait_until_ready(plan.name, *seat, path, deadline)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Shows what the programs say until one ends or a signal comes.
    pub(super) fn attend(&self) -> Result<()> {
        self.live.store(true, Ordering::Relaxed);
        // The sender lives as long as the stack does, so this cannot fail.
        let event = self.events.recv()?;
        self.live.store(false, Ordering::Relaxed);
        self.interpret(event)
    }

    /// Stops everything and returns when nothing runs any more. A second
    /// signal, or the end of the grace period, kills.
    pub(super) fn stop(&self) {
        if self.services.iter().all(|service| !service.is_running()) {
            return;
        }
        report::note("stopping");
        self.signal_all(Signal::TERM);
        let deadline = Instant::now() + GRACE;
        while self.anything_runs() {
            let told_again = matches!(self.events.try_recv(), Ok(Event::ToldToStop));
            if told_again || Instant::now() > deadline {
                self.signal_all(Signal::KILL);
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        // What was killed needs a moment to let go of its ports.
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.anything_runs() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_until_ready(
        &self,
        name: &str,
        seat: Seat,
        path: &str,
        deadline: Instant,
    ) -> Result<bool> {
        while !readiness::answers(seat.address, path) {
            match self.events.recv_timeout(Duration::from_millis(30)) {
                Ok(Event::ToldToStop) => return Ok(false),
                Ok(event) => self.interpret(event)?,
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(_) => bail!(
                    "http://{}{path} did not answer within {}\n\n{}",
                    seat.address,
                    report::human(PATIENCE),
                    self.last_words(name)
                ),
            }
        }
        Ok(true)
    }

    fn interpret(&self, event: Event) -> Result<()> {
        match event {
            Event::ToldToStop => Ok(()),
            Event::Ended { name, status } => Err(anyhow!(
                "{name} ended by itself ({})\n\n{}",
                service::ending(&status),
                self.last_words(name)
            )),
        }
    }

    fn last_words(&self, name: &str) -> String {
        let log = service::log_path(&self.logs, name);
        let text = fs::read_to_string(&log).unwrap_or_default();
        format!("{}\n\nall of it is in {}", run::tail(&text, 20), log.display())
    }

    fn signal_all(&self, signal: Signal) {
        // Front first, so that no program loses what it still asks for.
        for service in self.services.iter().rev() {
            service.signal(signal);
        }
    }

    fn anything_runs(&self) -> bool {
        self.services.iter().any(Service::is_running)
    }
}
