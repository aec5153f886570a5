//! Connections that leave HTTP for another protocol.

use std::{
    io::ErrorKind,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Mutex, mpsc},
    thread,
};

use futures_util::{SinkExt as _, StreamExt as _};
use tidegate_tests::{
    hold::until,
    metrics::Metrics,
    policy_file::PolicyFile,
    raw_origin::RawOrigin,
    shim::Shim,
    tls::{Authority, BOTH},
    wire::{Connection, Request},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

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
    assert!(ends.recv().unwrap(), "the server hears of it");
    assert!(is_over(&mut client), "the client hears of it, too");
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
    assert!(is_over(&mut client));
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
fn p2_a_websocket_works_as_without_the_shim() {
    runtime().block_on(async {
        let origin = websocket_server().await;
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.issue(folder.path(), "site", &["localhost"]);
        let site = folder.path().join("site").display().to_string();
        let file = PolicyFile::with_text(&format!(
            "schema = 1\n[compression]\n[shim]\nlisten = \"https://127.0.0.1:0\"\n\
             [shim.tls]\ncertificates = [{{ chain = \"{site}.pem\", key = \"{site}.key\" }}]\n{}",
            sections(origin, "", "")
        ));
        let shim = Shim::serve_policy_as_it_says(&file);
        let stream = tokio::net::TcpStream::connect(shim.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        // Browsers offer this alone for a WebSocket.
        let config = authority.client(BOTH, &["http/1.1"]);
        talk(TlsConnector::from(config).connect(name, stream).await.unwrap()).await;

        let shim = Shim::serve_policy(&PolicyFile::with_text(&policy(origin, "", "")));
        talk(tokio::net::TcpStream::connect(shim.address()).await.unwrap()).await;
    });
}

#[test]
fn p2_a_request_for_another_protocol_is_never_answered_from_a_cache() {
    let origin = RawOrigin::start(|peer| {
        loop {
            match peer.head()?.contains("\r\nupgrade: websocket\r\n") {
                true => return peer.write(SWITCHES).and_then(|()| peer.rest().map(drop)),
                false => peer.say("stored")?,
            }
        }
    });
    let shim = before(&origin, "", "origin = { mode = \"override\", ttl = \"1h\" }");
    for _ in 0..2 {
        assert_eq!(shim.client().get("/chat").body, b"stored");
    }
    assert_eq!(origin.requests(), 1, "it is stored");
    let mut client = shim.client().connect().unwrap();
    client.ask(&websocket()).unwrap();
    client.read_until("101 ").unwrap();
    assert_eq!(shim.client().get("/chat").body, b"stored");
    assert_eq!(origin.requests(), 2);
}

#[test]
fn p2_limits_count_requests_for_another_protocol_and_servers_have_room_for_so_many() {
    let origin = RawOrigin::start(|peer| {
        peer.head()?;
        peer.write(SWITCHES)?;
        peer.rest().map(drop)
    });
    let mut shim = Shim::serve_policy(&PolicyFile::with_text(&format!(
        "schema = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n[limits.few]\nlimit = \"3 per 1h\"\n{}",
        sections(
            origin.address(),
            "max_connections = 2\nqueue = { length = 1, timeout = \"10ms\" }",
            "limit = \"few\""
        )
    )));
    let admin = shim.admin();
    let client = shim.client();
    let open = || {
        let mut tunnel = client.connect().unwrap();
        tunnel.ask(&websocket()).unwrap();
        tunnel.read_until("101 ").unwrap();
        tunnel
    };
    let tunnels = (open(), open());
    assert_eq!(client.send(&websocket()).status, 503, "both are at the server");
    assert_eq!(client.send(&websocket()).status, 429);
    let metrics = Metrics::of(admin);
    assert_eq!(metrics.value("tidegate_tunnels"), Some(2.0));
    let counted =
        "http_requests_total{route=\"all\",method=\"GET\",status=\"101\",cache=\"BYPASS\"}";
    assert_eq!(metrics.value(counted), Some(2.0), "{}", metrics.text());
    drop(tunnels);
    until(|| Metrics::of(admin).value("tidegate_tunnels") == Some(0.0));
}

#[test]
fn p7_tunnels_outlast_a_reload_and_the_begin_of_the_end() {
    let origin = RawOrigin::start(|peer| {
        peer.head()?;
        peer.write(SWITCHES)?;
        loop {
            let said = peer.bytes(4)?;
            peer.write(said)?;
        }
    });
    let file = PolicyFile::with_text(&policy(origin.address(), "", ""));
    let mut shim = Shim::serve_policy(&file);
    let mut client = shim.client().connect().unwrap();
    client.ask(&websocket()).unwrap();
    client.read_until("\r\n\r\n").unwrap();
    let mut echoes = |word: &str| {
        client.write(word.as_bytes()).unwrap();
        client.read_until(word).unwrap();
    };
    echoes("one.");
    file.rewrite(&policy(origin.address(), "head_timeout = \"5s\"", ""));
    assert!(shim.reload()["refused"].is_null());
    echoes("two.");
    shim.signal("TERM");
    // Both signals must not come at once: they would be one.
    while shim.client().connect().is_ok() {
        thread::yield_now();
    }
    echoes("tri.");
    // What the second one does, thirty seconds do, too.
    shim.signal("TERM");
    shim.stopped();
    assert!(is_over(&mut client));
}

/// What comes before the answer is no word of the other protocol.
#[test]
fn p2_a_server_must_not_change_before_it_has_heard_the_request() {
    let origin = RawOrigin::start(|peer| {
        peer.head()?;
        peer.write(SWITCHES)?;
        peer.rest().map(drop)
    });
    let shim = before(&origin, "", "");
    let mut client = shim.client().connect().unwrap();
    client
        .write(
            b"POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
              content-length: 100\r\n\r\nbegin",
        )
        .unwrap();
    assert_eq!(client.read_response("POST").unwrap().status, 502);
}

const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                        connection: upgrade\r\nsec-websocket-accept: x\r\n\r\n";

fn websocket() -> Request {
    Request::get("/chat")
        .header("Upgrade", "websocket")
        .header("Connection", "keep-alive, Upgrade")
        .header("Sec-WebSocket-Key", "key")
}

/// A server of WebSockets that says everything again.
async fn websocket_server() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let opened = tokio_tungstenite::accept_async(stream).await;
                let (mut say, hear) = opened.expect("a handshake").split();
                let said = hear.filter_map(async |said| {
                    said.ok().filter(|said| said.is_text() || said.is_binary()).map(Ok)
                });
                // How it ends is the client's to say.
                let _ = say.send_all(&mut std::pin::pin!(said)).await;
            });
        }
    });
    address
}

