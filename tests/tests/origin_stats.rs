//! A running shim shows what it does, as it does it: `/stats`, `/events`, `tidegate top`.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};
use tidegate_tests::{
    held_origin::HeldOrigin,
    policy_file::PolicyFile,
    redis::eventually,
    shim::{self, Shim},
    wire::{Client, PATIENCE, Request},
};

#[test]
fn p10_all_numbers_can_be_had_as_json() {
    let gate = Gate::open();
    gate.fetch("/kept/a?secret=1");
    for _ in 0..3 {
        assert_eq!(gate.shim.client().get("/kept/a?secret=1").status, 200);
    }
    let stats = gate.admin.get("/stats").json();
    let count = &stats["requests"];
    assert_eq!(
        (&count["count"], &count["hits"], &count["failed"]),
        (&json!(4), &json!(3), &json!(0))
    );
    assert!(count["seconds"]["p99"].as_f64().is_some_and(|p99| p99 > 0.0), "{stats}");
    let kept = named(&stats["routes"], "kept");
    assert_eq!(kept["outcomes"], json!({ "HIT": 3, "MISS": 1 }));
    assert_eq!(kept["statuses"], json!({ "200": 4 }));
    assert_eq!(kept["reasons"], json!({ "uri-miss": 1 }));
    let held = named(&stats["upstreams"], "held");
    assert_eq!(held["statuses"], json!({ "200": 1 }));
    assert_eq!(held["servers"], json!({ "all": 1, "up": 1, "left_out": 0, "down": 0 }));
    assert_eq!(held["breaker_open"], false);
    assert_eq!(named(&stats["zones"], "default")["entries"], 1);
    assert_eq!(stats["ready"]["status"], "ok");
    assert!(stats["process"]["resident"].as_u64().is_some_and(|bytes| bytes > 1 << 20));
    assert!(stats["connections"]["max"].as_u64() > stats["connections"]["held"].as_u64());
    assert!(!stats.to_string().contains("secret"), "{stats}");
}

#[test]
fn p10_the_latest_misses_say_why_and_the_hottest_urls_are_found_in_a_sample() {
    let gate = Gate::open();
    gate.fetch("/kept/hot?secret=1");
    let mut connection = gate.shim.client().connect().expect("a connection");
    // One in 61 requests of a thread is looked at.
    for _ in 0..200 {
        let answer = connection.exchange(&Request::get("/kept/hot?secret=1"));
        assert_eq!(answer.expect("an answer").status, 200);
    }
    let stats = gate.admin.get("/stats").json();
    assert_eq!(stats["hottest"]["every"], 61);
    let hottest = &stats["hottest"]["urls"][0];
    assert_eq!((&hottest["route"], &hottest["path"]), (&json!("kept"), &json!("/kept/hot")));
    assert!(hottest["count"].as_u64().is_some_and(|count| (3..=5).contains(&count)), "{stats}");
    let misses = stats["misses"].as_array().expect("a list");
    let miss = &misses[0];
    assert_eq!(misses.len(), 1, "{stats}");
    assert_eq!(
        [&miss["route"], &miss["path"], &miss["outcome"], &miss["reason"], &miss["status"]],
        [&json!("kept"), &json!("/kept/hot"), &json!("MISS"), &json!("uri-miss"), &json!(200)]
    );
}

#[test]
fn p10_events_begin_with_the_last_hour_and_go_on_each_second() {
    let gate = Gate::open();
    gate.fetch("/kept/a");
    // The second in which it came has passed.
    let history = || {
        let mut events = Events::follow(gate.admin);
        let history = events.next("history");
        let requests = history.as_array().expect("seconds").iter();
        let sum: u64 = requests.filter_map(|second| second["requests"].as_u64()).sum();
        (sum == 1).then_some(())
    };
    eventually("the request is in the history", history);

    let mut events = Events::follow(gate.admin);
    let _ = events.next("history");
    let first = events.next("stats");
    assert_eq!(named(&first["routes"], "kept")["count"], 1);
    assert_eq!(gate.shim.client().get("/kept/a").status, 200);
    let second = events.next("stats");
    assert!(second["at"].as_u64() > first["at"].as_u64());
    eventually("the next request is told", || {
        (named(&events.next("stats")["routes"], "kept")["count"] == 2).then_some(())
    });
}

