//! Connections that leave HTTP, and what of a request's body and client reaches the origin.

use std::{
    net::{Shutdown, TcpStream},
    sync::{Mutex, mpsc},
};

use tidegate_tests::{
    hold::until,
    policy_file::PolicyFile,
    raw_origin::{Peer, RawOrigin},
    shim::Shim,
    wire::{Connection, Request},
};

#[test]
fn p2_another_protocol_passes_in_both_directions() {
    let origin = RawOrigin::start(|peer| {
        let head = peer.head()?;
        assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
        assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
        assert!(head.contains("\r\nsec-websocket-key: key\r\n"), "{head}");
        peer.write(SWITCHES)?;
        peer.write("hello")?;
        let said = peer.bytes(4)?;
        peer.write(said)?;
        // The end of one direction is passed on, and the other goes on.
        assert_eq!(peer.rest()?, b"bye");
        peer.write("last")
    });
    let shim = before(&origin, "", "");
    let stream = TcpStream::connect(shim.address()).unwrap();
    let mut client = Connection::over(stream.try_clone().unwrap(), shim.address());
    client.ask(&websocket()).unwrap();
    let seen = client.read_until("hello").unwrap();
    let head = seen.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{seen}");
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "{seen}");
    assert!(head.contains("\r\nconnection: upgrade\r\n"), "{seen}");
    assert!(head.contains("\r\nsec-websocket-accept: x\r\n"), "{seen}");
    client.write(b"\x00\x01\r\n").unwrap();
    client.read_until("\x00\x01\r\n").unwrap();
    client.write(b"bye").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    client.read_until("last").unwrap();
}

#[test]
fn p2_an_origin_that_stays_with_http_answers_as_ever() {
    let origin = RawOrigin::start(|peer| {
        loop {
            peer.head()?;
            peer.write("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")?;
        }
    });
    let shim = before(&origin, "", "");
    let mut client = shim.client().connect().unwrap();
    for _ in 0..2 {
        let answer = client.exchange(&websocket()).unwrap();
        assert_eq!((answer.status, &*answer.body), (403, &b"no"[..]));
    }
}

/// Whoever speaks HTTP/2 through a tunnel would be past the policy.
#[test]
fn p2_nobody_is_asked_to_change_to_http_or_tls() {
    let origin = RawOrigin::start(|peer| {
        loop {
            let head = peer.head()?;
            let asked = head.lines().find(|line| line.starts_with("upgrade: ")).unwrap_or("none");
            peer.say(asked)?;
        }
    });
    let shim = before(&origin, "", "");
    for (asked, passed) in [
        ("h2c", "none"),
        ("H2C", "none"),
        ("HTTP/2.0", "none"),
        ("TLS/1.3", "none"),
        ("h2c, websocket", "upgrade: websocket"),
        ("x/1, y", "upgrade: x/1, y"),
    ] {
        let request = Request::get("/").header("Upgrade", asked).header("Connection", "upgrade");
        assert_eq!(shim.client().send(&request).body, passed.as_bytes(), "{asked}");
    }
    // What the connection does not name was meant for somebody else.
    let request = Request::get("/").header("Upgrade", "websocket");
    assert_eq!(shim.client().send(&request).body, b"none");
}

#[test]
fn p2_an_origin_changes_to_what_was_asked_for_alone() {
    let origin = RawOrigin::start(|peer| {
        let head = peer.head()?;
        match head.starts_with("GET /none ") {
            true => {
                peer.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n")?
            }
            false => peer.write(SWITCHES.replace("websocket", "other"))?,
        }
        peer.rest().map(drop)
    });
    let shim = before(&origin, "", "");
    for path in ["/none", "/other"] {
        let request =
            Request::get(path).header("Upgrade", "websocket").header("Connection", "upgrade");
        assert_eq!(shim.client().send(&request).status, 502, "{path}");
    }
}

#[test]
fn p2_a_tunnel_that_is_quiet_for_too_long_ends() {
    let (sender, ends) = mpsc::channel();
    let sender = Mutex::new(sender);
    let origin = RawOrigin::start(move |peer| {
        peer.head()?;
        peer.write(SWITCHES)?;
        let ended = peer.rest();
        sender.lock().unwrap().send(ended.is_ok()).unwrap();
        Ok(())
    });
    let shim = before(&origin, "tunnel_timeout = \"30ms\"\nmax_connections = 1", "");
    let mut client = shim.client().connect().unwrap();
    client.ask(&websocket()).unwrap();
    client.read_until("\r\n\r\n").unwrap();
    ends.recv().unwrap();
    assert!(client.read_until("more").is_err(), "the client hears of it, too");
    // Its place is free again.
    let mut another = shim.client().connect().unwrap();
    another.ask(&websocket()).unwrap();
    another.read_until("101 ").unwrap();
}

#[test]
fn p2_a_side_that_breaks_off_takes_the_other_along() {
    let origin = RawOrigin::start(|peer| {
        let head = peer.head()?;
        peer.write(SWITCHES)?;
        match head.starts_with("GET /stays ") {
            true => peer.rest().map(drop),
            false => peer.bytes(1).and_then(|_| peer.reset()),
        }
    });
    let shim = before(&origin, "", "");
    let mut client = shim.client().connect().unwrap();
    client.ask(&websocket()).unwrap();
    client.read_until("\r\n\r\n").unwrap();
    client.write(b"x").unwrap();
    assert!(client.read_until("more").is_err());
    let mut client = shim.client().connect().unwrap();
    client
        .ask(&Request::get("/stays").header("Upgrade", "x").header("Connection", "upgrade"))
        .unwrap();
    // It changes to something else than was asked for, so it is none of ours.
    assert!(client.read_until("502 ").is_ok());
    let mut client = shim.client().connect().unwrap();
    let stays =
        Request::get("/stays").header("Upgrade", "websocket").header("Connection", "upgrade");
    client.ask(&stays).unwrap();
    client.read_until("\r\n\r\n").unwrap();
    let before = origin.ended();
    drop(client);
    until(|| origin.ended() > before);
}

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

const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                        connection: upgrade\r\nsec-websocket-accept: x\r\n\r\n";

fn websocket() -> Request {
    Request::get("/chat")
        .header("Upgrade", "websocket")
        .header("Connection", "keep-alive, Upgrade")
        .header("Sec-WebSocket-Key", "key")
}

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

/// A shim before one origin that is asked so, with one route to it that is so.
#[track_caller]
fn before(origin: &RawOrigin, how: &str, route: &str) -> Shim {
    Shim::serve_policy(&PolicyFile::with_text(&policy(origin, how, route)))
}

fn policy(origin: &RawOrigin, how: &str, route: &str) -> String {
    format!(
        "schema = 1\n[upstreams.app]\nservers = \"{}\"\n{how}\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"app\"\n{route}\n",
        origin.address()
    )
}
