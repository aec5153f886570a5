//! Compression in the shim: which bytes leave, what their head says, and what is kept of them.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
};

use tidegate_tests::{
    cache_status::CacheStatus,
    policy_file::PolicyFile,
    scripted_origin::ScriptedOrigin,
    shim::Shim,
    wire::{PATIENCE, Request, Response},
};
use tidegate_world::message::{self, Head, Script};

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];
const HOST: &str = "compression.test";
/// The route that caches; every other path is passed on.
const KEPT: &str = "/kept";
const PASSED: &str = "/passed";
/// More often than any test asks.
const TIMES: usize = 20;

#[test]
fn p3_every_coding_gives_the_body_back_stored_or_passed_on() {
    let gate = Gate::open();
    for target in [KEPT, PASSED] {
        gate.says(&[("content-type", "text/html")], &page(40_000));
        for coding in CODINGS {
            for time in ["first", "second"] {
                let answer = gate.accepting(target, coding);
                assert_eq!(answer.header("content-encoding"), Some(coding), "{target} {time}");
                assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{target} {time}");
                assert!(answer.body.len() < 10_000, "{target} {coding} {time}");
                assert_eq!(decoded(&answer), page(40_000), "{target} {coding} {time}");
            }
        }
        let plain = gate.get(target);
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(plain.header("vary"), Some("Accept-Encoding"), "others get something else");
        assert_eq!(plain.body, page(40_000).as_bytes());
        // Stored once, for every coding and for none.
        assert_eq!(gate.asked(target), if target == KEPT { 1 } else { 7 });
    }
}

#[test]
fn p3_a_stored_coding_has_its_length_and_a_stored_body_is_coded_once() {
    let gate = Gate::open();
    gate.says(&[("content-type", "text/html")], &page(200_000));
    assert_eq!(gate.get(KEPT).body.len(), 200_000);
    // Made while it is first sent: before its end is known, nor is its length.
    let first = gate.accepting(KEPT, "gzip");
    assert_eq!(first.header("content-length"), None);
    let second = eventually(|| {
        let answer = gate.accepting(KEPT, "gzip");
        answer.header("content-length").is_some().then_some(answer)
    });
    assert_eq!(first.body, second.body);
    assert_eq!(second.header("content-length"), Some(second.body.len().to_string().as_str()));
    let head = gate.ask(&Request::new("HEAD", KEPT).header("Accept-Encoding", "gzip"));
    assert_eq!(described(&head), described(&second), "HEAD says what GET does");
}

#[test]
fn p3_the_upstream_is_asked_for_no_coding_whatever_clients_accept() {
    let gate = Gate::open();
    gate.says(&[("content-type", "text/html"), ("vary", "Accept-Encoding, Accept")], &page(5000));
    let miss = gate.accepting(KEPT, "br;q=0.9, gzip;q=1.0");
    assert_eq!(miss.header("content-encoding"), Some("gzip"), "by weight");
    assert_eq!(miss.header("vary"), Some("Accept-Encoding, Accept"), "not twice");
    let hit = gate.accepting(KEPT, "br");
    assert!(is_hit(&hit), "one entry for all of them");
    assert_eq!(hit.header("content-encoding"), Some("br"));
    let asked = gate.origin.asked(HOST, 1);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].head.joined("accept-encoding").as_deref(), Some("identity"));

    gate.says(&[("content-type", "text/html"), ("vary", "Accept")], &page(5000));
    let miss = gate.accepting("/kept/other", "br");
    assert_eq!(miss.header("vary"), Some("Accept, Accept-Encoding"));
}

#[test]
fn p3_what_is_not_to_be_compressed_leaves_as_it_is() {
    let gate = Gate::open();
    let html = ("content-type", "text/html");
    for (head, length, asked) in [
        (&[html][..], 1023, &[][..]),
        (&[("content-type", "image/png")], 5000, &[]),
        (&[("content-type", "text/event-stream")], 5000, &[]),
        (&[html, ("content-encoding", "br")], 5000, &[]),
        (&[html, ("cache-control", "max-age=60, no-transform")], 5000, &[]),
        (&[html], 5000, &[("X-No-Compression", "1")]),
        (&[html], 5000, &[("Cache-Control", "no-transform")]),
    ] {
        for target in [KEPT, PASSED] {
            gate.says(head, &page(length));
            let name = format!("{target}/{}", gate.number());
            let mut request = Request::get(&name).header("Accept-Encoding", "gzip, br, zstd");
            for (name, value) in asked {
                request = request.header(name, value);
            }
            for _ in 0..2 {
                let answer = gate.ask(&request);
                let said = head.iter().find(|(name, _)| *name == "content-encoding");
                assert_eq!(answer.header("content-encoding"), said.map(|(_, value)| *value));
                assert_eq!(answer.body, page(length).as_bytes(), "{name} {head:?} {asked:?}");
            }
        }
    }
    gate.says(&[html], &page(1024));
    assert_eq!(gate.accepting("/kept/enough", "gzip").header("content-encoding"), Some("gzip"));
    gate.says(&[html], &page(5000));
    let off = gate.accepting("/off", "gzip");
    assert_eq!((off.header("content-encoding"), off.header("vary")), (None, None));
    let asked = gate.origin.asked(HOST, 1);
    assert_eq!(asked[0].head.joined("accept-encoding").as_deref(), Some("gzip"), "as it came");
}

