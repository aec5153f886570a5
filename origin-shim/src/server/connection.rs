//! One connection: which protocol is spoken over it, and for how long.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tidegate_core::Scheme;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

use super::capacity::{Capacity, Held};
use crate::body::Body;
use crate::client::Client;
use crate::gate::Gate;

/// A client must send a whole request head within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What the connections of one listener have in common in one thread.
pub(super) struct Door {
    pub(super) gate: Arc<Gate>,
    pub(super) capacity: Arc<Capacity>,
    pub(super) scheme: Scheme,
    /// Whether connections should come to their end.
    pub(super) leaving: watch::Receiver<bool>,
}

/// Serves what a client sends over TCP. A connection that breaks off is its client's business.
pub(super) async fn tcp(stream: TcpStream, client: Client, door: Arc<Door>, _held: Held) {
    let _ = speak_http1(stream, client, &door).await;
}

/// The same over a socket in the file system.
pub(super) async fn unix(stream: UnixStream, client: Client, door: Arc<Door>, _held: Held) {
    let _ = speak_http1(stream, client, &door).await;
}

async fn speak_http1<S>(stream: S, client: Client, door: &Door) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (request, gate) = (request.map(Body::passing), Arc::clone(&door.gate));
        async move { Ok::<_, Infallible>(gate.handle(request, client).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut leaving = door.leaving.clone();
    tokio::select! {
        done = &mut connection => return done,
        _ = leaving.wait_for(|leaving| *leaving) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}
