//! HTTP/2 of the shim: requests side by side, bounds against who floods, and an end that loses
//! nothing.

use std::io;

use bytes::Bytes;
use http_body_util::Full;
use tidegate_tests::{
    demo_origin::DemoOrigin,
    held_origin::HeldOrigin,
    http2::{ACK, END_HEADERS, END_STREAM, Frame, Frames, GET, Http2, kind},
    policy_file::PolicyFile,
    shim::Shim,
};

/// What a client is told that floods (RFC 9113 §7).
const ENHANCE_YOUR_CALM: u32 = 0xb;

#[test]
fn p2_http2_without_tls_is_for_who_knows_and_answers_as_http1_does() {
    let origin = DemoOrigin::start();
    let shim = Shim::serve(&policy("${BASE_SVC}"), &origin);
    let url = |path: &str| format!("http://{}{path}", shim.address());
    let over_http1 = shim.client().get("/api/v1/plugins");
    runtime().block_on(async {
        let client = Http2::in_the_clear(shim.address()).await;
        let answer = client.get(&url("/api/v1/plugins")).await.expect("an answer");
        assert_eq!(answer.status(), over_http1.status);
        assert_eq!(*answer.body(), over_http1.body, "the same stored answer");
        assert!(!answer.headers().contains_key("connection"));
        assert!(!answer.headers().contains_key("transfer-encoding"));

        // Each body goes where it belongs, whichever is first.
        let echo = |size: usize| {
            let request = http::Request::post(url("/api/v1/echo"));
            let body = Full::new(Bytes::from(vec![b'x'; size]));
            client.send(request.body(body).expect("a request"))
        };
        let sizes = [0, 1, 70_000, 400_000, 2_000_000];
        let answers = futures_util::future::join_all(sizes.map(echo)).await;
        for (size, answer) in sizes.into_iter().zip(answers) {
            let answer = answer.expect("an answer");
            let seen: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
            assert_eq!(seen["body_bytes"], size);
        }
    });
    assert_eq!(shim.client().get("/healthz").status, 200, "HTTP/1.1 at the same place");
}

#[test]
fn requests_of_one_connection_do_not_wait_for_one_another() {
    let origin = HeldOrigin::start();
    let shim = Shim::serve_policy(&policy(&origin.address().to_string()));
    runtime().block_on(async {
        let client = Http2::in_the_clear(shim.address()).await;
        let url = |path: &str| format!("http://a.example{path}");
        let (slow, quick) = (url("/slow"), url("/quick"));
        let slow = tokio::spawn({
            let client = client.clone();
            async move { client.get(&slow).await }
        });
        let held = next(&origin).await;
        assert_eq!(held.target(), "/slow");
        let quick = tokio::spawn(async move { client.get(&quick).await });
        next(&origin).await.answer("", "quick");
        let answer = quick.await.expect("no panic").expect("an answer");
        assert_eq!(answer.body(), "quick");
        assert!(!slow.is_finished());
        held.answer("", "slow");
        assert_eq!(slow.await.expect("no panic").expect("an answer").body(), "slow");
    });
}

#[test]
fn p7_what_runs_is_finished_and_nothing_is_begun_when_the_process_ends() {
    let origin = HeldOrigin::start();
    let mut shim = Shim::serve_policy(&policy(&origin.address().to_string()));
    let mut frames = Frames::connect(shim.address()).expect("it listens");
    let get = |frames: &mut Frames, stream| {
        frames.write(kind::HEADERS, END_HEADERS | END_STREAM, stream, GET).expect("it is open");
    };
    get(&mut frames, 1);
    let held = origin.next();
    shim.process().signal("TERM");
    // It says that it ends, asks whether that has come, and then says what it still answers
    // (RFC 9113 §6.8).
    let last = |frame: &Frame| frame.payload[..4].to_vec();
    let first = frames.read_next(kind::GOAWAY).expect("word of the end");
    assert_eq!((first.goaway_error(), last(&first)), (Some(0), vec![0x7f, 0xff, 0xff, 0xff]));
    let ping = frames.read_next(kind::PING).expect("a question");
    frames.write(kind::PING, ACK, 0, &ping.payload).expect("it is open");
    let second = frames.read_next(kind::GOAWAY).expect("the last stream");
    assert_eq!((second.goaway_error(), last(&second)), (Some(0), vec![0, 0, 0, 1]));
    get(&mut frames, 3);
    held.answer("", "finished");
    let data = frames.read_next(kind::DATA).expect("the answer");
    assert_eq!((data.stream, &*data.payload), (1, &b"finished"[..]));
    shim.stopped();
    assert!(origin.waiting().is_none(), "what came later reached nobody");
}

