//! What the shim takes from an origin, and what of it the client gets: by the letter, or not at
//! all.

use std::{
    io,
    sync::{Mutex, mpsc},
};

use tidegate_tests::{
    http2::Http2,
    policy_file::PolicyFile,
    raw_origin::{Peer, RawOrigin},
    shim::Shim,
    wire::{Request, Response},
};

#[test]
fn p2_what_two_readers_could_understand_differently_is_502() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: 1\r\n".repeat(101));
    let head = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhello");
    let bad = [
        head("content-length: 5\r\ntransfer-encoding: chunked"),
        head("transfer-encoding: chunked\r\ncontent-length: 5"),
        head("content-length: 5\r\ncontent-length: 5"),
        head("content-length: 5, 5"),
        head("content-length: +5"),
        head("content-length: -5"),
        head("content-length: 99999999999999999999"),
        head("content-length: five"),
        head("content-length: "),
        head("transfer-encoding: gzip, chunked"),
        head("transfer-encoding: identity"),
        head("transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        head("x: 1\r\n y: 2"),
        head("x: 1\ny: 2"),
        head("x: 1\ry: 2"),
        head("x: \0"),
        head("x : 1"),
        head(": 1"),
        head("no field"),
        "HTTP/1.1 200 OK\n\nhello".into(),
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".into(),
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n".into(),
        "HTTP/2 200 OK\r\n\r\n".into(),
        "HTTP/1.1 20 OK\r\n\r\n".into(),
        "HTTP/1.1 999 OK\r\n\r\n".into(),
        "ICY 200 OK\r\n\r\n".into(),
        "SSH-2.0-OpenSSH_9.2\r\n".into(),
        "hello".into(),
        String::new(),
        "HTTP/1.1 200 OK\r\ncontent-".into(),
        long,
        many,
    ];
    let said = bad.clone();
    let origin = RawOrigin::start(move |peer| {
        loop {
            let head = peer.head()?;
            let number: usize = head[5..].split(' ').next().unwrap().parse().unwrap();
            match said.get(number) {
                Some(text) => peer.write(text)?,
                None => peer.say("good")?,
            }
            if said.get(number).is_some_and(|text| text.is_empty() || text.ends_with("content-")) {
                return Ok(());
            }
        }
    });
    let shim = before(&origin, "retry = { attempts = 1 }\neject = { failures = 0 }");
    for (number, text) in bad.iter().enumerate() {
        let mut client = shim.client().connect().unwrap();
        let answer = client.exchange(&Request::get(&format!("/{number}"))).unwrap();
        let shown: String = text.chars().take(80).collect();
        assert_eq!(answer.status, 502, "{shown:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        // The same thread of the shim, and nothing of that connection is left.
        let good = client.exchange(&Request::get("/1000")).unwrap();
        assert_eq!((good.status, &*good.body), (200, &b"good"[..]), "after {shown:?}");
    }
}

#[test]
fn p2_what_comes_behind_an_answer_is_nobodys_answer() {
    let extra = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let origin = RawOrigin::start(move |peer| {
        loop {
            let head = peer.head()?;
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            match &*path {
                "/length" => peer.write(format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{extra}")),
                "/none" => peer.write(format!("HTTP/1.1 204 No Content\r\n\r\n{extra}")),
                "/chunked" => peer.write(format!(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{extra}"
                )),
                // A body where there is none (RFC 9112 §6.3).
                "/head" => peer.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"),
                _ => peer.say("good"),
            }?;
        }
    });
    let shim = before(&origin, "");
    for (method, path, body) in [
        ("GET", "/length", "ok"),
        ("GET", "/none", ""),
        ("GET", "/chunked", "ok"),
        ("HEAD", "/head", ""),
    ] {
        let mut client = shim.client().connect().unwrap();
        let answer = client.exchange(&Request::new(method, path)).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.body), body, "{path}");
        let next = client.exchange(&Request::get("/")).unwrap();
        assert_eq!(next.body, b"good", "behind {path}");
    }
}

