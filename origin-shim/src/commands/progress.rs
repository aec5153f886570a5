//! How far a long command is, for who waits at a terminal.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// A line on standard error, written anew from time to time; nothing where that is no terminal.
pub(super) struct Progress {
    is_shown: bool,
    between_lines: Duration,
    began: Instant,
    next: Instant,
}

impl Progress {
    pub(super) fn new(is_quiet: bool, between_lines: Duration) -> Self {
        let is_shown = !is_quiet && io::stderr().is_terminal();
        let began = Instant::now();
        Self { is_shown, between_lines, began, next: began + between_lines }
    }

    /// Whether it is time for another line, which the caller shows then.
    pub(super) fn is_due(&mut self) -> bool {
        if !self.is_shown {
            return false;
        }
        let now = Instant::now();
        let is_due = now >= self.next;
        if is_due {
            self.next = now + self.between_lines;
        }
        is_due
    }

    /// So many requests are done, which are this part of all, of 1.
    pub(super) fn show(&self, requests: u64, part: Option<f64>) {
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = requests as f64 / seconds;
        let left = part
            .map(|part| part.min(1.0))
            .filter(|part| *part > 0.0)
            .map(|part| format!(", {:.0} %, {:.0} s left", 100.0 * part, seconds / part - seconds));
        let left = left.unwrap_or_default();
        eprint!("\r\x1b[K{requests} requests, {rate:.0} a second{left}");
    }

    pub(super) fn end(&self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}
