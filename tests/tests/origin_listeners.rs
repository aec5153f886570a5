//! Where the shim listens: at several places at once, on sockets in the file system, and for so
//! many connections.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use tempfile::TempDir;
use tidegate_tests::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    shim::{Shim, address_of, refused_serve_at},
    wire::{Client, Connection, PATIENCE, Request, Response},
};

#[test]
fn one_process_listens_at_several_places() {
    let (folder, origin) = (TempDir::new().unwrap(), DemoOrigin::start());
    let path = folder.path().join("http.sock");
    let unix = format!("unix:{} mode=606", path.display());
    let places = ["127.0.0.1:0", "[::1]:0", "127.0.0.1:0", &unix];
    let shim = Shim::serve_at(&policy(""), &origin, &places);
    let addresses: Vec<_> = shim.places().iter().filter_map(|place| address_of(place)).collect();
    assert_eq!(addresses.len(), 3, "{:?}", shim.places());
    assert_ne!(addresses[0], addresses[2], "each its own free port");
    assert_eq!(shim.places()[3], format!("unix:{}", path.display()));
    let served = [0, 2].map(|at| Client::of(addresses[at]).get("/api/v1/time").status);
    assert_eq!(served, [200, 200]);
    let mut six = TcpConnection::to(addresses[1]);
    assert_eq!(six.get("/api/v1/time").status, 200);
    assert_eq!(over(&path).exchange(&Request::get("/api/v1/time")).unwrap().status, 200);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o606);
    assert_eq!(origin.base().total(), 4);

    shim.stop();
    assert!(!path.exists(), "nobody listens there any more");
}

#[test]
fn p2_who_comes_through_the_file_system_is_who_a_trusted_proxy_says() {
    let (folder, origin) = (TempDir::new().unwrap(), DemoOrigin::start());
    let path = folder.path().join("http.sock");
    let place = format!("unix:{}", path.display());
    let forwarded = |sections: &str| {
        let shim = Shim::serve_at(&policy(sections), &origin, &[&place]);
        let request =
            Request::get("/api/v1/echo").header("X-Forwarded-For", "1.1.1.1, 203.0.113.7");
        let answer = over(&path).exchange(&request).unwrap();
        shim.stop();
        let seen = answer.json()["headers"].clone();
        let line = |name: &str| {
            let mut lines = seen.as_array().unwrap().iter().filter(|line| line[0] == name);
            let line = lines.next().map(|line| line[1].as_str().unwrap().to_owned());
            assert!(lines.next().is_none(), "{name} stands there once: {seen}");
            line.unwrap_or_default()
        };
        [line("x-real-ip"), line("x-forwarded-for")]
    };
    assert_eq!(forwarded(""), ["unknown", "unknown"]);
    let trusted = forwarded("[shim]\ntrusted_proxies = \"unix:\"\n");
    assert_eq!(trusted, ["203.0.113.7", "1.1.1.1, 203.0.113.7"]);
}

#[test]
fn what_a_dead_process_left_is_no_obstacle_and_what_lives_is() {
    let (folder, origin) = (TempDir::new().unwrap(), DemoOrigin::start());
    let path = folder.path().join("http.sock");
    let place = format!("unix:{}", path.display());
    let live = UnixListener::bind(&path).unwrap();
    let refused = refused_serve_at(&policy(""), &[&place]);
    assert!(!refused.status.success());
    let said = &refused.stderr;
    assert!(said.contains(&format!("cannot listen on {place}: Address already in use")), "{said}");
    assert!(said.contains("= hint: stop what listens there"), "{said}");

    drop(live);
    assert!(path.exists(), "a socket that is closed stays in the file system");
    let shim = Shim::serve_at(&policy(""), &origin, &[&place]);
    assert_eq!(over(&path).exchange(&Request::get("/healthz")).unwrap().status, 200);
    drop(shim);

    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "not a socket").unwrap();
    let refused = refused_serve_at(&policy(""), &[&format!("unix:{}", file.display())]);
    assert!(refused.stderr.contains("if it is no socket"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a socket");
}

#[test]
fn a_place_that_cannot_be_had_is_named_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let nowhere =
        format!("unix:{}/no/such/folder/x.sock", TempDir::new().unwrap().path().display());
    for (place, remedy) in [
        (&*taken, "stop what listens there, or choose another address with --listen"),
        ("192.0.2.1:80", "choose an address that this machine has"),
        (&nowhere, "make the folder first"),
    ] {
        let refused = refused_serve_at(&policy(""), &["127.0.0.1:0", place]);
        assert!(!refused.status.success());
        assert_eq!(refused.stdout, "", "nothing is served");
        let said = &refused.stderr;
        assert!(said.contains(&format!("cannot listen on {place}: ")), "{said}");
        assert!(said.contains(remedy), "{said}");
    }
    let refused = refused_serve_at(&policy(""), &["example.com:80"]);
    assert!(refused.stderr.contains("no IP address with a port"), "{}", refused.stderr);
}

