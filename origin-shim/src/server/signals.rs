//! What signals mean: SIGTERM and SIGINT end the process, SIGHUP makes it read its policy again,
//! SIGUSR2 puts a new process into its place.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::stop::Stop;
use super::supervisor;
use super::takeover::Heritage;
use crate::audit::Who;
use crate::control::Control;
use crate::process_log::{self, Level};

/// The signals that mean something here.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    user2: Signal,
}

impl Signals {
    /// From now on they end the process no more.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Heeds the others until one comes that ends the process.
    pub(super) async fn until_told_to_stop(
        &mut self,
        control: &Control,
        heritage: &Heritage,
    ) -> Stop {
        let Self { interrupt, terminate, hangup, user2 } = self;
        tokio::select! {
            _ = interrupt.recv() => Stop::Closed,
            _ = terminate.recv() => Stop::Closed,
            () = reload_on_hangup(hangup, control) => Stop::Closed,
            () = hand_over(user2, heritage) => Stop::HandedOver,
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
async fn reload_on_hangup(hangup: &mut Signal, control: &Control) {
    let on_terminal = io::stdin().is_terminal();
    while hangup.recv().await.is_some() {
        if on_terminal && !io::stdin().is_terminal() {
            return;
        }
        supervisor::reloading();
        match control.reload(&Who::Hangup).await {
            Ok(reloaded) => process_log::report(reloaded.level(), reloaded),
            Err(error) => process_log::report(
                Level::Error,
                format_args!("{error}\ntidegate: the policy in force stays"),
            ),
        }
        supervisor::ready();
    }
}

/// Starts a new process at every SIGUSR2, and ends when one serves in place of this one.
async fn hand_over(user2: &mut Signal, heritage: &Heritage) {
    while user2.recv().await.is_some() {
        match heritage.start_successor().await {
            Ok(process) => {
                process_log::info(
                    format_args!("process {process} takes over"),
                    &[("process", &process)],
                );
                return supervisor::succeeded_by(process);
            }
            Err(error) => {
                process_log::error(format_args!("{error}\ntidegate: this process goes on"), &[])
            }
        }
    }
    std::future::pending().await
}
