//! What travels besides heads: bodies of requests and their bounds, trailers, events; and what an
//! origin hears of its client.

use std::sync::{Arc, Condvar, Mutex, mpsc};

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tidegate_tests::{
    hold::until,
    http2::Http2,
    policy_file::PolicyFile,
    raw_origin::{Peer, RawOrigin},
    shim::Shim,
    wire::Request,
};

#[test]
fn p5_a_body_may_be_so_large_and_no_larger() {
    let origin = RawOrigin::start(count);
    let shim = before(&origin, "", "");
    let most = 10 << 20;
    let put =
        |length: usize| shim.client().send(&Request::new("PUT", "/").body(vec![b'x'; length]));
    assert_eq!(put(most).body, most.to_string().into_bytes());
    let asked = origin.requests();
    let refused = put(most + 1);
    assert_eq!(refused.status, 413);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(origin.requests(), asked, "nobody is asked");
}

#[test]
fn p5_what_grows_too_large_on_its_way_is_refused_then() {
    let origin = RawOrigin::start(count);
    let shim = before(&origin, "", "max_body = \"100kB\"");
    let chunked = |length: usize| {
        let mut body = Vec::new();
        for _ in 0..length / 1000 {
            body.extend_from_slice(b"3e8\r\n");
            body.resize(body.len() + 1000, b'x');
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        Request::new("POST", "/").header("Transfer-Encoding", "chunked").body(body)
    };
    assert_eq!(shim.client().send(&chunked(100_000)).body, b"100000");
    let connections = origin.connections();
    let mut client = shim.client().connect().unwrap();
    // The rest may not be taken any more.
    let _ = client.ask(&chunked(101_000));
    assert_eq!(client.read_response("POST").unwrap().status, 413);
    // Of the origin's connection nothing is left that could be taken for another request.
    until(|| origin.ended() > 0);
    assert_eq!(shim.client().send(&chunked(1_000)).body, b"1000");
    assert!(origin.connections() <= connections + 2);
}

#[test]
fn p5_bodies_over_http2_have_the_same_bounds() {
    let origin = RawOrigin::start(count);
    let shim = before(&origin, "", "max_body = \"100kB\"");
    let url = format!("http://{}/", shim.address());
    runtime().block_on(async {
        let client = Http2::in_the_clear(shim.address()).await;
        let said = |length: usize| http::Request::put(&url).body(Full::from(vec![b'x'; length]));
        let answer = client.send(said(100_000).unwrap()).await.unwrap();
        assert_eq!(answer.body(), "100000");
        let asked = origin.requests();
        assert_eq!(client.send(said(100_001).unwrap()).await.unwrap().status(), 413);
        assert_eq!(origin.requests(), asked, "nobody is asked");
        let unsaid = |pieces: usize| http::Request::put(&url).body(pieces_of(pieces, None));
        assert_eq!(client.send(unsaid(100).unwrap()).await.unwrap().body(), "100000");
        assert_eq!(client.send(unsaid(101).unwrap()).await.unwrap().status(), 413);
        // The connection goes on.
        assert_eq!(client.send(unsaid(1).unwrap()).await.unwrap().body(), "1000");
    });
}

#[test]
fn p2_who_breaks_off_a_body_breaks_it_off_for_the_origin() {
    let (sender, said) = mpsc::channel();
    let sender = Mutex::new(sender);
    let origin = RawOrigin::start(move |peer| {
        let is_chunked = peer.head()?.contains("chunked");
        peer.bytes(if is_chunked { "5\r\nbegin".len() } else { "begin".len() })?;
        sender.lock().unwrap().send(None).unwrap();
        let rest = peer.rest()?;
        sender.lock().unwrap().send(Some(rest)).unwrap();
        Ok(())
    });
    let shim = before(&origin, "", "");
    for body in
        ["content-length: 10\r\n\r\nbegin", "transfer-encoding: chunked\r\n\r\n5\r\nbegin\r\n"]
    {
        let mut client = shim.client().connect().unwrap();
        client.write(format!("PUT / HTTP/1.1\r\nhost: a\r\n{body}").as_bytes()).unwrap();
        assert_eq!(said.recv().unwrap(), None, "the begin is there before the rest comes");
        drop(client);
        assert_eq!(said.recv().unwrap(), Some(Vec::new()), "no end of a body came: {body}");
    }
}

#[test]
fn p2_an_origin_that_breaks_off_during_an_upload_has_failed_and_is_not_asked_again() {
    let origin = RawOrigin::start(|peer| {
        let head = peer.head()?;
        peer.bytes("begin".len())?;
        match head.split(' ').nth(1).unwrap_or_default() {
            "/resets" => peer.reset(),
            "/ends" => peer.end_writing().and_then(|()| peer.rest().map(drop)),
            _ => Ok(()),
        }
    });
    let shim = before(&origin, "", "");
    for (number, path) in (1..).zip(["/resets", "/ends", "/closes"]) {
        let mut client = shim.client().connect().unwrap();
        let head = format!("PUT {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n");
        client.write(format!("{head}begin").as_bytes()).unwrap();
        assert_eq!(client.read_response("PUT").unwrap().status, 502, "{path}");
        assert_eq!(origin.requests(), number, "what it has read of may have happened");
    }
}

#[test]
fn p2_trailers_of_requests_reach_the_origin_in_chunks() {
    let origin = RawOrigin::start(|peer| {
        loop {
            let head = peer.head()?;
            assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
            let mut lines = Vec::new();
            loop {
                let size = usize::from_str_radix(&peer.line()?, 16).unwrap();
                if size == 0 {
                    break;
                }
                peer.bytes(size + 2)?;
            }
            loop {
                match peer.line()? {
                    line if line.is_empty() => break,
                    line => lines.push(line),
                }
            }
            peer.say(&lines.join("\n"))?;
        }
    });
    let shim = before(&origin, "", "");
    let request = Request::new("POST", "/").header("Transfer-Encoding", "chunked");
    let request =
        request.body("5\r\nhello\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\nX-More: b\r\n\r\n");
    for connections in 1..=2 {
        assert_eq!(shim.client().send(&request).body, b"x-sum: 7\nx-more: b");
        assert_eq!(origin.connections(), connections, "some servers take them for a request");
    }
    runtime().block_on(async {
        let client = Http2::in_the_clear(shim.address()).await;
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x-sum", "8".parse().unwrap());
        trailers.insert("authorization", "none of theirs".parse().unwrap());
        let url = format!("http://{}/", shim.address());
        let request = http::Request::post(url).body(pieces_of(1, Some(trailers))).unwrap();
        assert_eq!(client.send(request).await.unwrap().body(), "x-sum: 8");
    });
}

#[test]
fn p2_trailers_of_answers_reach_clients_over_http2_and_are_not_stored() {
    let origin = RawOrigin::start(|peer| {
        loop {
            let head = peer.head()?;
            let asked = head.contains("\r\nte: trailers\r\n");
            peer.write(format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-asked: {asked}\r\n\r\n\
                 5\r\nhello\r\n0\r\nx-sum: 7\r\ncontent-length: 9\r\n\r\n"
            ))?;
        }
    });
    for (route, requests) in [("", 2), ("origin = { mode = \"override\", ttl = \"1h\" }", 1)] {
        let before_this = origin.requests();
        let shim = before(&origin, "", route);
        let url = format!("http://{}/", shim.address());
        runtime().block_on(async {
            let client = Http2::in_the_clear(shim.address()).await;
            for number in 0..2 {
                let request = http::Request::get(&url).header("te", "trailers");
                let request = request.body(Full::<Bytes>::default()).unwrap();
                let (answer, trailers) = client.exchange(request).await.unwrap();
                assert_eq!(
                    (answer.headers()["x-asked"].as_bytes(), &answer.body()[..]),
                    (&b"true"[..], &b"hello"[..])
                );
                let sum = trailers.as_ref().and_then(|trailers| trailers.get("x-sum"));
                assert_eq!(sum.is_some(), number < requests, "{route}: {trailers:?}");
                assert!(trailers.is_none_or(|trailers| trailers.len() == 1), "{route}");
            }
        });
        assert_eq!(origin.requests() - before_this, requests, "{route}");
    }
}