/// Opens a WebSocket over `stream`, and says and hears small, large and no words.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let opened = tokio_tungstenite::client_async("ws://localhost/chat", stream).await;
    let (mut socket, head) = opened.expect("a handshake");
    assert!(head.headers().contains_key("sec-websocket-accept"), "{head:?}");
    for said in [
        Message::text("hello"),
        Message::binary(vec![7; 1 << 20]),
        Message::text(""),
        Message::text("bye"),
    ] {
        socket.send(said.clone()).await.expect("it is open");
        assert_eq!(heard(&mut socket).await, said);
    }
    socket.send(Message::Ping("there?".into())).await.expect("it is open");
    assert_eq!(heard(&mut socket).await, Message::Pong("there?".into()));
    socket.close(None).await.expect("it is open");
    assert!(matches!(heard(&mut socket).await, Message::Close(_)), "the farewell is answered");
}

async fn heard<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Message {
    socket.next().await.expect("no end").expect("a message")
}

/// Whether nothing more comes, and that at once rather than after a while.
fn is_over(client: &mut Connection) -> bool {
    let error = client.read_until("more").expect_err("an end");
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
}

/// A shim before one origin that is asked so, with one route to it that is so.
#[track_caller]
fn before(origin: &RawOrigin, how: &str, route: &str) -> Shim {
    Shim::serve_policy(&PolicyFile::with_text(&policy(origin.address(), how, route)))
}

fn policy(origin: SocketAddr, how: &str, route: &str) -> String {
    format!("schema = 1\n{}", sections(origin, how, route))
}

fn sections(origin: SocketAddr, how: &str, route: &str) -> String {
    format!(
        "[upstreams.app]\nservers = \"{origin}\"\n{how}\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"app\"\n{route}\n"
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
