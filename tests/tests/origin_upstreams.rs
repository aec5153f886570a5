//! The servers behind the shim: which of them is asked, and what follows when one fails.

use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex,
        mpsc::{self, Sender},
    },
};

use tidegate_tests::{
    cache_status::{CacheStatus, Hop},
    hold::{Hold, until},
    policy_file::PolicyFile,
    raw_origin::RawOrigin,
    shim::Shim,
    tls::Authority,
    wire::{Client, Connection, Request, Response},
};

#[test]
fn p1_one_connection_upstream_carries_many_requests() {
    let origin = RawOrigin::saying("hello");
    let shim = before(&format!("servers = \"{}\"", origin.address()));
    for _ in 0..5 {
        let mut client = same_thread(&shim);
        for _ in 0..5 {
            assert_eq!(client.exchange(&Request::get("/")).unwrap().body, b"hello");
        }
        assert_eq!(origin.requests() % 5, 0);
    }
    // Each thread of the shim has connections of its own.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    assert!(origin.connections() <= threads, "{} connections", origin.connections());
}

#[test]
fn p1_without_keepalive_each_request_has_a_connection_of_its_own() {
    let origin = RawOrigin::saying("hello");
    let shim = before(&format!("servers = \"{}\"\nkeepalive = 0", origin.address()));
    for _ in 0..3 {
        assert_eq!(shim.client().get("/").status, 200);
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn p1_weights_count_in_turn() {
    let (a, b) = (RawOrigin::saying("a"), RawOrigin::saying("b"));
    let shim = before(&format!(
        "servers = [{{ address = \"{}\", weight = 3 }}, \"{}\"]\nbalance = \"round-robin\"",
        a.address(),
        b.address()
    ));
    let said: Vec<u8> = (0..8).flat_map(|_| shim.client().get("/").body).collect();
    assert_eq!(said.iter().filter(|who| **who == b'a').count(), 6, "{said:?}");
    assert_eq!((a.requests(), b.requests()), (6, 2));
}

#[test]
fn p1_the_least_busy_server_is_asked() {
    let holds = [Hold::new(), Hold::new()];
    let origins: Vec<RawOrigin> = holds
        .iter()
        .map(|hold| {
            let hold = hold.clone();
            RawOrigin::start(move |peer| {
                let head = peer.head()?;
                if head.starts_with("GET /slow ") {
                    hold.wait();
                }
                peer.say("done")
            })
        })
        .collect();
    let shim =
        before(&format!("servers = [\"{}\", \"{}\"]", origins[0].address(), origins[1].address()));
    // One of them is at a request that takes its time.
    let mut slow = shim.client().connect().unwrap();
    slow.ask(&Request::get("/slow")).unwrap();
    let busy = usize::from(holds[1].is_entered_before(&holds[0]));
    let before = origins[1 - busy].requests();
    for _ in 0..4 {
        assert_eq!(shim.client().get("/quick").status, 200);
    }
    assert_eq!(origins[1 - busy].requests() - before, 4, "all went to the other");
    holds[busy].open();
    assert_eq!(slow.read_response("GET").unwrap().body, b"done");
}

#[test]
fn p1_who_cannot_be_reached_passes_every_request_on() {
    let origin = RawOrigin::start(|peer| {
        loop {
            let head = peer.head()?;
            let body = if head.starts_with("POST") { peer.bytes(5)? } else { Vec::new() };
            peer.say(&String::from_utf8_lossy(&body))?;
        }
    });
    let shim = before(&format!("servers = [\"{}\", \"{}\"]", nobody(), origin.address()));
    for _ in 0..4 {
        assert_eq!(shim.client().get("/").status, 200);
        let posted = shim.client().send(&Request::new("POST", "/").body("hello"));
        assert_eq!(posted.body, b"hello", "nothing of it was sent before");
    }
    let shim = before(&format!("servers = [\"{}\", \"{}\"]", nobody(), nobody()));
    assert_eq!(shim.client().get("/").status, 502);
}

#[test]
fn p1_what_broke_off_is_asked_of_another_unless_it_may_have_happened() {
    let bad = RawOrigin::start(|peer| peer.head().map(drop));
    let good = RawOrigin::start(|peer| {
        loop {
            let head = peer.head()?;
            if head.starts_with("PUT") {
                peer.bytes(2)?;
            }
            peer.say("good")?;
        }
    });
    let shim = before(&format!(
        "servers = [\"{}\", \"{}\"]\nbalance = \"round-robin\"\neject = {{ failures = 0 }}",
        bad.address(),
        good.address()
    ));
    let statuses = |request: &Request| -> Vec<u16> {
        (0..4).map(|_| shim.client().send(request).status).collect()
    };
    assert_eq!(statuses(&Request::get("/")), [200; 4]);
    assert_eq!(statuses(&Request::new("DELETE", "/")), [200; 4]);
    // The one may have happened, and the body of the other is used up.
    for request in [Request::new("POST", "/"), Request::new("PUT", "/").body("hi")] {
        let before = (bad.requests(), good.requests());
        let mut statuses = statuses(&request);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 502, 502], "{request}");
        let asked = (bad.requests() - before.0, good.requests() - before.1);
        assert_eq!(asked, (2, 2), "{request} each once");
    }
}

