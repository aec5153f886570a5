//! HTTP/2 (RFC 9113) with a client, within bounds.

mod progress;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tidegate_core::respond::Problem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use super::connection::{Door, HEAD_TIMEOUT, told_to_leave};
use crate::body::Body;
use crate::client::Client;
use crate::gate::Gate;
use crate::http1::{Answering, Interim, Malformed};
use progress::{Progress, Watched};

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
const SEND_BUFFER: usize = 64 * 1024;
/// A client that sends nothing for so long is asked whether it is there, and has so long to say it.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A client that is told to leave must take a piece of an answer in this time, unless it waits for
/// one (P2).
const STALLED: Duration = Duration::from_secs(60);
/// A client that has never asked gets this long to do so once it is told to leave.
const GOODBYE: Duration = Duration::from_secs(5);
/// After a time without a request, the client is told to come by another connection.
const IDLE: Duration = Duration::from_secs(75);

/// Serves what a client asks over `stream` until it has no more to ask or is told to leave.
pub(super) async fn serve<S>(
    stream: S,
    client: Client,
    connected: Instant,
    door: &Door,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asker = Asker { gate: Arc::clone(&door.gate), client };
    serve_by(stream, Arc::new(asker), connected, door.leaving.clone()).await
}

/// A gate, and who is before it.
struct Asker {
    gate: Arc<Gate>,
    client: Client,
}

impl Answering for Asker {
    fn answer(
        &self,
        request: Request<Body>,
        _: Option<Interim>,
    ) -> impl Future<Output = Response<Body>> + Send {
        Arc::clone(&self.gate).handle(request, self.client)
    }

    fn refuse(&self, problem: &Problem) -> Response<Body> {
        self.gate.refuse(problem)
    }
}

/// The same with anything that answers, until `leaving` says `true` or its sender is gone.
async fn serve_by<S, A>(
    stream: S,
    answering: Arc<A>,
    connected: Instant,
    leaving: watch::Receiver<bool>,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Answering + Send + Sync + 'static,
{
    let progress = Arc::new(Progress::default());
    let service = service_fn(|request: Request<Incoming>| {
        let (progress, answering) = (Arc::clone(&progress), Arc::clone(&answering));
        let ours = progress.ask();
        async move {
            let mut request = request.map(Body::passing);
            let answer = match objection(&request) {
                Some(problem) => answering.refuse(&problem),
                None => {
                    join_cookies(request.headers_mut());
                    answering.answer(request, None).await
                }
            };
            drop(ours);
            Ok::<_, Infallible>(answer.map(|body| Watched::new(body, progress)))
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
    let (mut answered, mut patience) = (0, HEAD_TIMEOUT.saturating_sub(connected.elapsed()));
    loop {
        tokio::select! {
            done = &mut connection => return done,
            () = told_to_leave(&leaving) => break,
            () = tokio::time::sleep(patience) => {}
        }
        let asked = progress.asked();
        if asked == answered {
            break;
        }
        (answered, patience) = (asked, IDLE);
    }
    connection.as_mut().graceful_shutdown();
    // What a client that has never asked may have on its way comes at once or not at all.
    let patience = if progress.asked() == 0 { GOODBYE } else { STALLED };
    let mut moved = progress.moved();
    loop {
        tokio::select! {
            done = &mut connection => return done,
            () = tokio::time::sleep(patience) => {}
        }
        if progress.moved() == moved && !progress.is_ours() {
            return Ok(());
        }
        moved = progress.moved();
    }
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
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http_body::Frame;
    use hyper::client::conn::http2::{self as client, SendRequest};

    /// Answers with 10 MB, or with what the client sends for as long as it sends.
    struct Both;

    impl Answering for Both {
        async fn answer(&self, request: Request<Body>, _: Option<Interim>) -> Response<Body> {
            Response::new(match request.uri().path() {
                "/echo" => request.into_body(),
                _ => Body::whole(vec![b'x'; 10_000_000]),
            })
        }

        fn refuse(&self, problem: &Problem) -> Response<Body> {
            panic!("{problem:?}")
        }
    }

    /// How long the connection of a client lasts that opens it so, and then does nothing but keep
    /// what it has been given.
    async fn lasts<T>(open: impl AsyncFnOnce(SendRequest<Endless>) -> T) -> Duration {
        let (client, server) = tokio::io::duplex(1 << 20);
        let (_stay, leaving) = watch::channel(false);
        let served = tokio::spawn(serve_by(server, Arc::new(Both), Instant::now(), leaving));
        let connected = client::handshake(TokioExecutor::new(), TokioIo::new(client)).await;
        let (requests, connection) = connected.unwrap();
        tokio::spawn(connection);
        let begin = Instant::now();
        let _kept = open(requests).await;
        let _ = tokio::time::timeout(Duration::from_secs(3600), served).await;
        begin.elapsed()
    }

    /// A body of which nothing comes and that does not end.
    struct Endless;

    impl http_body::Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    fn to(path: &str) -> Request<Endless> {
        Request::post(format!("http://a{path}")).body(Endless).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_asks_is_let_go() {
        let polite = lasts(async |requests| requests).await;
        assert_eq!(polite.as_secs(), HEAD_TIMEOUT.as_secs(), "it goes when it is told");
        let (_silent, server) = tokio::io::duplex(1 << 20);
        let (_stay, leaving) = watch::channel(false);
        let begin = Instant::now();
        serve_by(server, Arc::new(Both), Instant::now(), leaving).await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), (HEAD_TIMEOUT + GOODBYE).as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn p2_who_reads_nothing_is_let_go_though_it_answers_pings() {
        let lasted = lasts(async |mut requests| {
            let answer = requests.send_request(to("/large")).await.unwrap();
            (requests, answer)
        });
        let lasted = lasted.await;
        assert!(lasted < HEAD_TIMEOUT + IDLE + STALLED * 2, "{lasted:?}");
        assert!(lasted > STALLED, "{lasted:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_merely_quiet_goes_on() {
        let lasted = lasts(async |mut requests| {
            let answer = requests.send_request(to("/echo")).await.unwrap();
            (requests, answer)
        });
        assert_eq!(lasted.await.as_secs(), 3600, "as long as anybody looks");
    }

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
