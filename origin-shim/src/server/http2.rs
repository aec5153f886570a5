//! HTTP/2 (RFC 9113) with a client, within bounds.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tidegate_core::respond::Problem;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Door, HEAD_TIMEOUT};
use crate::body::Body;
use crate::client::Client;
use crate::http1::Malformed;

/// What a client without TLS sends first (RFC 9113 §3.4), as much as tells it from HTTP/1.
pub(super) const BEGIN: [u8; 4] = *b"PRI ";

/// Requests of one connection at a time.
const STREAMS: u32 = 128;
/// All fields of a request, as RFC 9113 §6.5.2 counts them, in bytes.
const HEAD_MAX: u32 = 64 * 1024;
/// Streams that a client has opened and reset before anybody has looked at them; one more ends the
/// connection (CVE-2023-44487).
const RESETS: usize = 20;
/// Streams that were reset because the client broke the rules; one more ends the connection
/// (CVE-2025-8671).
const FAULTS: usize = 256;
/// What a client may send of one body before somebody has read it, and of all bodies.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What is kept of one answer for a client that does not read.
const SEND_BUFFER: usize = 128 * 1024;
/// A client that sends nothing for so long is asked whether it is there, and has so long to say it.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A client that has never asked gets this long to do so once it is told to leave.
const GOODBYE: Duration = Duration::from_secs(5);
/// After a time without a request, the client is told to come by another connection.
const IDLE: Duration = Duration::from_secs(75);

/// Serves what a client asks over `stream` until it has no more to ask or is told to leave.
pub(super) async fn serve<S>(stream: S, client: Client, door: &Door) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asked = Arc::new(AtomicU64::new(0));
    let service = service_fn(|request: Request<Incoming>| {
        asked.fetch_add(1, Ordering::Relaxed);
        let (mut request, gate) = (request.map(Body::passing), Arc::clone(&door.gate));
        async move {
            if let Some(problem) = objection(&request) {
                return Ok::<_, Infallible>(gate.refuse(&problem));
            }
            join_cookies(request.headers_mut());
            Ok(gate.handle(request, client).await)
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_MAX)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(FAULTS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let (mut answered, mut patience) = (0, HEAD_TIMEOUT);
    loop {
        tokio::select! {
            done = &mut connection => return done,
            () = door.told_to_leave() => break,
            () = tokio::time::sleep(patience) => {}
        }
        let asked = asked.load(Ordering::Relaxed);
        if asked == answered {
            break;
        }
        (answered, patience) = (asked, IDLE);
    }
    connection.as_mut().graceful_shutdown();
    if asked.load(Ordering::Relaxed) == 0 {
        // What it may have on its way comes at once or not at all.
        return tokio::time::timeout(GOODBYE, connection).await.unwrap_or(Ok(()));
    }
    connection.await
}

/// What is wrong with a request that hyper lets pass.
fn objection<B>(request: &Request<B>) -> Option<Problem> {
    if request.method() == Method::CONNECT {
        return Some(Malformed::Connect.problem());
    }
    // Whoever is asked next reads Host where we have read `:authority` (RFC 9113 §8.3.1).
    let authority = request.uri().authority()?.as_str().as_bytes();
    let mut hosts = request.headers().get_all(HOST).iter();
    let differs = hosts.any(|host| !host.as_bytes().eq_ignore_ascii_case(authority));
    differs.then(|| Problem::bad_request("Host and :authority differ."))
}

/// Makes one line of what a client may send in several (RFC 9113 §8.2.3): keys are read from one,
/// and so HTTP/1.1 has it.
fn join_cookies(fields: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(whole) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        fields.insert(COOKIE, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_become_one_line() {
        let joined = |lines: &[&'static str]| {
            let mut fields = HeaderMap::new();
            for line in lines {
                fields.append(COOKIE, HeaderValue::from_static(line));
            }
            join_cookies(&mut fields);
            fields.get_all(COOKIE).iter().cloned().collect::<Vec<_>>()
        };
        assert_eq!(joined(&["a=1", "b=2", "c=3; d=4"]), ["a=1; b=2; c=3; d=4"]);
        assert_eq!(joined(&["a=1; b=2"]), ["a=1; b=2"]);
        assert!(joined(&[]).is_empty());
    }

    #[test]
    fn a_host_of_its_own_is_refused_and_an_echo_is_not() {
        let refused = |uri: &str, hosts: &[&str]| {
            let request = Request::get(uri);
            let request = hosts.iter().fold(request, |request, host| request.header(HOST, *host));
            objection(&request.body(()).unwrap()).is_some()
        };
        assert!(!refused("https://a.example/", &[]));
        assert!(!refused("https://a.example/", &["A.example"]));
        assert!(refused("https://a.example/", &["b.example"]));
        assert!(refused("https://a.example/", &["a.example", "b.example"]));
        assert!(!refused("/", &["a.example"]), "there is no :authority");
    }
}