#[test]
fn p1_a_connection_that_was_closed_while_idle_is_nobodys_business() {
    // It answers once, and closes without a word.
    let origin = RawOrigin::start(|peer| {
        peer.head()?;
        peer.say("once")
    });
    let shim = before(&format!("servers = \"{}\"", origin.address()));
    for number in 1..=20 {
        assert_eq!(shim.client().get("/").body, b"once");
        // A POST is not sent twice, so the shim must know before.
        until(|| origin.ended() == 2 * number - 1);
        assert_eq!(shim.client().send(&Request::new("POST", "/")).body, b"once");
    }
    assert_eq!(origin.requests(), 40);
}

#[test]
fn p1_a_connection_that_breaks_under_the_next_request_is_replaced() {
    // It takes a second request, and closes: as if it had closed while that was on its way.
    let origin = RawOrigin::start(|peer| {
        peer.head()?;
        peer.say("first")?;
        peer.head().map(drop)
    });
    let shim = before(&format!("servers = \"{}\"", origin.address()));
    let mut client = same_thread(&shim);
    for _ in 0..4 {
        assert_eq!(client.exchange(&Request::get("/")).unwrap().status, 200);
    }
    assert!(origin.connections() >= 2, "{}", origin.connections());
}

#[test]
fn p1_a_server_that_fails_is_left_out_and_comes_back() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let good = RawOrigin::saying("good");
    let mut shim = before(&format!(
        "servers = [\"{address}\", \"{}\"]\nbalance = \"round-robin\"\n\
         eject = {{ failures = 2, time = \"50ms\" }}",
        good.address()
    ));
    for _ in 0..4 {
        assert_eq!(shim.client().get("/").body, b"good");
    }
    let line = shim.next_error_line();
    assert!(line.ends_with("of `app` is left out"), "{line}");
    assert!(line.contains(&address.to_string()), "{line}");
    let back = RawOrigin::listen(TcpListener::bind(address).unwrap(), |p| p.say_ever("back"));
    until(|| shim.client().get("/").body == b"back");
    assert!(back.requests() > 0);
    hear(&mut shim, "is in again");
}