#[test]
fn p2_each_framing_of_an_origin_ends_where_it_should() {
    let large = "x".repeat(300_000);
    let bodies = large.clone();
    let origin = RawOrigin::start(move |peer| {
        loop {
            let head = peer.head()?;
            let length = bodies.len();
            match head.split(' ').nth(1).unwrap_or_default() {
                "/length" => {
                    peer.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"))?;
                    peer.write(&bodies)?;
                }
                "/chunked" => {
                    peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n")?;
                    for piece in bodies.as_bytes().chunks(7_777) {
                        peer.write(format!("{:X};a=b\r\n", piece.len()))?;
                        peer.write(piece)?;
                        peer.write("\r\n")?;
                    }
                    peer.write("0\r\n\r\n")?;
                }
                _ => {
                    peer.write("HTTP/1.0 200 OK\r\n\r\n")?;
                    return peer.write(&bodies);
                }
            }
        }
    });
    let shim = before(&origin, "");
    for path in ["/length", "/chunked", "/close", "/length", "/chunked"] {
        let answer = shim.client().get(path);
        assert_eq!(answer.body.len(), large.len(), "{path}");
        assert_eq!((answer.status, &*answer.body), (200, large.as_bytes()), "{path}");
    }
}

#[test]
fn p2_a_body_that_is_cut_off_never_ends_well_and_is_never_stored() {
    let origin = RawOrigin::start(|peer| {
        let head = peer.head()?;
        let fields = match head.split(' ').nth(1).unwrap_or_default() {
            path if path.starts_with("/length") => "content-length: 50",
            _ => "transfer-encoding: chunked",
        };
        peer.write(format!("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n{fields}\r\n\r\n"))?;
        match head.split(' ').nth(1).unwrap_or_default() {
            "/length" => peer.write("half")?,
            "/length-reset" => {
                peer.write("half")?;
                peer.reset()?;
            }
            "/chunked" => peer.write("4\r\nhalf\r\n")?,
            "/within" => peer.write("9\r\nhalf")?,
            "/nonsense" => peer.write("4\r\nhalf\r\nnonsense\r\n0\r\n\r\n")?,
            "/too-long" => peer.write("4\r\nhalf\n0\r\n\r\n")?,
            _ => peer.write("4\r\nhalf\r\n0\r\nno trailer\r\n\r\n")?,
        }
        Ok(())
    });
    let shim = caching(&origin);
    let paths =
        ["/length", "/length-reset", "/chunked", "/within", "/nonsense", "/too-long", "/trailer"];
    for path in paths {
        for time in 1..=2 {
            let mut client = shim.client().connect().unwrap();
            client.ask(&Request::get(path)).unwrap();
            let read = client.read_response("GET");
            assert!(read.is_err(), "{path} ended well: {read:?}");
            let asked = origin.requests();
            assert_eq!(asked % 2, time % 2, "{path}: nothing was stored");
        }
    }
}

#[test]
fn p2_time_outs_are_those_of_the_policy() {
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let origin = RawOrigin::start(move |peer| {
        match peer.head()?.split(' ').nth(1).unwrap_or_default() {
            "/silent" => {}
            "/half-a-head" => peer.write("HTTP/1.1 200 OK\r\nx: ")?,
            "/events" => {
                peer.write(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n",
                )?;
                // Until a body elsewhere was quiet for too long.
                let _ = receiver.lock().unwrap().recv();
                return peer.write("data: 2\n\n");
            }
            _ => peer.write("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf")?,
        }
        peer.rest().map(drop)
    });
    let shim = before(&origin, "head_timeout = \"30ms\"\nread_timeout = \"30ms\"");
    let mut events = shim.client().connect().unwrap();
    events.ask(&Request::get("/events")).unwrap();
    events.read_until("data: 1").unwrap();
    for path in ["/silent", "/half-a-head"] {
        assert_eq!(shim.client().get(path).status, 504, "{path}");
    }
    let mut quiet = shim.client().connect().unwrap();
    quiet.ask(&Request::get("/quiet")).unwrap();
    assert!(quiet.read_response("GET").is_err());
    // Events have been quiet for longer than that.
    sender.send(()).unwrap();
    events.read_until("data: 2").unwrap();
}