#[test]
fn breach_answers_to_a_cookie_are_not_compressed_but_where_they_are_everybodys() {
    let gate = Gate::open();
    gate.says(&[("content-type", "text/html")], &page(5000));
    let with = |target: &str, name, value| {
        let request = Request::get(target).header("Accept-Encoding", "gzip").header(name, value);
        gate.ask(&request).header("content-encoding").map(str::to_owned)
    };
    assert_eq!(with(PASSED, "Cookie", "session=1"), None);
    assert_eq!(with(PASSED, "Authorization", "Basic YTpi"), None);
    assert_eq!(with(PASSED, "Authorization", "Bearer a").as_deref(), Some("gzip"));
    assert_eq!(with("/daring", "Cookie", "session=1").as_deref(), Some("gzip"));
    for _ in 0..2 {
        assert_eq!(with(KEPT, "Cookie", "session=1").as_deref(), Some("gzip"), "kept for all");
    }
}

#[test]
fn p3_a_coded_body_has_a_tag_of_its_own_which_is_known_again() {
    let gate = Gate::open();
    let head = [("content-type", "text/html"), ("etag", "\"a\""), ("accept-ranges", "bytes")];
    gate.says(&head, &page(5000));
    let having = |target: &str, accept_encoding, tag| {
        let request = Request::get(target).header("Accept-Encoding", accept_encoding);
        gate.ask(&request.header("If-None-Match", tag))
    };
    for _ in 0..2 {
        let coded = gate.accepting(KEPT, "gzip");
        assert_eq!(coded.header("etag"), Some("\"a;gzip\""));
        assert_eq!(coded.header("accept-ranges"), None);
    }
    assert_eq!(gate.get(KEPT).header("etag"), Some("\"a\""));

    for (accept_encoding, tag, status) in [
        ("gzip", "\"a;gzip\"", 304),
        ("gzip, br", "W/\"a;gzip\"", 304),
        ("gzip", "\"a\"", 304),
        ("br", "\"a;gzip\"", 200),
        ("gzip", "\"b;gzip\"", 200),
    ] {
        let answer = having(KEPT, accept_encoding, tag);
        assert_eq!(answer.status, status, "{accept_encoding} {tag}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{tag}");
        if status == 304 {
            let plain = tag.trim_start_matches("W/");
            assert_eq!(answer.header("etag"), Some(plain), "{tag}");
            assert_eq!(answer.header("content-encoding"), None);
            assert!(answer.body.is_empty());
        }
    }
    assert_eq!(gate.asked(KEPT), 1);
}

#[test]
fn p3_the_upstream_hears_of_its_own_tags_alone() {
    let gate = Gate::open();
    let html = ("content-type", "text/html");
    gate.says(&[html, ("etag", "\"a\""), ("cache-control", "max-age=0")], &page(5000));
    assert_eq!(gate.accepting(KEPT, "gzip").header("etag"), Some("\"a;gzip\""));
    let asked_with = |request: Request, field: &str| {
        let before = gate.origin.asked(HOST, 0).len();
        let answer = gate.ask(&request.clone().header("Accept-Encoding", "gzip"));
        let asked = gate.origin.asked(HOST, 1);
        assert_eq!(asked.len(), before + 1, "{request}");
        (answer, asked.last().and_then(|request| request.head.joined(field)))
    };
    // Stale: the cache asks with what it has.
    let request = Request::get(KEPT).header("If-None-Match", "\"a;gzip\"");
    let (answer, tags) = asked_with(request, "if-none-match");
    assert_eq!(tags.as_deref(), Some("\"a\""));
    assert_eq!(answer.status, 304, "a new answer of the same tag is one that the client has");
    // Passed on: the origin judges.
    gate.answers(304, &[("etag", "\"a\"")], "");
    let request = Request::get(PASSED).header("If-None-Match", "\"x\", \"a;gzip\"");
    let (answer, tags) = asked_with(request, "if-none-match");
    assert_eq!(tags.as_deref(), Some("\"x\", \"a\""));
    assert_eq!((answer.status, answer.header("etag")), (304, Some("\"a;gzip\"")));
    assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    gate.answers(204, &[], "");
    let request = Request::new("PUT", PASSED).header("If-Match", "\"a;gzip\"").body("new");
    assert_eq!(asked_with(request, "if-match").1.as_deref(), Some("\"a\""));
}