/// The origin sends an event when all of its clients have the one before, so whoever holds one back
/// is found out.
#[test]
fn p5_sixty_event_streams_pass_at_once_and_each_event_at_once() {
    let steps = Arc::new((Mutex::new(0), Condvar::new()));
    let origin = RawOrigin::start({
        let steps = Arc::clone(&steps);
        move |peer| {
            let chunked = peer.head()?.contains("chunked");
            let framing = if chunked { "transfer-encoding: chunked\r\n" } else { "" };
            peer.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{framing}\r\n"
            ))?;
            for number in 1..=EVENTS {
                let (step, changed) = &*steps;
                drop(changed.wait_while(step.lock().unwrap(), |step| *step < number).unwrap());
                let event = format!("data: {number}\n\n");
                match chunked {
                    true => peer.write(format!("{:x}\r\n{event}\r\n", event.len()))?,
                    false => peer.write(event)?,
                }
            }
            if chunked { peer.write("0\r\n\r\n") } else { Ok(()) }
        }
    });
    let shim = Shim::serve_policy(&PolicyFile::with_text(&format!(
        "schema = 1\n[compression]\n{}\n[[routes]]\nname = \"kept\"\nmatch = \"/kept/*\"\n\
         upstream = \"app\"\norigin = {{ mode = \"override\", ttl = \"1h\" }}\n",
        sections(&origin, "", "")
    )));
    let mut streams: Vec<_> = (0..60).map(|_| shim.client().connect().unwrap()).collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        let kept = if number % 2 == 0 { "/kept" } else { "" };
        let framing = if number % 4 < 2 { "chunked" } else { "to-the-end" };
        let request = Request::get(&format!("{kept}/{framing}/{number}"));
        stream.ask(&request.header("Accept-Encoding", "gzip, br, zstd")).unwrap();
    }
    for number in 1..=EVENTS {
        let (step, changed) = &*steps;
        *step.lock().unwrap() = number;
        changed.notify_all();
        for stream in &mut streams {
            let seen = stream.read_until(&format!("data: {number}\n\n")).unwrap();
            assert!(!seen.to_ascii_lowercase().contains("content-encoding"), "{seen}");
        }
    }
    assert_eq!(origin.connections(), 60);
}