#[test]
fn p2_a_server_that_takes_nothing_is_given_up() {
    let origin = RawOrigin::start(|peer| {
        peer.head()?;
        std::thread::park();
        Ok(())
    });
    let shim = before(&origin, "send_timeout = \"50ms\"");
    let large = Request::new("PUT", "/").body(vec![b'x'; 8 << 20]);
    let mut client = shim.client().connect().unwrap();
    // The shim does not read on, so that not all of it can be written.
    let asked = client.ask(&large);
    let answer = client.read_response("PUT");
    assert!(asked.is_err() || answer.is_ok_and(|answer| answer.status == 504));
}

#[test]
fn p2_an_answer_may_come_before_all_of_the_body() {
    let origin = RawOrigin::start(|peer| {
        peer.head()?;
        peer.bytes(1)?;
        peer.write("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
    });
    let shim = before(&origin, "");
    let mut client = shim.client().connect().unwrap();
    client.write(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nbegin").unwrap();
    let answer = client.read_response("PUT").unwrap();
    assert_eq!((answer.status, &*answer.body), (403, &b"no"[..]));
}

#[test]
fn p2_a_server_that_ends_its_side_has_still_answered() {
    let origin = RawOrigin::start(|peer| {
        peer.head()?;
        peer.say("good")?;
        peer.end_writing()?;
        peer.rest().map(drop)
    });
    let shim = before(&origin, "");
    let mut client = shim.client().connect().unwrap();
    for _ in 0..5 {
        assert_eq!(client.exchange(&Request::get("/")).unwrap().body, b"good");
    }
}

#[test]
fn p2_interim_answers_are_passed_on_and_never_stand_in_for_the_final_one() {
    let origin = RawOrigin::start(|peer| {
        loop {
            peer.head()?;
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")?;
            peer.write(
                "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n",
            )?;
            peer.write("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-le")?;
            peer.write("ngth: 5\r\nx-final: 1\r\n\r\nfinal")?;
        }
    });
    let shim = before(&origin, "");
    for _ in 0..3 {
        let mut client = shim.client().connect().unwrap();
        client.ask(&Request::get("/")).unwrap();
        let seen = client.read_until("\r\n\r\nfinal").unwrap();
        let heads: Vec<&str> = seen.split("\r\n\r\n").collect();
        assert_eq!(heads.len(), 4, "{seen}");
        assert!(heads[0].starts_with("HTTP/1.1 103 ") && heads[0].contains("link: </a.css>"));
        assert!(!heads[0].contains("x-hop"), "that is of the connection: {seen}");
        assert!(heads[1].starts_with("HTTP/1.1 102 "), "{seen}");
        assert!(heads[2].starts_with("HTTP/1.1 200 ") && heads[2].contains("x-final: 1"));
        assert!(!heads[2].contains("link"), "what is of the interim answer stays there");
        // Whoever skips them has one answer, and the connection goes on.
        let answer = shim.client().get("/");
        assert_eq!((answer.status, &*answer.body), (200, &b"final"[..]));
    }
}

#[test]
fn p2_interim_answers_are_for_one_request_and_for_clients_that_know_them() {
    let origin = RawOrigin::start(|peer| {
        loop {
            peer.head()?;
            peer.write("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n")?;
            peer.write(
                "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 5\r\n\r\nfinal",
            )?;
        }
    });
    let shim = caching(&origin);
    let seen = |request: &str| {
        let mut client = shim.client().connect().unwrap();
        client.write(request.as_bytes()).unwrap();
        client.read_until("final").unwrap()
    };
    let kept = "GET /kept HTTP/1.1\r\nhost: a\r\n\r\n";
    assert!(seen(kept).starts_with("HTTP/1.1 103 "));
    let hit = seen(kept);
    assert!(hit.starts_with("HTTP/1.1 200 ") && !hit.contains("link"), "{hit}");
    assert_eq!(origin.requests(), 1);
    let old = seen("GET /old HTTP/1.0\r\nhost: a\r\n\r\n");
    assert!(old.starts_with("HTTP/1.1 200 ") && !old.contains("link"), "{old}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Http2::in_the_clear(shim.address()).await;
        let answer = client.get(&format!("http://{}/new", shim.address())).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"final"[..]));
        assert!(!answer.headers().contains_key("link"));
    });
}