#[test]
fn p10_top_shows_what_happens_between_two_looks() {
    let gate = Gate::open();
    gate.fetch("/kept/a");
    let top = shim::operate(&gate.file, gate.admin, &["top", "--once"]);
    assert!(top.status.success(), "{top:?}");
    let first = top.stdout.lines().next().unwrap_or_default();
    assert!(first.starts_with("tidegate ") && first.ends_with(" ok"), "{first}");
    for word in ["requests/s", "kept", "held", "default", "connections", "memory", "1 of 1"] {
        assert!(top.stdout.contains(word), "{word} in {}", top.stdout);
    }
    assert!(!top.stdout.contains('\x1b'), "plain text");
    let json = shim::operate(&gate.file, gate.admin, &["top", "--once", "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["requests"]["count"], 1);

    let status = shim::operate(&gate.file, gate.admin, &["status"]).stdout;
    assert!(status.contains("ready        ok\n"), "{status}");
    assert!(status.contains("requests     1, 0.0 % from the cache, 0.0 % failed\n"), "{status}");
}

fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let mut all = list.as_array().into_iter().flatten();
    all.find(|each| each["name"] == name).unwrap_or_else(|| panic!("{name} in {list}"))
}

/// Server-sent events, as they come.
struct Events {
    stream: TcpStream,
    /// What has come and was not read yet.
    rest: String,
}

impl Events {
    #[track_caller]
    fn follow(admin: Client) -> Self {
        let mut stream = TcpStream::connect(admin.server()).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        // To HTTP/1.0 the body is not chunked.
        let request = format!("GET /events HTTP/1.0\r\nHost: {}\r\n\r\n", admin.server());
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut events = Self { stream, rest: String::new() };
        let head = events.until("\r\n\r\n");
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        events
    }

    #[track_caller]
    fn next(&mut self, event: &str) -> Value {
        let told = self.until("\n\n");
        let lines: Vec<&str> = told.lines().collect();
        let [name, data] = lines[..] else { panic!("{told}") };
        assert_eq!(name, format!("event: {event}"), "{told}");
        serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON")
    }

    #[track_caller]
    fn until(&mut self, end: &str) -> String {
        loop {
            if let Some((told, rest)) = self.rest.split_once(end) {
                let (told, rest) = (told.to_owned(), rest.to_owned());
                self.rest = rest;
                return told;
            }
            let mut some = [0; 4096];
            let length = self.stream.read(&mut some).expect("it goes on");
            assert_ne!(length, 0, "it has ended: {}", self.rest);
            self.rest += std::str::from_utf8(&some[..length]).expect("ASCII");
        }
    }
}

struct Gate {
    shim: Shim,
    admin: Client,
    origin: HeldOrigin,
    file: PolicyFile,
}

impl Gate {
    fn open() -> Self {
        let origin = HeldOrigin::start();
        let file = PolicyFile::with_text(&format!(
            "schema = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [upstreams.held]\nservers = \"{}\"\n\
             [[routes]]\nname = \"kept\"\nmatch = \"/kept/*\"\nupstream = \"held\"\n\
             origin = {{ mode = \"default\", ttl = \"1m\" }}\n",
            origin.address()
        ));
        let mut shim = Shim::serve_policy(&file);
        Self { admin: shim.admin(), shim, origin, file }
    }

    fn fetch(&self, path: &str) {
        let (client, path) = (self.shim.client(), path.to_owned());
        let answer = std::thread::spawn(move || client.get(&path));
        self.origin.next().answer("", "for all");
        assert_eq!(answer.join().expect("an answer").status, 200);
    }
}
