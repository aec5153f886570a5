//! Puts a new process into the place of this one, by SIGUSR2: the program is started anew, as it
//! lies on disk by then, with the same sockets, which are never closed. Once it serves, this one
//! accepts no more and finishes what runs.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use socket2::Socket;

/// The first descriptor that is passed (sd_listen_fds(3)).
const FIRST: i32 = 3;
/// A new process serves within this time, or it is ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a process says to the one that it takes over from.
const READY: &[u8] = b"READY=1";

/// What a new process gets.
#[derive(Debug)]
pub(super) struct Heritage {
    sockets: Vec<Socket>,
    /// Hold the numbers that descriptors have in a new process, so that nothing else is opened
    /// under them here. What tells whether a program could be started is, and would be covered.
    _held: Vec<File>,
}

/// Why no process takes over; this one goes on.
#[derive(Debug)]
pub(super) enum TakeoverError {
    /// It cannot be started.
    Start(OsString, io::Error),
    /// It ended before it served; it has said why by itself.
    Ended(ExitStatus),
    /// It does not serve within a minute.
    Silent,
}

impl Heritage {
    /// These sockets. Ask before anything is opened that will be closed again.
    pub(super) fn new(sockets: Vec<Socket>) -> io::Result<Self> {
        let last = FIRST + i32::try_from(sockets.len()).unwrap_or(i32::MAX - FIRST);
        let mut held = Vec::new();
        // The system gives the lowest number that is free.
        loop {
            let file = File::open("/dev/null")?;
            let number = file.as_raw_fd();
            held.push(file);
            if number > last {
                return Ok(Self { sockets, _held: held });
            }
        }
    }

    /// Starts a process with this heritage and waits until it serves. Returns its number. If this
    /// is given up, the process is ended.
    pub(super) async fn start_successor(&self) -> Result<u32, TakeoverError> {
        let mut arguments = std::env::args_os();
        let program = arguments.next().unwrap_or_else(|| "tidegate".into());
        let start = |error| TakeoverError::Start(program.clone(), error);
        let (ours, theirs) = UnixDatagram::pair().map_err(start)?;
        ours.set_nonblocking(true).map_err(start)?;
        let word = tokio::net::UnixDatagram::from_std(ours).map_err(start)?;
        let mut command = Command::new(&program);
        command.args(arguments);
        self.pass(theirs, &mut command).map_err(start)?;
        let mut command = tokio::process::Command::from(command);
        let mut process = command.kill_on_drop(true).spawn().map_err(start)?;
        drop(command);
        let mut said = [0; READY.len()];
        tokio::select! {
            ended = process.wait() => Err(ended.map_or_else(start, TakeoverError::Ended)),
            _ = word.recv(&mut said) => {
                let number = process.id().unwrap_or_default();
                // It goes on without this one.
                std::mem::forget(process);
                Ok(number)
            }
            () = tokio::time::sleep(PATIENCE) => Err(TakeoverError::Silent),
        }
    }

    /// Says what is passed, and passes it: the sockets, and last where to say that it serves.
    fn pass(&self, theirs: UnixDatagram, command: &mut Command) -> io::Result<()> {
        let sockets = self.sockets.iter().map(|socket| socket.try_clone().map(OwnedFd::from));
        let all = sockets.chain([Ok(theirs.into())]).collect::<io::Result<Vec<OwnedFd>>>()?;
        command.env("LISTEN_FDS", all.len().to_string());
        // Who was meant is this process.
        for name in ["LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
            command.env_remove(name);
        }
        let mapping = |(parent_fd, child_fd)| FdMapping { parent_fd, child_fd };
        let mappings = all.into_iter().zip(FIRST..).map(mapping).collect();
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        Ok(())
    }
}

/// Tells the process that this one takes over from that it may leave.
pub(super) fn tell(predecessor: &UnixDatagram) {
    // If it is gone, it has left.
    let _ = predecessor.send(READY);
}

impl fmt::Display for TakeoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(program, error) => {
                write!(f, "cannot start `{}`: {error}", program.display())
            }
            Self::Ended(status) => write!(f, "the new process ended before it served: {status}"),
            Self::Silent => write!(f, "the new process does not serve after {PATIENCE:?}"),
        }
    }
}

impl std::error::Error for TakeoverError {}