#[test]
fn an_address_of_ipv6_leaves_ipv4_to_who_names_it() {
    // Any port that is free for both.
    let port = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let origin = DemoOrigin::start();
    let (six, four) = (format!("[::]:{port}"), format!("127.0.0.1:{port}"));
    let shim = Shim::serve_at(&policy(""), &origin, &[&six]);
    let four_address = four.parse().unwrap();
    assert_eq!(Client::of(four_address).get("/healthz").status, 200, "it takes both by itself");
    shim.stop();
    let shim = Shim::serve_at(&policy(""), &origin, &[&six, &four]);
    assert_eq!(Client::of(four_address).get("/healthz").status, 200);
    let mut six = TcpConnection::to(format!("[::1]:{port}").parse().unwrap());
    assert_eq!(six.get("/healthz").status, 200);
    shim.stop();
}

#[test]
fn p8_who_comes_when_all_room_is_taken_is_told_and_later_served() {
    let (folder, origin) = (TempDir::new().unwrap(), DemoOrigin::start());
    let path = folder.path().join("http.sock");
    let unix = format!("unix:{}", path.display());
    let mut shim =
        Shim::serve_at(&policy("[shim]\nconnections = 2\n"), &origin, &["127.0.0.1:0", &unix]);
    let client = shim.client();
    let mut held = client.connect().unwrap();
    let mut other = over(&path);
    let request = Request::get("/healthz");
    for connection in [&mut held, &mut other] {
        assert_eq!(connection.exchange(&request).unwrap().status, 200);
    }
    let mut third = [client.connect().unwrap(), over(&path)];
    for connection in &mut third {
        let answer = connection.exchange(&request).unwrap();
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.json()["status"], 503);
    }
    let said = shim.next_error_line();
    assert!(said.contains("2 connections are held, which is all there is room for"), "{said}");
    assert_eq!(held.exchange(&request).unwrap().status, 200, "who is in stays in");
    drop(other);
    // The end of the other is noticed in its own time, by whoever has its thread.
    let served = (0..1000).any(|_| {
        let answer = client.connect().and_then(|mut connection| connection.exchange(&request));
        answer.is_ok_and(|answer| answer.status == 200)
    });
    assert!(served, "there is room again");
}

/// A connection over IPv6, which [`Client`] does not come from.
struct TcpConnection(Connection);

impl TcpConnection {
    fn to(address: std::net::SocketAddr) -> Self {
        let stream = std::net::TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self(Connection::over(stream, address))
    }

    fn get(&mut self, target: &str) -> Response {
        self.0.exchange(&Request::get(target)).expect("an answer")
    }
}

fn over(path: &Path) -> Connection {
    let stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    Connection::over(stream, ([127, 0, 0, 1], 80).into())
}

fn policy(sections: &str) -> PolicyFile {
    PolicyFile::with_text(&format!(
        "schema = 1\n{sections}[upstreams.base]\nservers = \"${{BASE_SVC:-127.0.0.1:9}}\"\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"base\"\n"
    ))
}