#[test]
fn streams_that_are_reset_at_once_end_the_connection() {
    let origin = DemoOrigin::start();
    let shim = Shim::serve(&policy("${BASE_SVC}"), &origin);
    let mut frames = Frames::connect(shim.address()).expect("it listens");
    // Some write may fail: by then it is closed.
    let flood = (0..5_000u32).map(|n| 2 * n + 1).try_for_each(|stream| {
        frames.write(kind::HEADERS, END_HEADERS | END_STREAM, stream, GET)?;
        frames.write(kind::RST_STREAM, 0, stream, &8u32.to_be_bytes())
    });
    let error = goaway(&mut frames);
    assert!(error == Some(ENHANCE_YOUR_CALM) || flood.is_err(), "{error:?} {flood:?}");
    assert!(origin.base().total() < 5_000, "most of it reached nobody");
    assert_eq!(shim.client().get("/api/v1/time").status, 200, "others do not notice");
}

#[test]
fn a_head_without_end_ends_the_connection() {
    let origin = DemoOrigin::start();
    let shim = Shim::serve(&policy("${BASE_SVC}"), &origin);
    let mut frames = Frames::connect(shim.address()).expect("it listens");
    frames.write(kind::HEADERS, END_STREAM, 1, GET).expect("it is open");
    // A literal without index: a name of 1 byte, a value of 100.
    let field = [&[0x00, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let piece = field.repeat(150);
    // 64 MB in all, if nobody stops it.
    let flood = (0..4_000).try_for_each(|_| frames.write(kind::CONTINUATION, 0, 1, &piece));
    assert!(flood.is_err(), "it is closed long before the end");
    assert_eq!(origin.base().total(), 0);
    assert_eq!(shim.client().get("/api/v1/time").status, 200, "others do not notice");
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let origin = DemoOrigin::start();
    let shim = Shim::serve(&policy("${BASE_SVC}"), &origin);
    runtime().block_on(async {
        let client = Http2::in_the_clear(shim.address()).await;
        let request = |bytes: usize| {
            let request = http::Request::get("http://a.example/api/v1/time");
            let request = (0..10).fold(request, |request, at| {
                request.header(format!("x-{at}"), "y".repeat(bytes / 10))
            });
            request.body(Full::default()).expect("a request")
        };
        assert_eq!(client.send(request(40_000)).await.expect("an answer").status(), 200);
        // The client itself may hold it back, since the server has said how much it takes.
        if let Ok(answer) = client.send(request(100_000)).await {
            assert_eq!(answer.status(), 431);
        }
    });
    assert_eq!(origin.base().total(), 1);
}

#[test]
fn what_reads_otherwise_in_http1_is_made_the_same_or_refused() {
    let origin = DemoOrigin::start();
    let shim = Shim::serve(&policy("${BASE_SVC}"), &origin);
    runtime().block_on(async {
        let client = Http2::in_the_clear(shim.address()).await;
        let get = || http::Request::get("http://a.example/api/v1/echo");
        let send = |request: http::request::Builder| {
            client.send(request.body(Full::default()).expect("a request"))
        };
        let crumbs = ["a=1", "b=2", "c=3"];
        let crumbs = crumbs.iter().fold(get(), |request, crumb| request.header("cookie", *crumb));
        let answer = send(crumbs).await.expect("an answer");
        let seen: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
        let lines = seen["headers"].as_array().expect("lines");
        let cookies: Vec<_> = lines.iter().filter(|line| line[0] == "cookie").collect();
        assert_eq!(cookies, [&serde_json::json!(["cookie", "a=1; b=2; c=3"])]);

        let other = send(get().header("host", "b.example")).await.expect("an answer");
        assert_eq!(other.status(), 400);
        let tunnel = send(http::Request::connect("a.example:443")).await.expect("an answer");
        assert_eq!(tunnel.status(), 501);
    });
    assert_eq!(origin.base().total(), 1);
}

#[test]
fn a_request_without_a_host_is_refused() {
    let origin = DemoOrigin::start();
    let shim = Shim::serve(&policy("${BASE_SVC}"), &origin);
    let mut frames = Frames::connect(shim.address()).expect("it listens");
    // GET http /, without :authority.
    frames.write(kind::HEADERS, END_HEADERS | END_STREAM, 1, &GET[..3]).expect("it is open");
    let head = frames.read_next(kind::HEADERS).expect("an answer");
    // 400 is in the static table (RFC 7541 appendix A).
    assert_eq!((head.stream, head.payload[0]), (1, 0x8c), "{head:?}");
    assert_eq!(origin.base().total(), 0);
}

/// The error of the GOAWAY that comes, if one does before the end.
fn goaway(frames: &mut Frames) -> Option<u32> {
    let frame: io::Result<Frame> = frames.read_next(kind::GOAWAY);
    frame.ok().and_then(|frame| frame.goaway_error())
}

async fn next(origin: &HeldOrigin) -> tidegate_tests::held_origin::Question {
    loop {
        match origin.waiting() {
            Some(question) => return question,
            None => tokio::task::yield_now().await,
        }
    }
}

fn policy(server: &str) -> PolicyFile {
    PolicyFile::with_text(&format!(
        "schema = 1\n[upstreams.base]\nservers = \"{server}\"\n\
         [[routes]]\nname = \"plugins\"\nmatch = \"/api/v1/plugins\"\nupstream = \"base\"\n\
         origin = {{ mode = \"override\", ttl = \"1h\" }}\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"base\"\n"
    ))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
