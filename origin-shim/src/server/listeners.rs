//! The sockets that clients connect to.
//!
//! An address has as many as there are threads, on one port (`SO_REUSEPORT`): each thread accepts
//! from its own, so that a new connection wakes one of them. What there is only one of, a socket in
//! the file system or one that was passed to this process, is shared by all threads.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::Mode;
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use tidegate_core::policy::Listen;

use super::inherited::Inherited;

/// Connections that wait to be accepted, for each socket; the kernel may allow fewer
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;
/// A peer that is silent for so long is asked by the kernel whether it is there.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new().with_time(std::time::Duration::from_secs(60));

/// One place that is listened at.
#[derive(Debug)]
pub(super) struct Listener {
    listen: Listen,
    sockets: Vec<Socket>,
    /// The file of the socket is this process's to remove.
    owns_file: bool,
}

/// Why nothing can be listened at a place.
#[derive(Debug)]
pub struct ListenError {
    listen: Listen,
    error: io::Error,
}

impl Listener {
    /// Sockets for `threads` that accept at `listen`: those that were passed, or new ones. With
    /// `v6_only`, an address of IPv6 leaves IPv4 to others.
    pub(super) fn bind(
        listen: &Listen,
        inherited: &mut Inherited,
        threads: usize,
        v6_only: bool,
    ) -> Result<Self, ListenError> {
        let passed = inherited.take(listen);
        let bound = match passed.is_empty() {
            false => Self::of_passed(listen, passed),
            true => Self::make(listen, threads, v6_only),
        };
        bound.map_err(|error| ListenError { listen: listen.clone(), error })
    }

    fn of_passed(listen: &Listen, sockets: Vec<Socket>) -> io::Result<Self> {
        for socket in &sockets {
            socket.set_nonblocking(true)?;
            if !socket.is_listener()? {
                socket.listen(BACKLOG)?;
            }
            if matches!(listen, Listen::Tcp { .. }) {
                set_for_clients(socket)?;
            }
        }
        let listen = actual(listen, &sockets)?;
        Ok(Self { listen, sockets, owns_file: false })
    }

    fn make(listen: &Listen, threads: usize, v6_only: bool) -> io::Result<Self> {
        let (sockets, owns_file) = match listen {
            Listen::Tcp { address, .. } => {
                // Without SO_REUSEPORT first: two processes must not share a port unawares.
                drop(TcpListener::bind(address)?);
                let first = tcp(&(*address).into(), v6_only)?;
                let address = first.local_addr()?;
                let others = (1..threads).map(|_| tcp(&address, v6_only));
                (std::iter::once(Ok(first)).chain(others).collect::<io::Result<_>>()?, false)
            }
            Listen::Unix { path, mode } => (vec![unix(Path::new(path), *mode)?], true),
        };
        Ok(Self { listen: actual(listen, &sockets)?, sockets, owns_file })
    }

    /// Where it listens, with the port that was free.
    pub(super) const fn listen(&self) -> &Listen {
        &self.listen
    }

    /// All its sockets.
    pub(super) fn sockets(&self) -> &[Socket] {
        &self.sockets
    }

    /// Descriptors of the sockets that thread number `at` of `threads` accepts from: each socket
    /// has a thread, and each thread a socket.
    pub(super) fn of_thread(&self, at: usize, threads: usize) -> io::Result<Vec<Socket>> {
        let count = self.sockets.len();
        let is_mine = |socket: usize| match count < threads {
            true => socket == at % count,
            false => socket % threads == at,
        };
        let mine = self.sockets.iter().enumerate().filter(|(socket, _)| is_mine(*socket));
        mine.map(|(_, socket)| socket.try_clone()).collect()
    }