#[test]
fn p1_checks_take_a_server_out_and_back() {
    let is_well = Arc::new(Mutex::new(true));
    let checked = Arc::clone(&is_well);
    let ailing = RawOrigin::start(move |peer| {
        loop {
            let head = peer.head()?;
            if !head.starts_with("GET /up ") {
                peer.say("ailing")?;
                continue;
            }
            assert!(head.contains("\r\nuser-agent: tidegate-health\r\n"), "{head}");
            match *checked.lock().unwrap() {
                true => peer.say("")?,
                false => peer.write("HTTP/1.1 503 Out\r\ncontent-length: 0\r\n\r\n")?,
            }
        }
    });
    let good = RawOrigin::saying("good");
    let mut shim = before(&format!(
        "servers = [\"{}\", \"{}\"]\nbalance = \"round-robin\"\n\
         health = {{ path = \"/up\", interval = \"10ms\", rise = 2, fall = 2 }}",
        ailing.address(),
        good.address()
    ));
    assert_eq!(both(&shim), ["ailing", "good"]);
    *is_well.lock().unwrap() = false;
    let line = shim.next_error_line();
    assert!(line.ends_with("of `app` is down: it answered with 503"), "{line}");
    assert_eq!(both(&shim), ["good"]);
    *is_well.lock().unwrap() = true;
    hear(&mut shim, "of `app` is up");
    assert_eq!(both(&shim), ["ailing", "good"]);
}

#[test]
fn p1_a_backup_is_asked_when_nobody_else_is_there() {
    let (first, backup) = (RawOrigin::saying("first"), RawOrigin::saying("backup"));
    let servers = |address: &dyn std::fmt::Display| {
        format!(
            "servers = [{{ address = \"{}\", backup = true }}, \"{address}\"]",
            backup.address()
        )
    };
    let shim = before(&servers(&first.address()));
    assert_eq!(both(&shim), ["first"]);
    let shim = before(&servers(&nobody()));
    assert_eq!(both(&shim), ["backup"]);
}

#[test]
fn p1_named_statuses_are_asked_of_another() {
    let bad = RawOrigin::start(|peer| {
        loop {
            peer.head()?;
            peer.write("HTTP/1.1 503 Out\r\ncontent-length: 3\r\n\r\nout")?;
        }
    });
    let good = RawOrigin::saying("good");
    let servers = |retry: &str| {
        format!(
            "servers = [\"{}\", \"{}\"]\nbalance = \"round-robin\"\nretry = {retry}",
            bad.address(),
            good.address()
        )
    };
    let shim = before(&servers("{ status = 503 }"));
    for _ in 0..4 {
        assert_eq!(shim.client().get("/").body, b"good");
    }
    let posted: Vec<u16> =
        (0..2).map(|_| shim.client().send(&Request::new("POST", "/")).status).collect();
    assert!(posted.contains(&503), "{posted:?}");
    let shim = before(&servers("{ status = 503, attempts = 1 }"));
    let asked: Vec<u16> = (0..2).map(|_| shim.client().get("/").status).collect();
    assert!(asked.contains(&503), "{asked:?}");
}

