//! The admin listener: an HTTP API on a socket of its own, by which a running shim is operated,
//! and a page for people who do that.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /` | the dashboard, a page |
//! | `GET /playground` | what a policy would do with a request, a page |
//! | `GET /status` | what runs, since when, under which policy and overrides |
//! | `GET /policy` | the text of the policy file that is in force |
//! | `GET /metrics` | what is counted, in the text format of Prometheus |
//! | `GET /stats` | the same as JSON, with the hottest URLs and the latest misses |
//! | `GET /events` | the last hour, and the same each second, as server-sent events |
//! | `POST /reload` | reads the policy file again |
//! | `POST /purge` | voids what is stored: `{"tags": ["team:42"]}`, `keys`, `prefixes`, or `everything` |
//! | `GET /limits`, `GET /limits/NAME` | what limits say, and what the policy file says |
//! | `PUT /limits/NAME` | overrides a limit: `{"limit": "200 per 60s", "for": "1h"}` |
//! | `DELETE /limits/NAME` | the policy's word counts again |
//! | `GET /limits/NAME/blocked` | who is blocked under it |
//! | `DELETE /limits/NAME/blocked/CLIENT` | forgets what a client has used up |
//! | `GET /maintenance` | whether it is on |
//! | `PUT /maintenance` | switches it on: `{"message": "Back at six.", "retry_after": "10m"}` |
//! | `DELETE /maintenance` | switches it off |
//!
//! Bodies are JSON, and so are answers; errors are problem details (RFC 9457). It runs on the
//! main thread, so that no request of a client ever waits for it.

mod answer;
mod body;
mod dashboard;
mod events;
mod guard;
mod limits;
mod maintenance;
mod playground;
mod policy;
mod purge;
mod reload;
mod router;
mod status;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::Socket;
use tidegate_core::policy::{Admin, Listen};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::control::Control;
use crate::server::Inherited;
use guard::Guard;

pub use answer::VERSION;
pub use guard::TOKEN_MIN;

/// Connections at once; who operates needs few, and who floods gets no more.
const CONNECTIONS_MAX: usize = 64;
/// A client must send a whole request head within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest request head, in bytes.
const HEAD_MAX: usize = 16 * 1024;

/// A bound admin listener that does not accept yet.
#[derive(Debug)]
pub struct AdminListener {
    listener: std::net::TcpListener,
    address: SocketAddr,
    guard: Guard,
}

/// Why there is no admin listener.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdminError {
    /// The variable with the token is not set.
    Unset(String),
    /// The token is shorter than [`TOKEN_MIN`].
    Short(String),
    /// The address cannot be listened on.
    Bind(SocketAddr, io::Error),
}

impl AdminListener {
    /// Binds it as the policy says, or takes the socket that was passed for it; `environment`
    /// answers for the token.
    pub fn bind(
        rule: &Admin,
        inherited: &mut Inherited,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, AdminError> {
        let guard = Guard::new(rule, environment)?;
        let passed = inherited.take(&Listen::Tcp { address: rule.listen, tls: false });
        let listener = match passed.into_iter().next() {
            Some(socket) => Ok(socket.into()),
            None => std::net::TcpListener::bind(rule.listen),
        };
        let bound = listener.and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) = bound.map_err(|error| AdminError::Bind(rule.listen, error))?;
        Ok(Self { listener, address, guard })
    }

    /// Its socket, for whoever takes over.
    pub(crate) fn socket(&self) -> io::Result<Socket> {
        self.listener.try_clone().map(Socket::from)
    }

    /// The address that it is reached at.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests, for ever.
    pub async fn serve(self, control: Arc<Control>) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let guard = Arc::new(self.guard);
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return Ok(()) };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let connection = connection(stream, peer, &guard, &control);
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                // Out of file descriptors, or a client gone already: others may do better.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    guard: &Arc<Guard>,
    control: &Arc<Control>,
) -> impl Future<Output = ()> + use<> {
    let (guard, control) = (Arc::clone(guard), Arc::clone(control));
    let service = service_fn(move |request| {
        let (guard, control) = (Arc::clone(&guard), Arc::clone(&control));
        async move { Ok::<_, Infallible>(router::answer(&guard, &control, peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // A connection that breaks off is its client's business.
    async move { drop(connection.await) }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset(name) => write!(
                f,
                "the admin token `{name}` is not set\n= hint: put it into the environment of this \
                 process, or leave `token` out of `[admin]`"
            ),
            Self::Short(name) => write!(
                f,
                "the admin token `{name}` is shorter than {TOKEN_MIN} bytes\n= hint: make one at \
                 random, as by `openssl rand -hex 16`"
            ),
            Self::Bind(address, error) => write!(
                f,
                "cannot listen on {address} for `[admin]`: {error}\n= hint: stop what listens \
                 there, or choose another `listen` in `[admin]`"
            ),
        }
    }
}

impl std::error::Error for AdminError {}
