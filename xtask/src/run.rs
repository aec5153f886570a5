//! Running other programs: cargo as a person would call it, output shown,
//! kept or boiled down, and a clear sentence when a program is missing.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::report;
use crate::workspace::Workspace;

/// The cargo that runs xtask, without what `cargo run` told xtask about itself:
/// build scripts see the same environment however a build was started, so that
/// no build makes another one stale.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace.root()).env("CARGO_TARGET_DIR", workspace.target());
    forget_cargo_run(&mut command);
    command
}

/// Takes out the variables that `cargo run` sets for the package it runs.
pub(crate) fn forget_cargo_run(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let about_xtask = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if about_xtask {
            command.env_remove(name);
        }
    }
}

/// Runs to the end with the terminal as it is; anything but success is an error.
pub(crate) fn visibly(mut command: Command) -> Result<()> {
    let status = spawn(&mut command)?.wait()?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(&command));
    }
    Ok(())
}

/// What a program said, and whether it succeeded.
pub(crate) struct Heard {
    /// Standard output and standard error, in the order they were written.
    pub(crate) text: String,
    /// Whether the program ended with success.
    pub(crate) success: bool,
}

/// Runs to the end, handing each line of output to `show` as it comes.
pub(crate) fn line_by_line(mut command: Command, mut show: impl FnMut(&str)) -> Result<Heard> {
    let (reader, writer) = io::pipe().context("could not make a pipe")?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = spawn(&mut command)?;
    // The command still holds the writing end; with it open, reading never ends.
    drop(command);
    let mut text = String::new();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let decoded = String::from_utf8_lossy(&line);
        show(decoded.trim_end());
        text.push_str(&decoded);
        line.clear();
    }
    Ok(Heard { text, success: child.wait()?.success() })
}

/// Runs to the end, showing the output and keeping it.
pub(crate) fn shown_and_kept(command: Command) -> Result<Heard> {
    line_by_line(command, |line| println!("{line}"))
}

/// Runs something long that interests nobody unless it fails: the output goes
/// to a file, the latest line of it to the terminal, the end of it to an error.
pub(crate) fn in_the_background(command: Command, log: &Path) -> Result<()> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
    }
    let mut file =
        File::create(log).with_context(|| format!("could not write {}", log.display()))?;
    let name = shown(&command);
    let mut pulse = Pulse::start();
    let heard = line_by_line(command, |line| {
        // A full disk shows in the program's own failure; the log is a courtesy.
        let _ = writeln!(file, "{line}");
        pulse.beat(line);
    })?;
    pulse.stop();
    if heard.success {
        return Ok(());
    }
    Err(anyhow!("{}", tail(&heard.text, 15))
        .context(format!("`{name}` failed; its whole output is in {}", log.display())))
}

/// What a quick question to a program answers, if it answers at all.
pub(crate) fn answer(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The last lines of an output.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Starts a program; a missing one is named together with where to get it.
pub(crate) fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        if error.kind() == io::ErrorKind::NotFound {
            anyhow!("`{program}` was not found: {}", remedy(&program))
        } else {
            anyhow!(error).context(format!("`{program}` could not be started"))
        }
    })
}

/// Where a missing program comes from.
fn remedy(program: &str) -> &'static str {
    match program {
        "npm" => "install Node.js with npm (https://nodejs.org, or your system's `npm` package)",
        "rustup" | "rustc" | "cargo" => "install Rust with rustup (https://rustup.rs)",
        _ => "`cargo xtask tools` puts every tool in its place",
    }
}

/// A command line as a person would type it, without the folder of the program.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Shows that something is still going on: on a terminal one line that changes,
/// in a log one line every half minute.
struct Pulse {
    started: Instant,
    spoken: Instant,
    terminal: bool,
}

impl Pulse {
    const SILENCE: Duration = Duration::from_secs(30);

    fn start() -> Self {
        let now = Instant::now();
        Self { started: now, spoken: now, terminal: io::stderr().is_terminal() }
    }

    fn beat(&mut self, line: &str) {
        let line: String = line.trim().chars().take(60).collect();
        let elapsed = report::human(self.started.elapsed());
        if self.terminal {
            eprint!("\r\x1b[2K    {elapsed}: {line}");
        } else if self.spoken.elapsed() >= Self::SILENCE {
            self.spoken = Instant::now();
            report::say(&format!("    {elapsed}: {line}"));
        }
    }

    fn stop(&self) {
        if self.terminal {
            eprint!("\r\x1b[2K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_remedy() {
        let error = spawn(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`no-such-program-anywhere` was not found: `cargo xtask tools` puts every tool in its place"
        );
    }

    #[test]
    fn output_keeps_the_order_of_both_streams() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; echo three; exit 3"]);
        let mut lines = Vec::new();
        let heard = line_by_line(command, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["one", "two", "three"]);
        assert!(!heard.success);
    }

    #[test]
    fn the_tail_of_a_short_text_is_the_text() {
        assert_eq!(tail("a\nb", 5), "a\nb");
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
    }
}