#[test]
fn p1_so_many_requests_are_at_a_server_and_others_wait_or_are_sent_away() {
    let hold = Hold::new();
    let entered = hold.clone();
    let origin = RawOrigin::start(move |peer| {
        loop {
            let head = peer.head()?;
            if head.starts_with("GET /slow ") {
                entered.wait();
            }
            peer.say("done")?;
        }
    });
    let shim = before(&format!(
        "servers = \"{}\"\nmax_connections = 1\nqueue = {{ length = 1, timeout = \"1m\" }}",
        origin.address()
    ));
    let ask = |path: &str| {
        let mut connection = shim.client().connect().unwrap();
        connection.ask(&Request::get(path)).unwrap();
        connection
    };
    let mut slow = ask("/slow");
    hold.entered();
    // One of these waits, and the other finds no place.
    let waiting = [ask("/quick"), ask("/quick")];
    let (sender, answers) = mpsc::channel();
    let threads: Vec<_> = waiting
        .into_iter()
        .map(|connection| {
            let sender = sender.clone();
            std::thread::spawn(move || read_into(connection, &sender))
        })
        .collect();
    let refused = answers.recv().unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(hop(&refused).detail(), Some("upstream-crowded"));
    assert_eq!(origin.requests(), 1, "no other has come through");
    hold.open();
    assert_eq!(slow.read_response("GET").unwrap().body, b"done");
    assert_eq!(answers.recv().unwrap().body, b"done", "whoever waited");
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn p1_who_waits_too_long_is_sent_away_and_gives_its_place_up() {
    let hold = Hold::new();
    let entered = hold.clone();
    let origin = RawOrigin::start(move |peer| {
        loop {
            if peer.head()?.starts_with("GET /slow ") {
                entered.wait();
            }
            peer.say("done")?;
        }
    });
    let shim = before(&format!(
        "servers = \"{}\"\nmax_connections = 1\nqueue = {{ length = 1, timeout = \"10ms\" }}",
        origin.address()
    ));
    let mut slow = shim.client().connect().unwrap();
    slow.ask(&Request::get("/slow")).unwrap();
    hold.entered();
    for _ in 0..3 {
        assert_eq!(shim.client().get("/").status, 503);
    }
    hold.open();
    assert_eq!(slow.read_response("GET").unwrap().status, 200);
    assert_eq!(shim.client().get("/").status, 200);
}

#[test]
fn p1_a_client_that_leaves_makes_room() {
    let hold = Hold::new();
    let entered = hold.clone();
    let origin = RawOrigin::start(move |peer| {
        loop {
            if peer.head()?.starts_with("GET /slow ") {
                entered.wait();
            }
            peer.say("done")?;
        }
    });
    let shim = before(&format!("servers = \"{}\"\nmax_connections = 1", origin.address()));
    let mut slow = shim.client().connect().unwrap();
    slow.ask(&Request::get("/slow")).unwrap();
    hold.entered();
    drop(slow);
    assert_eq!(shim.client().get("/").status, 200);
}

#[test]
fn p1_a_server_may_be_a_socket_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let origin = RawOrigin::at(&path, |peer| {
        loop {
            let head = peer.head()?;
            peer.say(head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap())?;
        }
    });
    let shim = before(&format!("servers = \"unix:{}\"", path.display()));
    let asked = Request::get("/").header("Host", "www.example.com");
    assert_eq!(shim.client().send(&asked).body, b"www.example.com");
    assert_eq!(shim.client().send(&asked).body, b"www.example.com");
    assert!(origin.requests() == 2 && origin.connections() <= 2);
}

#[test]
fn p1_a_server_may_have_a_name() {
    let origin = RawOrigin::saying("here");
    let shim = before(&format!("servers = \"localhost:{}\"", origin.address().port()));
    assert_eq!(shim.client().get("/").body, b"here");
    let shim = before("servers = \"no-such-host.invalid:80\"");
    assert_eq!(shim.client().get("/").status, 502);
}

/// The server is another shim, which asks the origin in clear.
#[test]
fn p1_a_server_may_be_asked_over_tls_and_must_show_who_it_is() {
    let (ours, others) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let root = |name: &str, authority: &Authority| {
        let path = folder.path().join(name);
        std::fs::write(&path, authority.root_pem()).unwrap();
        path.display().to_string()
    };
    let (trusted, stranger) = (root("root.pem", &ours), root("other.pem", &others));
    ours.issue(folder.path(), "site", &["localhost"]);
    let origin = RawOrigin::saying("over tls");
    let site = folder.path().join("site").display().to_string();
    let server = PolicyFile::with_text(&format!(
        "schema = 1\n[shim]\nlisten = \"https://127.0.0.1:0\"\n\
         [shim.tls]\ncertificates = [{{ chain = \"{site}.pem\", key = \"{site}.key\" }}]\n{}",
        policy(&format!("servers = \"{}\"", origin.address()))
    ));
    let server = Shim::serve_policy_as_it_says(&server);
    let port = server.address().port();
    let asking = |host: &str, root: &str| {
        let text = format!("servers = \"https://{host}:{port}\"");
        let text = format!("schema = 1\n{}", policy(&text));
        Shim::serve_policy_with(&PolicyFile::with_text(&text), &[("SSL_CERT_FILE", root)])
    };
    let shim = asking("localhost", &trusted);
    for _ in 0..3 {
        let answer = shim.client().get("/");
        assert_eq!((answer.status, &*answer.body), (200, &b"over tls"[..]));
    }
    assert_eq!(asking("127.0.0.1", &trusted).client().get("/").status, 502, "not its name");
    assert_eq!(asking("localhost", &stranger).client().get("/").status, 502, "not its authority");
    assert_eq!(origin.requests(), 3);
}