#[test]
fn p2_trailers_reach_clients_that_take_them() {
    let origin = RawOrigin::start(|peer| {
        loop {
            let head = peer.head()?;
            let asked = head.contains("\r\nte: trailers\r\n");
            assert_eq!(asked, head.contains("\r\nconnection: te\r\n"), "{head}");
            peer.write(format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-asked: {asked}\r\n\r\n\
                 5\r\nhello\r\n0\r\nx-sum: 7\r\ncontent-length: 9\r\n\r\n"
            ))?;
        }
    });
    let shim = before(&origin, "");
    let mut client = shim.client().connect().unwrap();
    client.ask(&Request::get("/").header("TE", "trailers").header("Connection", "TE")).unwrap();
    let taken = client.read_until("\r\n0\r\nx-sum: 7\r\n\r\n").unwrap();
    assert!(taken.contains("x-asked: true"), "{taken}");
    // Without Connection it was meant for somebody else.
    for request in [Request::get("/"), Request::get("/").header("TE", "trailers")] {
        let answer = shim.client().send(&request);
        assert_eq!((&*answer.body, answer.header("x-asked")), (&b"hello"[..], Some("false")));
    }
}

#[test]
fn p2_bodies_reach_the_origin_however_they_are_framed() {
    let origin = RawOrigin::start(echo);
    let shim = before(&origin, "");
    let body: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let sent = |request: &Request| -> Response { shim.client().send(request) };
    let known = sent(&Request::new("POST", "/").body(&*body));
    assert_eq!(known.header("x-framing"), Some("content-length: 200000"));
    assert_eq!(known.body, body);
    let mut chunked = Vec::new();
    for piece in body.chunks(9_999) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let unknown =
        sent(&Request::new("POST", "/").header("Transfer-Encoding", "chunked").body(chunked));
    assert_eq!(unknown.header("x-framing"), Some("transfer-encoding: chunked"));
    assert_eq!(unknown.body, body);
    let none = sent(&Request::new("POST", "/").header("Content-Length", "0"));
    assert_eq!(none.header("x-framing"), Some("content-length: 0"));
    assert_eq!(sent(&Request::get("/")).header("x-framing"), Some("none"));
}

/// Says how the body of a request was framed, and sends it back.
fn echo(peer: &mut Peer) -> io::Result<()> {
    loop {
        let head = peer.head()?;
        let framing = |line: &&str| {
            line.starts_with("content-length: ") || line.starts_with("transfer-encoding: ")
        };
        let said = head.lines().find(framing).unwrap_or("none");
        let mut body = Vec::new();
        match said.strip_prefix("content-length: ") {
            Some(length) => body = peer.bytes(length.parse().expect("a number"))?,
            None if said == "none" => {}
            None => loop {
                let size = usize::from_str_radix(&peer.line()?, 16).expect("a size");
                body.extend(peer.bytes(size)?);
                assert_eq!(peer.line()?, "");
                if size == 0 {
                    break;
                }
            },
        }
        let length = body.len();
        peer.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nx-framing: {said}\r\n\r\n"
        ))?;
        peer.write(body)?;
    }
}

/// A shim before one origin that is asked so, with one route to it.
#[track_caller]
fn before(origin: &RawOrigin, how: &str) -> Shim {
    serve(origin, how, "")
}

/// The same, which keeps what the origin lets it keep.
#[track_caller]
fn caching(origin: &RawOrigin) -> Shim {
    serve(origin, "", "origin = \"respect\"")
}

#[track_caller]
fn serve(origin: &RawOrigin, how: &str, route: &str) -> Shim {
    Shim::serve_policy(&PolicyFile::with_text(&format!(
        "schema = 1\n[upstreams.app]\nservers = \"{}\"\n{how}\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"app\"\n{route}\n",
        origin.address()
    )))
}