#[test]
fn p2_forwarded_says_who_asks_where_it_is_wanted() {
    let origin = RawOrigin::start(|peer| {
        loop {
            let head = peer.head()?;
            let said = head.lines().find(|line| line.starts_with("forwarded: ")).unwrap_or("none");
            peer.say(said)?;
        }
    });
    let asked = Request::get("/")
        .header("Host", "www.example.com:8080")
        .header("Forwarded", "for=1.2.3.4;host=evil.example");
    let shim = before(&origin, "", "");
    assert_eq!(shim.client().send(&asked).body, b"none", "a client's own is nobody's word");
    let text = policy(&origin, "", "").replacen(
        "schema = 1\n",
        "schema = 1\n[shim]\nforwarded = true\n",
        1,
    );
    let shim = Shim::serve_policy(&PolicyFile::with_text(&text));
    let said = shim.client().at_loopback(3).send(&asked).body;
    let expected = "forwarded: for=127.0.0.3;host=\"www.example.com:8080\";proto=http";
    assert_eq!(String::from_utf8_lossy(&said), expected);
}

#[test]
fn p2_an_expectation_is_met_at_the_door() {
    let origin = RawOrigin::start(|peer| {
        loop {
            let head = peer.head()?;
            assert!(!head.contains("expect"), "{head}");
            let body = peer.bytes(5)?;
            peer.say(&String::from_utf8_lossy(&body))?;
        }
    });
    let shim = before(&origin, "", "");
    let mut client = shim.client().connect().unwrap();
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    client.write(head.as_bytes()).unwrap();
    client.read_until("HTTP/1.1 100 Continue\r\n\r\n").unwrap();
    client.write(b"hello").unwrap();
    assert_eq!(client.read_response("POST").unwrap().body, b"hello");
}

const EVENTS: usize = 3;

/// Says how many bytes the body of each request has.
fn count(peer: &mut Peer) -> std::io::Result<()> {
    loop {
        let head = peer.head()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut count = 0;
        match length.and_then(|length| length.parse().ok()) {
            Some(length) => count = peer.bytes(length)?.len(),
            None => loop {
                let size = usize::from_str_radix(&peer.line()?, 16).unwrap_or(0);
                count += peer.bytes(size)?.len();
                peer.line()?;
                if size == 0 {
                    break;
                }
            },
        }
        peer.say(&count.to_string())?;
    }
}

/// A body of so many thousand bytes that does not say so.
fn pieces_of(
    count: usize,
    trailers: Option<http::HeaderMap>,
) -> impl http_body::Body<Data = Bytes, Error = std::convert::Infallible> + Send {
    let piece = |_| Frame::data(Bytes::from(vec![b'x'; 1000]));
    let frames = (0..count).map(piece).chain(trailers.map(Frame::trailers));
    StreamBody::new(stream::iter(frames.map(Ok).collect::<Vec<_>>()))
}

/// A shim before one origin that is asked so, with one route to it that is so.
#[track_caller]
fn before(origin: &RawOrigin, how: &str, route: &str) -> Shim {
    Shim::serve_policy(&PolicyFile::with_text(&policy(origin, how, route)))
}

fn policy(origin: &RawOrigin, how: &str, route: &str) -> String {
    format!("schema = 1\n{}", sections(origin, how, route))
}

fn sections(origin: &RawOrigin, how: &str, route: &str) -> String {
    format!(
        "[upstreams.app]\nservers = \"{}\"\n{how}\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"app\"\n{route}\n",
        origin.address()
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
