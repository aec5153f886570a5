//! The built programs as processes: found or built, watched with a deadline,
//! ended with the test.

mod executable;

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

pub use self::executable::{cargo, tidegate};

/// How long a program may take to say something or to end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running program whose output is collected; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// All it wrote to standard output that had not been read before.
    pub stdout: String,
    /// All it wrote to standard error.
    pub stderr: String,
}

impl Process {
    /// Starts a program.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = Output::of(child.stdout.take().expect("a piped stdout"));
        let stderr = Output::of(child.stderr.take().expect("a piped stderr"));
        Self { name, child, stdout, stderr }
    }

    /// The next line on standard output.
    ///
    /// # Panics
    /// If the program ends or keeps silent; the message has what it wrote to
    /// standard error.
    #[track_caller]
    #[must_use]
    pub fn next_line(&mut self) -> String {
        match self.stdout.line(Instant::now() + PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                self.kill();
                let stderr = self.stderr.rest(Instant::now() + PATIENCE);
                panic!("{} said nothing for {PATIENCE:?}; stderr: {stderr:?}", self.name)
            }
            Err(RecvTimeoutError::Disconnected) => {
                let stderr = self.stderr.rest(Instant::now() + PATIENCE);
                panic!("{} ended early; stderr: {stderr:?}", self.name)
            }
        }
    }

    /// The next line on standard error.
    ///
    /// # Panics
    /// If the program ends or keeps silent.
    #[track_caller]
    #[must_use]
    pub fn next_error_line(&mut self) -> String {
        let line = self.stderr.line(Instant::now() + PATIENCE);
        line.unwrap_or_else(|why| panic!("{} said nothing on stderr: {why}", self.name))
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the program to end as Ctrl-C does.
    ///
    /// # Panics
    /// If `kill` cannot be run or refuses.
    #[cfg(unix)]
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends the program the signal of this name, without its `SIG`.
    ///
    /// # Panics
    /// If `kill` cannot be run or refuses.
    #[cfg(unix)]
    pub fn signal(&self, name: &str) {
        let (name, pid) = (format!("-{name}"), self.child.id().to_string());
        let sent = Command::new("kill").args([&name, &pid]).status().expect("the program `kill`");
        assert!(sent.success(), "kill {name} {pid}");
    }

    /// Asks the program to end, and waits until it has; kills it if it does not.
    #[cfg(unix)]
    pub fn end(&mut self) {
        self.interrupt();
        // Its output ends with it.
        let _ = self.stdout.rest(Instant::now() + PATIENCE);
        self.kill();
    }

    /// Waits for the program to end by itself.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    #[must_use]
    pub fn ended(self) -> Ended {
        self.ended_within(PATIENCE)
    }

    /// Waits so long for the program to end by itself.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    #[must_use]
    pub fn ended_within(mut self, patience: Duration) -> Ended {
        let deadline = Instant::now() + patience;
        let Some(stdout) = self.stdout.rest(deadline) else {
            panic!("{} still runs after {patience:?}", self.name)
        };
        let stderr = self.stderr.rest(deadline).unwrap_or_default();
        // Both pipes are closed: the program is gone or about to be.
        let status = self.child.wait().expect("a child to wait for");
        Ended { status, stdout, stderr }
    }

    /// Waits until nobody writes to its output any more: neither the program nor who has it from it.
    ///
    /// # Panics
    /// If somebody still does after so long.
    #[track_caller]
    pub fn end_of_output(&mut self, patience: Duration) {
        let rest = self.stdout.rest(Instant::now() + patience);
        assert!(rest.is_some(), "{} still runs after {patience:?}", self.name);
    }

    fn kill(&mut self) {
        // Either fails only if the program is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program to its end.
///
/// # Panics
/// If it cannot be started or does not end.
#[track_caller]
#[must_use]
pub fn run(program: impl AsRef<OsStr>, arguments: &[&str]) -> Ended {
    Process::start(Command::new(program).args(arguments)).ended()
}

/// The lines of a pipe, read by a thread so that the program never blocks and
/// the test can stop waiting.
#[derive(Debug)]
struct Output(Receiver<String>);

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(pipe).lines().map_while(Result::ok);
            // The test may have lost interest; the pipe is drained all the same.
            lines.for_each(|line| drop(sender.send(line)));
        });
        Self(receiver)
    }

    fn line(&self, deadline: Instant) -> Result<String, RecvTimeoutError> {
        self.0.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    }

    /// All that is still to come, if it comes to an end in time.
    fn rest(&self, deadline: Instant) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.line(deadline) {
                Ok(line) => text.extend([&line, "\n"]),
                Err(RecvTimeoutError::Disconnected) => return Some(text),
                Err(RecvTimeoutError::Timeout) => return None,
            }
        }
    }
}
