//! Connections in memory, on a virtual clock.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use proptest::prelude::*;
use tidegate_core::Scheme;
use tidegate_core::respond::Problem;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::body::Body;
use crate::http1::{Answering, Broken, Interim, Upgrade, serve_by};

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Answers as a function does.
#[derive(Clone)]
struct By(Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>);

impl Answering for By {
    fn answer(
        &self,
        mut request: Request<Body>,
        interim: Option<Interim>,
    ) -> impl Future<Output = Response<Body>> + Send {
        if let Some(interim) = interim {
            request.extensions_mut().insert(interim);
        }
        (self.0)(request)
    }

    fn refuse(&self, problem: &Problem) -> Response<Body> {
        crate::gate::problem(problem)
    }
}

/// A client, and the word that the server stops.
struct Peer {
    stream: DuplexStream,
    stop: watch::Sender<bool>,
}

impl Peer {
    /// A client of a connection that carries so much unread.
    fn of<A>(carries: usize, answer: impl Fn(Request<Body>) -> A + Send + Sync + 'static) -> Self
    where
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let (stream, theirs) = duplex(carries);
        let (stop, stopped) = watch::channel(false);
        let by = By(Arc::new(move |request| Box::pin(answer(request))));
        tokio::spawn(serve_by(theirs, Scheme::Http, by, Duration::ZERO, stopped));
        Self { stream, stop }
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// All that comes until the server closes.
    async fn rest(mut self) -> String {
        let mut all = Vec::new();
        self.stream.read_to_end(&mut all).await.unwrap();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// What comes until `awaited` is in it.
    async fn until(&mut self, awaited: &str) -> String {
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(awaited) {
            let text = String::from_utf8_lossy(&seen).into_owned();
            assert!(self.stream.read_buf(&mut seen).await.unwrap() > 0, "closed after {text:?}");
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// Nothing comes for a long time.
    async fn nothing(&mut self) {
        let byte = timeout(Duration::from_secs(20), self.stream.read_u8()).await;
        assert!(byte.is_err(), "{byte:?}");
    }
}

fn whole(text: &str) -> Response<Body> {
    Response::new(Body::whole(text.to_owned()))
}

/// Answers with method, target and body.
async fn echo(request: Request<Body>) -> Response<Body> {
    let begin = format!("{} {} ", request.method(), request.uri());
    match request.into_body().collect().await {
        Ok(body) => whole(&(begin + &String::from_utf8_lossy(&body.to_bytes()))),
        Err(error) => whole(&format!("{begin}{error}")),
    }
}

/// The bodies of answers that all have a length.
fn bodies(mut text: &str) -> Vec<&str> {
    let mut bodies = Vec::new();
    while let Some((head, rest)) = text.split_once("\r\n\r\n") {
        let length = head.split("content-length: ").nth(1).expect(head);
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        let (body, rest) = rest.split_at(length);
        bodies.push(body);
        text = rest;
    }
    assert_eq!(text, "");
    bodies
}

/// Two uploads and three others, the last of which closes.
const FIVE: &str = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n\
    POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello\
    PUT /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x\r\nabc\r\n1\r\nd\r\n0\r\nt: 1\r\n\r\n\
    \r\nOPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n\
    GET /5 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n\
    GET /not-answered HTTP/1.1\r\nhost: a\r\n\r\n";

const FIVE_ANSWERS: [&str; 5] =
    ["GET /1 ", "POST /2 hello", "PUT /3 abcd", "OPTIONS * ", "GET /5 "];

#[tokio::test(start_paused = true)]
async fn requests_that_come_together_are_answered_in_order() {
    let mut peer = Peer::of(1 << 16, echo);
    peer.send(FIVE).await;
    assert_eq!(bodies(&peer.rest().await), FIVE_ANSWERS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn where_requests_are_cut_makes_no_difference(
        cuts in prop::collection::btree_set(0..FIVE.len(), 0..12),
        carries in 1_usize..200,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answers = runtime.block_on(async {
            let (ours, theirs) = duplex(carries);
            let (_stop, stopped) = watch::channel(false);
            let by = By(Arc::new(|request| Box::pin(echo(request))));
            tokio::spawn(serve_by(theirs, Scheme::Http, by, Duration::ZERO, stopped));
            let (mut reads, mut writes) = tokio::io::split(ours);
            tokio::spawn(async move {
                let mut begin = 0;
                for end in cuts.into_iter().chain([FIVE.len()]) {
                    // The server closes after the fifth.
                    if writes.write_all(&FIVE.as_bytes()[begin..end]).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                    begin = end;
                }
            });
            let mut all = Vec::new();
            reads.read_to_end(&mut all).await.unwrap();
            String::from_utf8(all).unwrap()
        });
        prop_assert_eq!(bodies(&answers), FIVE_ANSWERS);
    }
}

/// Counts the calls that write.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl tokio::io::AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test(start_paused = true)]
async fn small_answers_to_requests_that_come_together_leave_together() {
    let (mut ours, theirs) = duplex(1 << 16);
    let (_stop, stopped) = watch::channel(false);
    let writes = Arc::new(AtomicUsize::new(0));
    let by = By(Arc::new(|request| Box::pin(echo(request))));
    tokio::spawn(serve_by(
        Counted(theirs, Arc::clone(&writes)),
        Scheme::Http,
        by,
        Duration::ZERO,
        stopped,
    ));
    let three = "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n\
        POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello\
        GET /3 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    ours.write_all(three.as_bytes()).await.unwrap();
    let mut all = String::new();
    ours.read_to_string(&mut all).await.unwrap();
    assert_eq!(bodies(&all), ["GET /1 ", "POST /2 hello", "GET /3 "]);
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_100_gets_it_once_the_body_is_wanted() {
    let mut peer = Peer::of(1 << 16, echo);
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        .await;
    assert_eq!(peer.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send("ok").await;
    assert!(peer.until("PUT / ok").await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_100_in_vain_gets_the_answer_and_no_other() {
    let mut peer = Peer::of(1 << 16, async |_| whole("no"));
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        .await;
    let all = peer.rest().await;
    assert!(
        all.starts_with("HTTP/1.1 200 OK\r\n") && all.contains("connection: close\r\n"),
        "{all}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_wait_for_100_is_not_told() {
    let mut peer = Peer::of(1 << 16, echo);
    let head = "PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nconnection: close\r\n";
    peer.send(&format!("{head}content-length: 2\r\n\r\nok")).await;
    assert!(peer.rest().await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reads_of_a_body_is_taken_in_only_so_far() {
    let mut peer = Peer::of(1024, async |request: Request<Body>| {
        let _body = request.into_body();
        std::future::pending().await
    });
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n").await;
    let mut taken = 0;
    while let Ok(count) = timeout(Duration::from_secs(1), peer.stream.write(&[b'x'; 512])).await {
        taken += count.unwrap();
    }
    assert!(taken <= 16 * 1024 + 2048, "{taken}");
}

/// A body that a test says piece by piece.
fn said(pieces: tokio::sync::mpsc::Receiver<Result<Frame<Bytes>, Broken>>) -> Body {
    crate::http1::upload::tests::said(pieces)
}

fn data(text: &str) -> Result<Frame<Bytes>, Broken> {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

/// A client whose requests are answered with what is sent here.
fn saying(carries: usize) -> (Peer, tokio::sync::mpsc::Sender<Result<Frame<Bytes>, Broken>>) {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let receiver = Mutex::new(Some(receiver));
    let peer = Peer::of(carries, move |_| {
        let body = receiver.lock().unwrap().take().map_or(Body::empty(), said);
        async move { Response::new(body) }
    });
    (peer, sender)
}

#[tokio::test(start_paused = true)]
async fn pieces_of_unknown_length_leave_at_once_as_chunks() {
    let (mut peer, sender) = saying(1 << 16);
    peer.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let head = peer.until("\r\n\r\n").await;
    assert!(head.contains("transfer-encoding: chunked\r\n") && !head.contains("content-length"));
    sender.send(data("hello, world 123")).await.unwrap();
    assert_eq!(peer.until("3\r\n").await, "10\r\nhello, world 123\r\n");
    // Quiet, but not gone.
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    sender.send(data("x")).await.unwrap();
    assert_eq!(peer.until("x\r\n").await, "1\r\nx\r\n");
    drop(sender);
    assert_eq!(peer.rest().await, "0\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn trailers_are_for_those_who_take_them() {
    for (te, end) in [("te: trailers\r\n", "0\r\nx-sum: 1\r\n\r\n"), ("", "0\r\n\r\n")] {
        let (mut peer, sender) = saying(1 << 16);
        peer.send(&format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{te}\r\n")).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        trailers.insert("content-length", HeaderValue::from_static("1"));
        sender.send(Ok(Frame::trailers(trailers))).await.unwrap();
        drop(sender);
        assert!(peer.rest().await.ends_with(&format!("\r\n\r\n{end}")));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_has_no_end() {
    let (mut peer, sender) = saying(1 << 16);
    peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    sender.send(data("some")).await.unwrap();
    sender.send(Err(Broken::Off)).await.unwrap();
    let all = peer.rest().await;
    assert!(all.ends_with("\r\n\r\n4\r\nsome\r\n"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_as_long_as_said_breaks_off() {
    for (length, text) in [("5", "four"), ("3", "four")] {
        let mut peer = Peer::of(1 << 16, move |_| {
            let (sender, receiver) = tokio::sync::mpsc::channel(2);
            let mut answer = Response::new(said(receiver));
            answer.headers_mut().insert("content-length", HeaderValue::from_static(length));
            async move {
                sender.send(data(text)).await.unwrap();
                answer
            }
        });
        peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let all = peer.rest().await;
        let (head, body) = all.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {length}")), "{head}");
        assert!(body.len() < length.parse().unwrap() || !body.contains("four"), "{body:?}");
        assert!(!body.contains("HTTP"), "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_holds_little_back_and_is_left_after_a_minute() {
    let (mut peer, sender) = saying(1024);
    peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let piece = "x".repeat(3000);
    let mut given = 0;
    let begin = Instant::now();
    while timeout(Duration::from_secs(600), sender.send(data(&piece))).await.unwrap().is_ok() {
        given += 1;
    }
    assert!((2..12).contains(&given), "{given}");
    let lasted = begin.elapsed().as_secs();
    assert!((60..=70).contains(&lasted), "{lasted} s");
}

#[tokio::test(start_paused = true)]
async fn heads_come_within_thirty_seconds_and_idle_connections_last_75() {
    let begin = Instant::now();
    let mut peer = Peer::of(1 << 16, echo);
    peer.send("GET / HTTP/1.1\r\nhos").await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    peer.send("t: ").await;
    let all = peer.rest().await;
    assert!(all.starts_with("HTTP/1.1 408 ") && all.contains("connection: close"), "{all}");
    let lasted = begin.elapsed().as_secs();
    assert!((30..=45).contains(&lasted), "{lasted} s");

    let begin = Instant::now();
    assert_eq!(Peer::of(1 << 16, echo).rest().await, "");
    let lasted = begin.elapsed().as_secs();
    assert!((30..=45).contains(&lasted), "who never asks: {lasted} s");

    let mut peer = Peer::of(1 << 16, echo);
    peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    peer.until("GET / ").await;
    let begin = Instant::now();
    peer.rest().await;
    let lasted = begin.elapsed().as_secs();
    assert!((75..=85).contains(&lasted), "who has asked: {lasted} s");

    let mut peer = Peer::of(1 << 16, echo);
    peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    peer.until("GET / ").await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(70)).await;
        peer.send("GET / HTTP/1.1\r\nhost").await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        peer.send(": a\r\n\r\n").await;
        peer.until("GET / ").await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_took_long_to_begin_has_less_time_for_its_first_head() {
    for begin in ["", "GET / HTTP/1.1\r\nhos"] {
        let (mut peer, theirs) = duplex(1 << 16);
        let (_stop, stopped) = watch::channel(false);
        let by = By(Arc::new(|request| Box::pin(echo(request))));
        let waited = Duration::from_secs(29);
        tokio::spawn(serve_by(theirs, Scheme::Http, by, waited, stopped));
        let start = Instant::now();
        peer.write_all(begin.as_bytes()).await.unwrap();
        peer.read_to_end(&mut Vec::new()).await.unwrap();
        assert!(start.elapsed().as_secs() <= 10, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn p2_a_body_that_stands_still_for_a_minute_is_given_up() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let mut peer = Peer::of(1 << 16, move |request: Request<Body>| {
        let sender = sender.clone();
        async move {
            // Another task, as those of upstream connections are.
            tokio::spawn(async move {
                let read = request.into_body().collect().await.map(|_| ());
                sender.send(read.map_err(|error| error.to_string())).await
            });
            std::future::pending().await
        }
    });
    let begin = Instant::now();
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1").await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    peer.send("2").await;
    let all = peer.rest().await;
    assert!(all.starts_with("HTTP/1.1 408 "), "{all}");
    let lasted = begin.elapsed().as_secs();
    assert!((110..=120).contains(&lasted), "{lasted} s");
    let read = receiver.recv().await.unwrap();
    assert_eq!(read, Err("the client sent nothing for too long".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn who_answers_for_a_client_that_leaves_is_dropped() {
    struct Told(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().map(|sender| sender.send(()));
        }
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let told = Mutex::new(Some(Told(Some(sender))));
    let mut peer = Peer::of(1 << 16, move |_| {
        let told = told.lock().unwrap().take();
        async move {
            let _told = told;
            std::future::pending().await
        }
    });
    peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    drop(peer);
    receiver.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p7_when_the_server_stops_idle_connections_close_and_others_after_their_answer() {
    let mut idle = Peer::of(1 << 16, echo);
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    idle.until("GET / ").await;
    idle.stop.send_replace(true);
    let begin = Instant::now();
    assert_eq!(idle.rest().await, "");
    assert_eq!(begin.elapsed().as_secs(), 0);

    let (mut busy, sender) = saying(1 << 16);
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = busy.until("\r\n\r\n").await;
    assert!(!head.contains("connection: close"));
    busy.stop.send_replace(true);
    sender.send(data("x")).await.unwrap();
    drop(sender);
    assert_eq!(busy.rest().await, "1\r\nx\r\n0\r\n\r\n");

    let (go, gone) = watch::channel(false);
    let mut asked = Peer::of(1 << 16, move |_| {
        let mut gone = gone.clone();
        async move {
            gone.wait_for(|go| *go).await.unwrap();
            whole("done")
        }
    });
    asked.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    asked.nothing().await;
    asked.stop.send_replace(true);
    asked.nothing().await;
    go.send_replace(true);
    let all = asked.rest().await;
    assert!(all.contains("connection: close\r\n") && all.ends_with("done"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn http_1_0_gets_no_chunks_and_keeps_a_connection_when_it_asks_to() {
    let (mut peer, sender) = saying(1 << 16);
    peer.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\nte: trailers\r\n\r\n").await;
    sender.send(data("all of it")).await.unwrap();
    drop(sender);
    let all = peer.rest().await;
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("connection: close") && !head.contains("transfer-encoding"), "{head}");
    assert_eq!(body, "all of it");

    let mut peer = Peer::of(1 << 16, echo);
    peer.send("GET /1 HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").await;
    let first = peer.until("GET /1 ").await;
    assert!(first.contains("connection: keep-alive\r\n"), "{first}");
    peer.send("GET /2 HTTP/1.0\r\n\r\n").await;
    assert!(peer.rest().await.contains("connection: close\r\n"));
}

#[tokio::test(start_paused = true)]
async fn some_answers_have_no_body_whatever_they_bring() {
    let mut peer = Peer::of(1 << 16, async |request: Request<Body>| {
        let mut answer = whole("body");
        *answer.status_mut() = match request.uri().path() {
            "/204" => StatusCode::NO_CONTENT,
            "/304" => StatusCode::NOT_MODIFIED,
            _ => StatusCode::OK,
        };
        answer.headers_mut().insert("date", HeaderValue::from_static("d"));
        answer
    });
    peer.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let head = "HTTP/1.1 200 OK\r\ndate: d\r\ncontent-length: 4\r\n\r\n";
    assert_eq!(peer.until("\r\n\r\n").await, head);
    peer.send("GET /304 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let not_modified = "HTTP/1.1 304 Not Modified\r\ndate: d\r\ncontent-length: 4\r\n\r\n";
    assert_eq!(peer.until("\r\n\r\n").await, not_modified);
    peer.send("GET /204 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let no_content = "HTTP/1.1 204 No Content\r\ndate: d\r\nconnection: close\r\n\r\n";
    assert_eq!(peer.rest().await, no_content);
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_arrives_whole_over_a_narrow_connection() {
    let text: String = (0..300_000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    let expected = text.clone();
    let mut peer = Peer::of(777, move |_| {
        let text = text.clone();
        async move { whole(&text) }
    });
    peer.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let all = peer.rest().await;
    assert!(all.split_once("\r\n\r\n").unwrap().1 == expected);
}

#[tokio::test(start_paused = true)]
async fn a_little_that_nobody_reads_is_skipped_and_much_closes() {
    let refuse = async |_: Request<Body>| whole("no");
    let mut peer = Peer::of(1 << 17, refuse);
    let little = "x".repeat(60_000);
    peer.send(&format!("PUT /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 60000\r\n\r\n{little}"))
        .await;
    peer.send("PUT /2 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n").await;
    peer.send("0\r\n\r\nGET /3 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert_eq!(bodies(&peer.rest().await), ["no", "no", "no"]);

    let mut peer = Peer::of(1 << 17, refuse);
    peer.send("PUT /1 HTTP/1.1\r\nhost: a\r\ncontent-length: 70000\r\n\r\nxxx").await;
    let all = peer.rest().await;
    assert!(all.contains("connection: close\r\n"), "{all}");
    assert_eq!(bodies(&all), ["no"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_body_gets_400_and_its_reader_an_error() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let mut peer = Peer::of(1 << 16, move |request: Request<Body>| {
        let sender = sender.clone();
        async move {
            tokio::spawn(async move {
                let read = request.into_body().collect().await.map(|_| ());
                sender.send(read.map_err(|error| error.to_string())).await
            });
            std::future::pending().await
        }
    });
    peer.send("PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n").await;
    let all = peer.rest().await;
    assert!(all.starts_with("HTTP/1.1 400 ") && all.contains("connection: close"), "{all}");
    let read = receiver.recv().await.unwrap();
    assert_eq!(read, Err("A chunk does not end where its size says.".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_is_refused_after_the_answers_before_it() {
    let mut peer = Peer::of(1 << 16, echo);
    peer.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost : a\r\n\r\n").await;
    let all = peer.rest().await;
    let (first, second) = all.split_once("GET /1 ").unwrap();
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    assert!(second.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{second}");
    assert!(second.contains("application/problem+json") && second.contains("connection: close"));
}

#[tokio::test(start_paused = true)]
async fn interim_answers_come_before_their_answer_or_not_at_all() {
    let kept: Arc<Mutex<Vec<Interim>>> = Arc::default();
    let keeps = Arc::clone(&kept);
    let mut peer = Peer::of(1 << 16, move |request: Request<Body>| {
        let mut kept = keeps.lock().unwrap();
        let hints = |text: &'static str| {
            HeaderMap::from_iter([(http::header::LINK, HeaderValue::from_static(text))])
        };
        // Those of the request before are too late by now.
        kept.iter().for_each(|old| old.send(StatusCode::EARLY_HINTS, &hints("<late>")));
        let interim = request.extensions().get::<Interim>().cloned();
        if let Some(interim) = interim {
            interim.send(StatusCode::EARLY_HINTS, &hints("</a.css>"));
            interim.send(StatusCode::OK, &hints("<no-interim>"));
            interim.send(StatusCode::SWITCHING_PROTOCOLS, &hints("<no-interim>"));
            kept.push(interim);
        }
        drop(kept);
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            whole("done")
        }
    });
    for _ in 0..2 {
        peer.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n";
        assert_eq!(peer.until("\r\n\r\n").await, hints);
        assert!(peer.until("done").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    peer.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
    assert!(peer.rest().await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(kept.lock().unwrap().len(), 2, "HTTP/1.0 has none");
}

#[tokio::test(start_paused = true)]
async fn a_connection_goes_over_to_another_protocol_with_what_came_ahead() {
    let mut peer = Peer::of(1 << 16, async |mut request: Request<Body>| {
        let upgrade = request.extensions_mut().remove::<Upgrade>().expect("an upgrade");
        tokio::spawn(async move {
            let (mut reads, mut writes) = tokio::io::split(upgrade.await.unwrap());
            tokio::io::copy(&mut reads, &mut writes).await.unwrap();
            writes.shutdown().await.unwrap();
        });
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        answer.headers_mut().insert("upgrade", HeaderValue::from_static("echo"));
        answer.headers_mut().insert("date", HeaderValue::from_static("d"));
        answer
    });
    peer.send("GET / HTTP/1.1\r\nhost: a\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\nahead, ")
        .await;
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\ndate: d\r\nconnection: upgrade\r\n\r\n";
    assert!(peer.until("ahead, ").await.starts_with(head));
    peer.send("later").await;
    peer.until("later").await;
    peer.stream.shutdown().await.unwrap();
    assert_eq!(peer.rest().await, "");
}

#[tokio::test(start_paused = true)]
async fn no_protocol_is_changed_unasked() {
    let mut peer = Peer::of(1 << 16, async |request: Request<Body>| {
        assert!(request.extensions().get::<Upgrade>().is_none());
        let mut answer = whole("x");
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        answer
    });
    peer.send("GET / HTTP/1.1\r\nhost: a\r\nupgrade: echo\r\nconnection: close\r\n\r\n").await;
    assert!(peer.rest().await.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));

    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let mut peer = Peer::of(1 << 16, move |mut request: Request<Body>| {
        let upgrade = request.extensions_mut().remove::<Upgrade>().unwrap();
        let sender = sender.lock().unwrap().take().unwrap();
        tokio::spawn(async move { sender.send(upgrade.await.is_err()) });
        async { whole("not here") }
    });
    peer.send("GET / HTTP/1.1\r\nhost: a\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n").await;
    peer.until("not here").await;
    assert!(receiver.await.unwrap());
}
