//! A thread: accepts connections until it is told to stop, and lets them finish.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tidegate_core::Scheme;
use tidegate_core::policy::Listen;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::capacity::Capacity;
use super::connection::{self, Door};
use super::stop::Stop;
use super::supervisor::Pulse;
use super::tls::Tls;
use crate::client::Client;
use crate::gate::{Gate, Shared};
use crate::origin::Origins;

/// Connections get this long to finish what they are at (P7).
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long nothing is accepted when the system has no room for another connection: until some
/// are closed, and not so short that waiting takes a core.
const PAUSE: Duration = Duration::from_millis(50);
/// More than wait in any queue.
const QUEUE_MAX: usize = 8192;

/// What a thread needs.
pub(super) struct Thread {
    pub(super) sockets: Vec<(Listen, Socket)>,
    pub(super) shared: Arc<Shared>,
    pub(super) capacity: Arc<Capacity>,
    pub(super) tls: Arc<Tls>,
    pub(super) pulse: Option<Pulse>,
    pub(super) stop: watch::Receiver<Stop>,
}

enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Thread {
    /// Serves until told to stop, and then until all connections are done, or 30 s.
    pub(super) async fn serve(self) -> io::Result<()> {
        let gate = Arc::new(Gate::new(self.shared, Origins::new()));
        let (leave, leaving) = watch::channel(false);
        if let Some(pulse) = self.pulse {
            tokio::spawn(pulse.beat());
        }
        let mut accepting = JoinSet::new();
        for (listen, socket) in self.sockets {
            let (tls, acceptor) = (listen.has_tls(), Acceptor::new(&listen, socket)?);
            let door = Door {
                gate: Arc::clone(&gate),
                capacity: Arc::clone(&self.capacity),
                tls: tls.then(|| Arc::clone(&self.tls)),
                leaving: leaving.clone(),
            };
            accepting.spawn(accept(acceptor, door, self.stop.clone()));
        }
        drop(leaving);
        while accepting.join_next().await.is_some() {}
        // Each connection has a receiver, and drops it when it is done.
        leave.send_replace(true);
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, leave.closed()).await;
        Ok(())
    }
}

async fn accept(acceptor: Acceptor, door: Door, mut stop: watch::Receiver<Stop>) {
    let door = Arc::new(door);
    let stopped = async move { stop.wait_for(|stop| stop.is_told()).await.map(|stop| *stop) };
    let mut stopped = pin!(stopped);
    let told = loop {
        tokio::select! {
            told = &mut stopped => break told,
            accepted = acceptor.accept() => match accepted {
                Ok(accepted) => accepted.serve(&door),
                Err(error) => rest(&error, &door.capacity).await,
            },
        }
    };
    // Who waits in the queue has connected: it is served, here if nobody else accepts from it.
    if !matches!(told, Ok(Stop::HandedOver)) {
        let mut queue = (0..QUEUE_MAX).map_while(|_| acceptor.waiting());
        queue.by_ref().for_each(|accepted| accepted.serve(&door));
    }
}

/// What to do about an error: nothing if it is the one connection's, else wait until it may be
/// better.
async fn rest(error: &io::Error, capacity: &Capacity) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        return;
    }
    let held = capacity.held();
    capacity.complain(format_args!("cannot accept connections beside {held} others: {error}"));
    tokio::time::sleep(PAUSE).await;
}

/// A connection that nobody has read from yet.
enum Accepted {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

impl Accepted {
    fn serve(self, door: &Arc<Door>) {
        let (held, door) = (door.capacity.hold(), Arc::clone(door));
        match (self, held) {
            (Self::Tcp(stream, ip), Some(held)) => {
                let ip = Some(ip);
                match door.tls.is_some() {
                    true => {
                        let client = Client { ip, scheme: Scheme::Https };
                        tokio::spawn(connection::tls(stream, client, door, held));
                    }
                    false => {
                        let client = Client { ip, scheme: Scheme::Http };
                        tokio::spawn(connection::tcp(stream, client, door, held));
                    }
                }
            }
            (Self::Unix(stream), Some(held)) => {
                let client = Client { ip: None, scheme: Scheme::Http };
                tokio::spawn(connection::unix(stream, client, door, held));
            }
            (other, None) => {
                let most = door.capacity.most();
                door.capacity.complain(format_args!(
                    "{most} connections are held, which is all there is room for: others get 503"
                ));
                match other {
                    // Who waits for a handshake would not understand.
                    Self::Tcp(..) if door.tls.is_some() => {}
                    Self::Tcp(stream, _) => {
                        tokio::spawn(async move { door.capacity.refuse(stream).await });
                    }
                    Self::Unix(stream) => {
                        tokio::spawn(async move { door.capacity.refuse(stream).await });
                    }
                }
            }
        }
    }
}

impl Acceptor {
    fn new(listen: &Listen, socket: Socket) -> io::Result<Self> {
        match listen {
            Listen::Tcp { .. } => TcpListener::from_std(socket.into()).map(Self::Tcp),
            Listen::Unix { .. } => UnixListener::from_std(socket.into()).map(Self::Unix),
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, peer.ip()))
            }
            Self::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
        }
    }

    /// The next of the queue, without waiting for one.
    fn waiting(&self) -> Option<Accepted> {
        let socket = match self {
            Self::Tcp(listener) => SockRef::from(listener),
            Self::Unix(listener) => SockRef::from(listener),
        };
        let (stream, peer) = socket.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        match self {
            Self::Tcp(_) => {
                let stream = TcpStream::from_std(stream.into()).ok()?;
                Some(Accepted::Tcp(stream, peer.as_socket()?.ip()))
            }
            Self::Unix(_) => UnixStream::from_std(stream.into()).ok().map(Accepted::Unix),
        }
    }
}