#[test]
fn p6_the_breaker_opens_and_says_when_to_come_back() {
    let hold = Hold::new();
    let mended = hold.clone();
    let origin = RawOrigin::start(move |peer| {
        loop {
            peer.head()?;
            match mended.is_open() {
                true => peer.say("well")?,
                false => peer.write("HTTP/1.1 500 Sorry\r\ncontent-length: 0\r\n\r\n")?,
            }
        }
    });
    let mut shim =
        before(&format!("servers = \"{}\"\nbreaker = {{ open = \"1500ms\" }}", origin.address()));
    for _ in 0..10 {
        assert_eq!(shim.client().get("/").status, 500);
    }
    hear(&mut shim, "`app` fails too often");
    let refused = shim.client().get("/");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("2"));
    assert_eq!(hop(&refused).detail(), Some("breaker-open"));
    assert_eq!(origin.requests(), 10, "nobody is asked");
    hold.open();
    until(|| shim.client().get("/").status == 200);
    hear(&mut shim, "`app` is asked again");
}

#[test]
fn p6_a_probe_that_fails_opens_it_again() {
    let origin = RawOrigin::start(|peer| peer.head().map(drop));
    let mut shim = before(&format!(
        "servers = \"{}\"\nbreaker = {{ calls = 2, open = \"100ms\" }}",
        origin.address()
    ));
    for _ in 0..2 {
        assert_eq!(shim.client().get("/").status, 502);
    }
    hear(&mut shim, "`app` fails too often");
    until(|| shim.client().get("/").status == 502);
    assert_eq!(origin.requests(), 3, "one has tried");
    assert_eq!(shim.client().get("/").status, 503);
}

#[test]
fn p6_while_it_is_open_what_is_stored_serves_even_stale() {
    let hold = Hold::new();
    let broken = hold.clone();
    let origin = RawOrigin::start(move |peer| {
        loop {
            let head = peer.head()?;
            let fields = match head.split(' ').nth(1) {
                _ if broken.is_open() => return Ok(()),
                Some("/strict") => "cache-control: max-age=0, must-revalidate",
                Some("/anyway") => "cache-control: s-maxage=0",
                _ => "cache-control: max-age=0",
            };
            let text = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 6\r\netag: \"1\"\r\n{fields}\r\n\r\nstored"
            );
            peer.write(text)?;
        }
    });
    let policy = format!(
        "schema = 1\n\
         [upstreams.app]\nservers = \"{}\"\nbreaker = {{ calls = 2, open = \"1h\" }}\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"app\"\norigin = \"respect\"\n\
         [[routes]]\nname = \"anyway\"\nmatch = \"/anyway\"\nupstream = \"app\"\n\
         origin = \"respect\"\nunsafe_stale_while_open = true\n",
        origin.address()
    );
    let mut shim = Shim::serve_policy(&PolicyFile::with_text(&policy));
    for path in ["/plain", "/strict", "/anyway"] {
        assert_eq!(shim.client().get(path).body, b"stored");
    }
    hold.open();
    until(|| shim.client().get("/unknown").status == 503);
    hear(&mut shim, "`app` fails too often");
    for path in ["/plain", "/anyway"] {
        let stale = shim.client().get(path);
        assert_eq!((stale.status, &*stale.body), (200, &b"stored"[..]), "{path}");
        assert!(hop(&stale).hit() && hop(&stale).detail() == Some("breaker-open"), "{stale:?}");
        assert_eq!(stale.header("x-cache"), Some("STALE"));
    }
    let strict = shim.client().get("/strict");
    assert_eq!((strict.status, hop(&strict).detail()), (503, Some("breaker-open")));
    assert!(strict.header("retry-after").is_some());
}

