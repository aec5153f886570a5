//! What signals mean: SIGTERM and SIGINT end the process, SIGHUP makes it read its policy again.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::audit::Who;
use crate::control::Control;

/// The signals that mean something here.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they end the process no more.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Heeds the others until one comes that ends the process.
    pub(super) async fn until_told_to_stop(&mut self, control: &Control) {
        let Self { interrupt, terminate, hangup } = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = reload_on_hangup(hangup, control) => {}
        }
    }

    /// Waits for a signal that ends the process.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Reads the policy again at every SIGHUP, and says what came of it. Ends when the signal says
/// that the terminal is gone on which this was started.
#[allow(clippy::print_stderr, reason = "whoever sent the signal reads the log")]
async fn reload_on_hangup(hangup: &mut Signal, control: &Control) {
    let on_terminal = io::stdin().is_terminal();
    while hangup.recv().await.is_some() {
        if on_terminal && !io::stdin().is_terminal() {
            return;
        }
        match control.reload(&Who::Hangup).await {
            Ok(reloaded) => eprint!("{reloaded}"),
            Err(error) => eprintln!("{error}\ntidegate: the policy in force stays"),
        }
    }
}