#[test]
fn p3_a_confirmed_answer_keeps_its_codings() {
    let gate = Gate::open();
    let head = [("content-type", "text/html"), ("etag", "\"a\""), ("cache-control", "max-age=0")];
    gate.says(&head, &page(5000));
    let first = gate.accepting(KEPT, "gzip");
    gate.answers(304, &[("etag", "\"a\""), ("cache-control", "max-age=60")], "");
    let confirmed = gate.accepting(KEPT, "gzip");
    assert_eq!(confirmed.body, first.body);
    assert!(confirmed.header("content-length").is_some(), "it was there already");
    let hit = gate.accepting(KEPT, "gzip");
    assert!(is_hit(&hit));
    assert_eq!((&hit.body, hit.header("etag")), (&first.body, Some("\"a;gzip\"")));
}

#[test]
fn c11_what_is_refreshed_behind_a_clients_back_is_kept_with_its_coding() {
    let gate = Gate::open();
    let stale = ("cache-control", "max-age=0, stale-while-revalidate=600");
    gate.says(&[("content-type", "text/html"), stale], &page(5000));
    assert_eq!(decoded(&gate.accepting(KEPT, "gzip")), page(5000));
    gate.says(&[("content-type", "text/html"), ("cache-control", "max-age=60")], &page(6000));
    assert_eq!(decoded(&gate.accepting(KEPT, "gzip")), page(5000), "stale, while it is refreshed");
    let fresh = eventually(|| {
        let answer = gate.accepting(KEPT, "gzip");
        (decoded(&answer) == page(6000)).then_some(answer)
    });
    assert!(is_hit(&fresh) && fresh.header("content-length").is_some(), "made already: {fresh:?}");
    assert_eq!(gate.asked(KEPT), 1);
}

#[test]
fn p3_ranges_are_cut_from_the_body_without_coding() {
    let gate = Gate::open();
    let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
    let head = [
        ("content-type", "text/html"),
        ("etag", "\"a\""),
        ("last-modified", modified),
        ("date", "Sat, 07 Jan 1995 00:00:00 GMT"),
    ];
    gate.says(&head, &page(5000));
    let _ = gate.accepting(KEPT, "gzip");
    let part = |if_range: Option<&str>, accept_encoding| {
        let mut request = Request::get(KEPT).header("Range", "bytes=0-9");
        if let Some(condition) = if_range {
            request = request.header("If-Range", condition);
        }
        gate.ask(&request.header("Accept-Encoding", accept_encoding))
    };
    for if_range in [None, Some("\"a\"")] {
        let answer = part(if_range, "gzip");
        assert_eq!(answer.status, 206, "{if_range:?}");
        assert_eq!(answer.body, &page(5000).as_bytes()[..10]);
        assert_eq!(answer.header("etag"), Some("\"a\""), "not that of the coded one");
        assert_eq!(answer.header("content-encoding"), None);
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    }
    for if_range in ["\"a;gzip\"", modified] {
        let answer = part(Some(if_range), "gzip");
        assert_eq!(answer.status, 200, "{if_range}");
        assert_eq!(decoded(&answer), page(5000));
    }
    assert_eq!(part(Some(modified), "identity").status, 206, "nothing coded to mistake it for");
}

#[test]
fn p3_a_head_says_what_a_get_would() {
    let gate = Gate::open();
    let length = ("content-length", "5000");
    let head = [("content-type", "text/html"), ("etag", "\"a\""), length];
    for target in [KEPT, PASSED, "/off"] {
        for accept_encoding in ["gzip", "identity"] {
            gate.says(&head, &page(5000));
            let asked = |method| {
                let request = Request::new(method, target);
                gate.ask(&request.header("Accept-Encoding", accept_encoding))
            };
            let before = asked("HEAD");
            let get = asked("GET");
            let after = asked("HEAD");
            for (time, head) in [("before", before), ("after", after)] {
                for name in ["content-encoding", "etag", "vary", "content-type"] {
                    let place = format!("{name} of {target} for {accept_encoding} {time}");
                    assert_eq!(head.header(name), get.header(name), "{place}");
                }
                if let Some(length) = head.header("content-length") {
                    assert_eq!(length, get.body.len().to_string(), "{target} {time}");
                }
            }
        }
    }
}

