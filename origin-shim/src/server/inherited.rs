//! Sockets that whoever started this process opened for it: systemd, by a socket unit, or the
//! process that this one takes over from. Both pass descriptors from number 3 on, as many as
//! `LISTEN_FDS` says (sd_listen_fds(3)).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;

use listenfd::ListenFd;
use socket2::{SockRef, Socket};
use tidegate_core::policy::Listen;

/// What was passed and is not yet taken.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Socket>,
    predecessor: Option<UnixDatagram>,
}

/// A descriptor was passed that nobody can connect to.
#[derive(Debug)]
pub struct NoListener {
    number: usize,
    error: io::Error,
}

impl Inherited {
    /// What the environment says that was passed. Ask once, before there are threads: it is taken
    /// out of the environment.
    pub fn from_environment() -> Result<Self, NoListener> {
        let mut passed = ListenFd::from_env();
        let mut inherited = Self::default();
        for at in 0..passed.len() {
            if let Ok(Some(socket)) = passed.take_tcp_listener(at) {
                inherited.sockets.push(socket.into());
            } else if let Ok(Some(socket)) = passed.take_unix_listener(at) {
                inherited.sockets.push(socket.into());
            } else {
                let socket = passed.take_unix_datagram(at);
                let connected = socket.and_then(|socket| {
                    let socket = socket.ok_or(io::ErrorKind::NotFound)?;
                    socket.peer_addr().map(|_| socket)
                });
                let wrong = |error| NoListener { number: at + 3, error };
                inherited.predecessor = Some(connected.map_err(wrong)?);
            }
        }
        Ok(inherited)
    }

    /// Where to say that this process serves: to the one that it takes over from.
    pub(super) fn take_predecessor(&mut self) -> Option<UnixDatagram> {
        self.predecessor.take()
    }

    /// Takes what accepts at `listen`; where any free port will do, what accepts at one port of
    /// that address.
    pub(crate) fn take(&mut self, listen: &Listen) -> Vec<Socket> {
        let mut wanted = listen.clone();
        let mut taken = Vec::new();
        let mut at = 0;
        while let Some(socket) = self.sockets.get(at) {
            if is_at(socket, &wanted) {
                if let (Listen::Tcp { address, .. }, Some(actual)) = (&mut wanted, address(socket))
                {
                    *address = actual;
                }
                taken.push(self.sockets.remove(at));
            } else {
                at += 1;
            }
        }
        taken
    }

    /// Where all that is not yet taken accepts, each place once, as one would write it in a policy.
    pub fn places(&self) -> Vec<Listen> {
        let mut places: Vec<Listen> = Vec::new();
        for socket in &self.sockets {
            let place = match (address(socket), path(socket)) {
                (Some(address), _) => Listen::Tcp { address, tls: false },
                // The file has its permissions already.
                (None, Some(path)) => Listen::Unix { path, mode: 0o660 },
                (None, None) => continue,
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }
}

fn is_at(socket: &Socket, listen: &Listen) -> bool {
    match listen {
        Listen::Tcp { address: wanted, .. } => address(socket).is_some_and(|address| {
            address == *wanted || wanted.port() == 0 && address.ip() == wanted.ip()
        }),
        Listen::Unix { path: wanted, .. } => path(socket).as_deref() == Some(wanted),
    }
}

fn address(socket: &Socket) -> Option<SocketAddr> {
    SockRef::from(socket).local_addr().ok()?.as_socket()
}

fn path(socket: &Socket) -> Option<String> {
    let address = SockRef::from(socket).local_addr().ok()?;
    Some(address.as_pathname()?.to_str()?.to_owned())
}

impl fmt::Display for NoListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot listen with the passed descriptor {}: {}\n= hint: pass stream sockets \
             (`ListenStream=`) without `Accept=yes`",
            self.number, self.error
        )
    }
}

impl std::error::Error for NoListener {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn passed(sockets: &[&TcpListener]) -> Inherited {
        let sockets = sockets.iter().map(|socket| socket.try_clone().unwrap().into()).collect();
        Inherited { sockets, predecessor: None }
    }

    #[test]
    fn a_place_takes_all_that_accept_there_and_nothing_else() {
        let [one, two] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let place = |socket: &TcpListener| Listen::Tcp {
            address: socket.local_addr().unwrap(),
            tls: false,
        };
        let mut inherited = passed(&[&one, &two, &one]);
        assert_eq!(inherited.places(), [place(&one), place(&two)]);
        assert!(inherited.take(&"[::1]:0".parse().unwrap()).is_empty());
        assert!(inherited.take(&"unix:/run/x.sock".parse().unwrap()).is_empty());
        assert_eq!(inherited.take(&place(&one)).len(), 2);
        assert_eq!(inherited.places(), [place(&two)]);
        assert!(inherited.take(&place(&one)).is_empty());
    }

    #[test]
    fn any_free_port_is_one_port() {
        let [one, two] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let mut inherited = passed(&[&one, &two, &one]);
        let any = "127.0.0.1:0".parse().unwrap();
        assert_eq!(inherited.take(&any).len(), 2, "both of the first");
        assert_eq!(inherited.take(&any).len(), 1);
        assert!(inherited.take(&any).is_empty());
    }
}