#[test]
fn p6_slow_heads_count_and_slow_streams_do_not() {
    let hold = Hold::new();
    let held = hold.clone();
    let origin = RawOrigin::start(move |peer| {
        let head = peer.head()?;
        if head.starts_with("GET /stream ") {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegin")?;
        }
        held.wait();
        peer.write(" then")
    });
    let mut shim = before(&format!(
        "servers = \"{}\"\nhead_timeout = \"20ms\"\nbreaker = {{ calls = 3, open = \"1h\" }}",
        origin.address()
    ));
    let mut stream = shim.client().connect().unwrap();
    stream.ask(&Request::get("/stream")).unwrap();
    stream.read_until("begin").unwrap();
    for _ in 0..2 {
        assert_eq!(shim.client().get("/slow").status, 504);
    }
    hear(&mut shim, "`app` fails too often");
    assert_eq!(shim.client().get("/slow").status, 503);
    hold.open();
    stream.read_until(" then").unwrap();
}

#[test]
fn p1_a_reload_keeps_what_is_known_of_servers_that_stay() {
    let origin = RawOrigin::start(|peer| peer.head().map(drop));
    let text = format!(
        "schema = 1\n[upstreams.app]\nservers = \"{}\"\nbreaker = {{ calls = 2, open = \"1h\" }}\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"app\"\n",
        origin.address()
    );
    let policy = PolicyFile::with_text(&text);
    let mut shim = Shim::serve_policy(&policy);
    until(|| shim.client().get("/").status == 503);
    policy.rewrite(&format!("{text}[headers]\nx-new = \"1\"\n"));
    let _ = shim.reload();
    let answer = shim.client().get("/");
    assert_eq!((answer.status, answer.header("x-new")), (503, Some("1")));
    policy.rewrite(&text.replace("calls = 2", "calls = 3"));
    let _ = shim.reload();
    assert_eq!(shim.client().get("/").status, 502, "another breaker is closed");
}

/// A shim before one upstream that is described so, with one route to it.
#[track_caller]
fn before(upstream: &str) -> Shim {
    Shim::serve_policy(&PolicyFile::with_text(&format!("schema = 1\n{}", policy(upstream))))
}

fn policy(upstream: &str) -> String {
    format!(
        "[upstreams.app]\n{upstream}\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"app\"\n"
    )
}

/// A connection, all of whose requests one thread of the shim answers.
fn same_thread(shim: &Shim) -> Connection {
    shim.client().connect().expect("the shim listens")
}

/// An address where nobody listens.
fn nobody() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}

/// Who answers, in some turns.
fn both(shim: &Shim) -> Vec<String> {
    let said = |client: Client| String::from_utf8_lossy(&client.get("/").body).into_owned();
    let mut all: Vec<String> = (0..6).map(|_| said(shim.client())).collect();
    all.sort();
    all.dedup();
    all
}

/// Waits until it says this.
#[track_caller]
fn hear(shim: &mut Shim, said: &str) {
    while !shim.next_error_line().contains(said) {}
}

fn hop(answer: &Response) -> Hop {
    CacheStatus::of(answer).hop("tidegate-origin").clone()
}

fn read_into(mut connection: Connection, to: &Sender<Response>) {
    let answer = connection.read_response("GET").expect("an answer");
    to.send(answer).expect("somebody waits for it");
}