#[test]
fn p3_a_trickling_body_is_compressed_without_being_held_back() {
    let origin = TricklingOrigin::start("content-type: text/html");
    let shim = Shim::serve_policy(&policy(origin.address));
    for coding in CODINGS {
        let mut client = TcpStream::connect(shim.address()).expect("a connection");
        client.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let request =
            format!("GET {PASSED} HTTP/1.1\r\nhost: h\r\naccept-encoding: {coding}\r\n\r\n");
        client.write_all(request.as_bytes()).expect("a request");
        let mut body = Chunks { stream: BufReader::new(client), left: 0, has_ended: false };
        let head = body.head();
        assert!(head.contains(&format!("content-encoding: {coding}")), "{head}");
        // What the origin has sent is here while it is still at it.
        origin.send("first ");
        let mut text = decoder(coding, Box::new(body));
        for (word, next) in [("first ", "second "), ("second ", "third")] {
            let mut seen = vec![0; word.len()];
            text.read_exact(&mut seen).expect("what the origin has sent");
            assert_eq!(seen, word.as_bytes(), "{coding}");
            origin.send(next);
        }
        origin.end();
        let mut rest = String::new();
        text.read_to_string(&mut rest).expect("the end");
        assert_eq!(rest, "third", "{coding}");
    }
}

#[test]
fn p3_what_breaks_off_upstream_breaks_off_here_and_is_not_kept() {
    let origin = TricklingOrigin::start("content-type: text/html\r\ncontent-length: 90000");
    let shim = Shim::serve_policy(&policy(origin.address));
    let request = Request::get(KEPT).header("Accept-Encoding", "gzip");
    for _ in 0..2 {
        let mut connection = shim.client().connect().expect("a connection");
        connection.ask(&request).expect("a request");
        origin.send_raw("begin");
        origin.break_off();
        let error = connection.read_response("GET").expect_err("no whole answer");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
    }
}

#[test]
fn p3_clients_that_ask_while_a_coding_is_being_made_follow_it() {
    let gate = Gate::open();
    gate.says(&[("content-type", "text/html")], &page(3_000_000));
    assert_eq!(gate.get(KEPT).body.len(), 3_000_000);
    let client = gate.shim.client();
    let request = accepting(KEPT, "br");
    let bodies: Vec<Vec<u8>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..6).map(|_| scope.spawn(|| client.send(&request).body)).collect();
        clients.into_iter().map(|client| client.join().expect("an answer")).collect()
    });
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let stored = eventually(|| {
        let answer = gate.accepting(KEPT, "br");
        answer.header("content-length").is_some().then_some(answer)
    });
    assert_eq!(stored.body, bodies[0]);
    assert_eq!(decoded(&stored), page(3_000_000));
    assert_eq!(gate.asked(KEPT), 1);
}

/// A shim that compresses, before an origin that says what the test says.
struct Gate {
    origin: ScriptedOrigin,
    shim: Shim,
    count: std::sync::atomic::AtomicUsize,
}

impl Gate {
    fn open() -> Self {
        let origin = ScriptedOrigin::start();
        let shim = Shim::serve_policy(&policy(origin.address()));
        Self { origin, shim, count: Default::default() }
    }

    /// What the origin answers from now on, [`TIMES`] times.
    fn says(&self, head: &[(&str, &str)], body: &str) {
        self.answers(200, head, body);
    }

    fn answers(&self, status: u16, head: &[(&str, &str)], body: &str) {
        let head = Head(head.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect());
        let response = message::Response { status, head, body: body.to_owned() };
        self.origin.expect(HOST, vec![Script::Answers(response); TIMES]);
    }

    fn ask(&self, request: &Request) -> Response {
        self.shim.client().send(&request.clone().header("Host", HOST))
    }

    fn get(&self, target: &str) -> Response {
        self.ask(&Request::get(target))
    }

    fn accepting(&self, target: &str, accept_encoding: &str) -> Response {
        self.shim.client().send(&accepting(target, accept_encoding))
    }

    /// How often the origin was asked for a target since it was told what to say.
    fn asked(&self, target: &str) -> usize {
        self.origin.asked(HOST, 0).iter().filter(|request| request.target == target).count()
    }

