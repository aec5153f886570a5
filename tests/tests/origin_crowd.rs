//! Ten thousand clients who do nothing (P8).
#![allow(clippy::print_stderr, reason = "how much memory it takes is what one wants to know")]

use std::fs;

use rustix::process::{Resource, getrlimit};
use tidegate_origin::server::allow_files;
use tidegate_tests::{
    policy_file::PolicyFile,
    shim::Shim,
    tls::{Authority, BOTH},
    wire::{Connection, Request},
};

/// What P8 asks for.
const CLIENTS: u64 = 10_000;
/// And how much memory it may take, in bytes.
const MEMORY: u64 = 2_000_000_000;
/// Files that this test has open besides connections.
const OTHERS: u64 = 200;

#[test]
fn p8_ten_thousand_idle_connections_are_held_in_little_memory() {
    let policy = PolicyFile::with_text("schema = 1\n");
    let mut shim = Shim::serve_policy(&policy);
    let clients = room().min(CLIENTS);
    let process = shim.process().id();
    let before = resident(process);
    let client = shim.client();
    let mut held: Vec<Connection> = (0..clients)
        .map(|_| {
            let mut connection = client.connect().expect("there is room");
            connection.ask(&Request::get("/healthz")).expect("it is open");
            connection
        })
        .collect();
    for connection in &mut held {
        assert_eq!(connection.read_response("GET").expect("an answer").status, 200);
    }
    let after = resident(process);
    eprintln!(
        "{clients} idle connections: {} MB in all, {} bytes each",
        after / 1_000_000,
        after.saturating_sub(before) / clients
    );
    assert!(after < MEMORY, "{after} bytes");
    assert_eq!(client.get("/healthz").status, 200, "others are served as before");
    let again = held.last_mut().map(|one| one.exchange(&Request::get("/healthz")));
    let again = again.expect("one of them").expect("an answer");
    assert_eq!(again.status, 200, "and so is each of them");
    drop(held);
    shim.stop();
}

#[test]
fn p8_a_thousand_idle_tls_connections_take_little_memory_each() {
    const EACH: u64 = 100_000;
    let clients = 1_000;
    let authority = Authority::new();
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    authority.issue(folder.path(), "a", &["a.example"]);
    let path = folder.path().display();
    let policy = PolicyFile::with_text(&format!(
        "schema = 1\n[shim]\nlisten = \"https://127.0.0.1:0\"\n\
         [shim.tls]\ncertificates = {{ chain = \"{path}/a.pem\", key = \"{path}/a.key\" }}\n"
    ));
    let mut shim = Shim::serve_policy_as_it_says(&policy);
    let process = shim.process().id();
    let before = resident(process);
    let held: Vec<_> = (0..clients)
        .map(|_| {
            let spoken = authority.speak(shim.address(), "a.example", BOTH, &["http/1.1"]);
            let mut connection = spoken.expect("a handshake").connection;
            let answer = connection.exchange(&Request::get("/healthz"));
            assert_eq!(answer.expect("an answer").status, 200);
            connection
        })
        .collect();
    let each = resident(process).saturating_sub(before) / clients;
    eprintln!("{clients} idle TLS connections: {each} bytes each");
    assert!(each < EACH, "{each} bytes for a connection");
    drop(held);
    shim.stop();
}

/// A slow-loris holds places, but neither others up nor more memory than a head may have.
#[test]
fn p8_heads_without_an_end_take_bounded_memory_and_hold_nobody_up() {
    const EACH: u64 = 128 * 1024;
    let clients = 500;
    let mut shim = Shim::serve_policy(&PolicyFile::with_text("schema = 1\n"));
    let process = shim.process().id();
    let before = resident(process);
    let line = format!("x: {}\r\n", "y".repeat(1_000));
    let mut held: Vec<Connection> = (0..clients)
        .map(|_| {
            let mut connection = shim.client().connect().expect("there is room");
            let begin = format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{}", line.repeat(60));
            connection.write(begin.as_bytes()).expect("it is open");
            connection
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(shim.client().get("/healthz").status, 200);
    }
    let each = resident(process).saturating_sub(before) / clients;
    eprintln!("{clients} heads without an end: {each} bytes each");
    assert!(each < EACH, "{each} bytes for a head");
    for connection in &mut held {
        // Where it is refused meanwhile, the rest is not taken any more.
        let _ = connection.write(line.repeat(10).as_bytes());
        assert_eq!(connection.read_response("GET").expect("an answer").status, 431);
    }
    shim.stop();
}

/// How many connections this process can have, once it has allowed itself what it may.
fn room() -> u64 {
    let files = allow_files(CLIENTS + OTHERS);
    // What the shim may open, it gets from here; a quarter of that is for upstreams.
    let shim = getrlimit(Resource::Nofile).maximum.map_or(u64::MAX, |files| files - files / 4);
    (files - OTHERS).min(shim)
}

/// Memory that a process has in use, in bytes.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kilobytes = line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number");
    kilobytes * 1024
}
