//! One connection: which protocol is spoken over it, and for how long.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::capacity::{Capacity, Held};
use super::http2;
use super::tls::{ALPN_HTTP2, Tls};
use crate::client::Client;
use crate::gate::Gate;
use crate::http1;

/// A client must have sent its first request's whole head this long after it has connected.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A client must be done with its TLS handshake within this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that has just connected gets this long to ask although nobody is accepted any more.
const GRACE: Duration = Duration::from_secs(1);

/// What the connections of one listener have in common in one thread.
pub(super) struct Door {
    pub(super) gate: Arc<Gate>,
    pub(super) capacity: Arc<Capacity>,
    /// By what connections begin with a handshake.
    pub(super) tls: Option<Arc<Tls>>,
    /// Whether connections should come to their end.
    pub(super) leaving: watch::Receiver<bool>,
}

/// Ends when connections should come to their end.
pub(super) async fn told_to_leave(leaving: &watch::Receiver<bool>) {
    let mut leaving = leaving.clone();
    // Whoever could tell is gone: then, too.
    let _ = leaving.wait_for(|leaving| *leaving).await;
}

/// Serves what a client sends over TCP. A connection that breaks off is its client's business.
pub(super) async fn tcp(stream: TcpStream, client: Client, door: Arc<Door>, _held: Held) {
    let connected = Instant::now();
    let mut begin = [0; http2::BEGIN.len()];
    match first(stream.peek(&mut begin), connected, &door).await {
        Some(count) if begin[..count] == http2::BEGIN => {
            let _ = Box::pin(http2::serve(stream, client, connected, &door)).await;
        }
        Some(_) => speak_http1(stream, client, connected, &door).await,
        None => {}
    }
}

/// The same over a socket in the file system.
pub(super) async fn unix(stream: UnixStream, client: Client, door: Arc<Door>, _held: Held) {
    let connected = Instant::now();
    let mut begin = [0; http2::BEGIN.len()];
    let peek = stream.async_io(Interest::READABLE, || {
        let (_, count) = rustix::net::recv(&stream, &mut begin, RecvFlags::PEEK)?;
        Ok(count)
    });
    match first(peek, connected, &door).await {
        Some(count) if begin[..count] == http2::BEGIN => {
            let _ = Box::pin(http2::serve(stream, client, connected, &door)).await;
        }
        Some(_) => speak_http1(stream, client, connected, &door).await,
        None => {}
    }
}

/// The same behind a TLS handshake, in which the client says what it will speak (ALPN).
pub(super) async fn tls(stream: TcpStream, client: Client, door: Arc<Door>, _held: Held) {
    // There is no listener with TLS without certificates.
    let Some(acceptor) = door.tls.as_ref().and_then(|tls| tls.acceptor()) else { return };
    let connected = Instant::now();
    let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream));
    let Ok(Ok(mut stream)) = Box::pin(handshake).await else { return };
    if stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2) {
        let _ = Box::pin(http2::serve(stream, client, connected, &door)).await;
        return;
    }
    // The request may have come with the end of the handshake.
    let read = stream.get_mut().1.process_new_packets();
    let has_begun = read.is_ok_and(|read| read.plaintext_bytes_to_read() > 0);
    if has_begun || first(stream.get_ref().0.peek(&mut [0]), connected, &door).await.is_some() {
        Box::pin(speak_http1(stream, client, connected, &door)).await;
    }
}

/// How many bytes a look at what the client sends first has found; `None` if it sends nothing.
async fn first(
    peek: impl Future<Output = io::Result<usize>>,
    connected: Instant,
    door: &Door,
) -> Option<usize> {
    let mut peek = pin!(tokio::time::timeout_at(connected + HEAD_TIMEOUT, peek));
    let peeked = tokio::select! {
        peeked = &mut peek => peeked,
        // The request may be on its way.
        () = told_to_leave(&door.leaving) => {
            tokio::time::timeout(GRACE, peek).await.ok()?
        }
    };
    peeked.ok()?.ok().filter(|count| *count > 0)
}

async fn speak_http1<S>(stream: S, client: Client, connected: Instant, door: &Door)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (gate, waited) = (Arc::clone(&door.gate), connected.elapsed());
    http1::serve(stream, client, gate, waited, door.leaving.clone()).await;
}
