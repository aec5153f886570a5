//! What a person sees: headings, timed steps, failures.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anyhow::Result;

/// Announces one step, runs it, and says how long it took, also when it fails.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    note(what);
    let started = Instant::now();
    let outcome = work();
    let verdict = if outcome.is_ok() { "done" } else { "failed" };
    say(&format!("    {verdict} in {}", human(started.elapsed())));
    outcome
}

/// One line that belongs to no step.
pub(crate) fn note(text: impl Display) {
    say(&format!("{} {text}", bold("==>")));
}

/// The last words before a non-zero exit: what failed, then each cause.
pub(crate) fn failure(error: &anyhow::Error) {
    say(&format!("{} {error}", bold("error:")));
    for cause in error.chain().skip(1) {
        say(&format!("  because {cause}"));
    }
}

/// Writes a line whole: wrangler shows what comes in pieces as pieces.
pub(crate) fn say(line: &str) {
    let whole = format!("{line}\n");
    eprint!("{whole}");
}

/// `0.4 s`, `12 s`, `3 min 05 s`: as exact as a reader needs.
pub(crate) fn human(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 10..100 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

/// Whether a person watches, rather than a log.
pub(crate) fn on_a_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Emphasis where a terminal shows it, plain text in a log.
pub(crate) fn bold(text: &str) -> String {
    if on_a_terminal() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(human(Duration::from_millis(420)), "0.4 s");
        assert_eq!(human(Duration::from_secs(12)), "12 s");
        assert_eq!(human(Duration::from_secs(185)), "3 min 05 s");
    }
}