    /// Takes the socket out of the file system, so that whoever connects next is refused at once,
    /// unless somebody else put it there or has it by now.
    pub(super) fn remove_file(&self) {
        if let Listen::Unix { path, .. } = &self.listen
            && self.owns_file
        {
            // Somebody may have removed it before.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Where `sockets` that were meant for `listen` listen: the port was perhaps any free one.
fn actual(listen: &Listen, sockets: &[Socket]) -> io::Result<Listen> {
    let address = sockets.first().map(Socket::local_addr).transpose()?;
    Ok(match (listen, address.and_then(|address| address.as_socket())) {
        (Listen::Tcp { tls, .. }, Some(address)) => Listen::Tcp { address, tls: *tls },
        (listen, _) => listen.clone(),
    })
}

fn tcp(address: &SockAddr, v6_only: bool) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, Some(Protocol::TCP))?;
    if address.domain() == Domain::IPV6 {
        socket.set_only_v6(v6_only)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(address)?;
    set_for_clients(&socket)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// What is set once, since accepted sockets have it from this one (tcp(7)).
fn set_for_clients(socket: &Socket) -> io::Result<()> {
    // Answers are written whole; waiting for more to send only delays them.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)
}

fn unix(path: &Path, mode: u32) -> io::Result<Socket> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let address = SockAddr::unix(path)?;
    // The file must not be there for a moment with other permissions. No thread runs yet that
    // could make another file.
    let others = rustix::process::umask(Mode::from_raw_mode(0o777 & !mode));
    let bound = socket.bind(&address);
    rustix::process::umask(others);
    bound?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Removes the socket of a process that is gone; nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && UnixStream::connect(path).is_err_and(refused) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

impl ListenError {
    /// What to do about it.
    fn hint(&self) -> &'static str {
        match (self.error.kind(), &self.listen) {
            (io::ErrorKind::AddrInUse, Listen::Tcp { .. }) => {
                "stop what listens there, or choose another address with --listen"
            }
            (io::ErrorKind::AddrInUse, Listen::Unix { .. }) => {
                "stop what listens there, or remove the file if it is no socket"
            }
            (io::ErrorKind::AddrNotAvailable, _) => {
                "choose an address that this machine has, or 0.0.0.0 or [::] for all that it has"
            }
            (io::ErrorKind::PermissionDenied, Listen::Tcp { .. }) => {
                "ports below 1024 want CAP_NET_BIND_SERVICE (AmbientCapabilities in a unit of \
                 systemd), or a socket unit that passes them"
            }
            (io::ErrorKind::PermissionDenied, Listen::Unix { .. }) => {
                "this user must be able to write to the folder"
            }
            (io::ErrorKind::NotFound, _) => {
                "make the folder first, as `RuntimeDirectory=tidegate` in a unit of systemd does"
            }
            _ => "choose another address with --listen",
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}\n= hint: {}", self.listen, self.error, self.hint())
    }
}

impl std::error::Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of `count` sockets each of `threads` accepts from.
    fn shares(count: usize, threads: usize) -> Vec<Vec<usize>> {
        let any = SockAddr::from(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
        let any: Vec<Socket> = (0..count).map(|_| tcp(&any, false).unwrap()).collect();
        let ports: Vec<u16> = any.iter().map(port).collect();
        let listen = "127.0.0.1:0".parse().unwrap();
        let listener = Listener { listen, sockets: any, owns_file: false };
        let number =
            |socket: Socket| ports.iter().position(|known| *known == port(&socket)).unwrap();
        let of_thread = |at| listener.of_thread(at, threads).unwrap().into_iter().map(number);
        (0..threads).map(|at| of_thread(at).collect()).collect()
    }

    fn port(socket: &Socket) -> u16 {
        socket.local_addr().unwrap().as_socket().unwrap().port()
    }

    #[test]
    fn each_socket_has_a_thread_and_each_thread_a_socket() {
        assert_eq!(shares(3, 3), [[0], [1], [2]]);
        assert_eq!(shares(1, 3), [[0], [0], [0]], "a passed one is shared");
        assert_eq!(shares(2, 3), [[0], [1], [0]]);
        assert_eq!(shares(3, 2), [vec![0, 2], vec![1]], "fewer cores than before");
    }
}