    /// Another number each time.
    fn number(&self) -> usize {
        self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}

fn accepting(target: &str, accept_encoding: &str) -> Request {
    Request::get(target).header("Host", HOST).header("Accept-Encoding", accept_encoding)
}

fn policy(origin: SocketAddr) -> PolicyFile {
    let route = |name: &str, pattern: &str, more: &str| {
        format!("[[routes]]\nname = \"{name}\"\nmatch = \"{pattern}\"\nupstream = \"o\"\n{more}\n")
    };
    let kept = "origin = { mode = \"default\", ttl = \"1h\" }";
    PolicyFile::with_text(
        &[
            format!("schema = 1\n[compression]\n[upstreams.o]\nservers = [\"{origin}\"]\n"),
            route("kept", KEPT, kept),
            route("all-kept", "/kept/*", kept),
            route("off", "/off", &format!("{kept}\ncompression = false")),
            route("daring", "/daring", "compression = { personal = true }"),
            route("passed", "/*", ""),
        ]
        .concat(),
    )
}

/// A text of so many bytes.
fn page(length: usize) -> String {
    let mut page = String::new();
    for number in 0.. {
        if page.len() >= length {
            break;
        }
        page += &format!(
            "<li id=\"{number}\">tide {} gate {}</li>\n",
            number * 7919 % 1009,
            number % 13
        );
    }
    page.truncate(length);
    page
}

fn decoded(answer: &Response) -> String {
    let coding = answer.header("content-encoding").unwrap_or_default().to_owned();
    let mut text = String::new();
    let body = std::io::Cursor::new(answer.body.clone());
    decoder(&coding, Box::new(body)).read_to_string(&mut text).expect("what the coding says");
    text
}

/// Reads what a body says, as far as it has come.
fn decoder(coding: &str, body: Box<dyn std::io::Read>) -> Box<dyn std::io::Read> {
    match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(body)),
        // A byte at a time, so that it never waits for more than is there.
        "br" => Box::new(brotli::Decompressor::new(body, 1)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(body).expect("a decoder")),
        _ => body,
    }
}

/// The header lines that say what the body is.
fn described(answer: &Response) -> Vec<Option<&str>> {
    ["content-encoding", "content-length", "content-type", "etag", "vary"]
        .map(|name| answer.header(name))
        .to_vec()
}

fn is_hit(answer: &Response) -> bool {
    CacheStatus::of(answer).hop("tidegate-origin").hit()
}

/// What `look` finds, which may take a moment.
fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "it never came");
        thread::yield_now();
    }
}

/// An origin that sends what it is told when it is told.
struct TricklingOrigin {
    address: SocketAddr,
    orders: mpsc::Sender<Order>,
}

enum Order {
    Send(Vec<u8>),
    Close,
}

impl TricklingOrigin {
    /// Answers each connection with these header lines, without a length in chunks, and closes it.
    fn start(head: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (orders, inbox) = mpsc::channel();
        thread::spawn(move || {
            let framing =
                if head.contains("content-length") { "" } else { "transfer-encoding: chunked\r\n" };
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = BufReader::new(stream.try_clone().expect("a second handle"));
                let mut line = String::new();
                while request.read_line(&mut line).is_ok_and(|length| length > 2) {
                    line.clear();
                }
                let head =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{head}\r\n{framing}\r\n");
                if stream.write_all(head.as_bytes()).is_err() {
                    continue;
                }
                while let Ok(Order::Send(bytes)) = inbox.recv() {
                    if stream.write_all(&bytes).is_err() {
                        break;
                    }
                }
            }
        });
        Self { address, orders }
    }

    fn send(&self, text: &str) {
        self.send_raw(&format!("{:x}\r\n{text}\r\n", text.len()));
    }

    fn send_raw(&self, text: &str) {
        self.orders.send(Order::Send(text.as_bytes().to_vec())).expect("an origin");
    }

    fn end(&self) {
        self.send_raw("0\r\n\r\n");
        self.break_off();
    }

    fn break_off(&self) {
        self.orders.send(Order::Close).expect("an origin");
    }
}

/// The content of a chunked body, as it comes.
struct Chunks {
    stream: BufReader<TcpStream>,
    /// What is left of this chunk.
    left: usize,
    has_ended: bool,
}

impl Chunks {
    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.stream.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        head
    }
}

impl std::io::Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.has_ended {
            return Ok(0);
        }
        if self.left == 0 {
            let mut size = String::new();
            self.stream.read_line(&mut size)?;
            self.left = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
            if self.left == 0 {
                self.has_ended = true;
                return Ok(0);
            }
        }
        let most = into.len().min(self.left);
        let length = self.stream.read(&mut into[..most])?;
        self.left -= length;
        if self.left == 0 {
            self.stream.read_line(&mut String::new())?;
        }
        Ok(length)
    }
}
