//! Shadow mode: the shim decides, looks up, stores and counts; the origin answers; and what would
//! have differed is told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use tidegate_tests::{
    held_origin::{HeldOrigin, Question},
    policy_file::PolicyFile,
    shim,
    tier::{Member, hop},
    wire::Request,
};

#[test]
fn the_origin_answers_each_time_and_what_would_have_served_is_counted() {
    let watched = Watched::open();
    for (would, stored) in [("shadow-miss", true), ("shadow-hit", false), ("shadow-hit", false)] {
        let answer = watched.shim.get("/same");
        assert_eq!(hop(&answer).fwd(), Some("bypass"), "{answer:?}");
        assert_eq!((hop(&answer).detail(), hop(&answer).stored()), (Some(would), stored));
        assert_eq!((answer.header("x-cache"), answer.header("age")), (Some("BYPASS"), None));
    }
    let never = watched.shim.get("/no-store");
    assert_eq!((hop(&never).detail(), hop(&never).stored()), (Some("shadow-miss"), false));
    assert!(!hop(&watched.shim.get("/real")).hit() && hop(&watched.shim.get("/real")).hit());

    let seen = watched.seen();
    assert_eq!(seen["would"], json!({ "shadow-hit": 2, "shadow-miss": 2 }));
    assert_eq!((&seen["compared"], &seen["differed"]), (&json!(2), &json!(0)), "{seen}");
}

#[test]
fn what_would_have_differed_is_told_by_kind_with_one_line_for_many() {
    let mut watched = Watched::open();
    for target in ["/body", "/field", "/status", "/same", "/longer"] {
        drop(watched.shim.get(target));
    }
    watched.change();
    for target in ["/body", "/field", "/status", "/same", "/longer"] {
        let answer = watched.shim.get(target);
        assert_eq!(hop(&answer).detail(), Some("shadow-hit"));
        let is_new = answer.status == 404
            || answer.header("x-a") == Some("2")
            || answer.body.starts_with(b"another");
        assert_eq!(is_new, target != "/same", "the client has the origin's: {answer:?}");
    }
    let head = watched.shim.send(Request::new("HEAD", "/field"));
    assert_eq!(head.header("x-a"), Some("2"));
    // Neither is compared: a part, and what the client has.
    drop(watched.shim.send(Request::get("/body").header("Range", "bytes=0-1")));
    let unchanged = watched.shim.send(Request::get("/same").header("If-None-Match", "\"e\""));
    assert_eq!(unchanged.status, 304);

    let seen = watched.seen();
    let counted = ["differed", "status", "body", "fields"].map(|name| seen[name].clone());
    assert_eq!(counted[..3], [json!(5), json!(1), json!(3)], "{seen}");
    assert_eq!(counted[3]["x-a"], 2, "{seen}");
    assert_eq!(seen["last"]["differs_in"], "x-a", "{seen}");
    assert!(seen["last"]["key"].as_str().is_some_and(|key| key.ends_with("/field")), "{seen}");

    let line = watched.shim.shim().next_error_line();
    assert!(line.contains("the shadow of the route `watched`: of "), "{line}");
}

/// The store is kept as if it served: refreshed when that would be, voided by writes.
#[test]
fn what_is_stored_goes_as_if_it_served() {
    let watched = Watched::open();
    let would = |target: &str| hop(&watched.shim.get(target)).detail().map(String::from);
    assert_eq!(would("/stale").as_deref(), Some("shadow-miss"));
    assert_eq!(would("/stale").as_deref(), Some("shadow-stale"));
    assert_eq!(would("/confirm").as_deref(), Some("shadow-miss"));
    assert_eq!(would("/confirm").as_deref(), Some("shadow-revalidated"));
    assert_eq!(would("/same").as_deref(), Some("shadow-miss"));
    watched.shim.write("/same");
    assert_eq!(would("/same").as_deref(), Some("shadow-miss"), "a write voids it");
    watched.change();
    assert_eq!(would("/body").as_deref(), Some("shadow-miss"));
    assert_eq!(would("/body").as_deref(), Some("shadow-hit"));
    assert_eq!(watched.seen()["differed"], 0);
}

#[test]
fn explain_says_that_the_origin_answers_and_check_where_that_means_nothing() {
    let explained = shim::explain(&policy("127.0.0.1:1"), &["GET", "http://h/same"]).stdout;
    assert!(explained.contains("the origin answers all the same"), "{explained}");
    let real = shim::explain(&policy("127.0.0.1:1"), &["GET", "http://h/real"]).stdout;
    assert!(!real.contains("all the same"), "{real}");
    let nothing =
        policy("127.0.0.1:1").replacing("match = \"/real\"", "match = \"/real\"\nshadow = true");
    let nothing =
        nothing.replacing("origin = { mode = \"default\", ttl = \"2m\" }", "origin = \"bypass\"");
    let said = shim::check(&nothing).stderr;
    assert!(
        said.contains("`shadow` means nothing on a route that the shim does not cache"),
        "{said}"
    );
}

/// A shim whose cache only watches, before an origin that changes its mind when told so.
struct Watched {
    shim: Member,
    changed: Arc<AtomicBool>,
}

impl Watched {
    fn open() -> Self {
        let origin = HeldOrigin::start();
        let shim = Member::serve(&policy(&origin.address().to_string()), &[]);
        let changed = Arc::<AtomicBool>::default();
        let has_changed = Arc::clone(&changed);
        origin.answer_by(move |question| answer(question, has_changed.load(Ordering::SeqCst)));
        Self { shim, changed }
    }

    fn change(&self) {
        self.changed.store(true, Ordering::SeqCst);
    }

    fn seen(&self) -> Value {
        self.shim.cache()["shadows"]["watched"].clone()
    }
}

fn answer(mut question: Question, changed: bool) {
    let target = question.target().to_owned();
    match (&*target, changed) {
        _ if question.method() == "HEAD" => {
            question.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-A: 2\r\n\r\n");
        }
        _ if question.method() != "GET" => question.answer("", "written"),
        ("/body", false) => question.answer("", "one body"),
        ("/body", true) => question.answer("", "another "),
        ("/longer", true) => question.answer("", &"another ".repeat(5000)),
        ("/field", _) => question.answer(if changed { "X-A: 2\r\n" } else { "X-A: 1\r\n" }, "same"),
        ("/status", true) => question.answer_with("404 Not Found", "", "none"),
        ("/no-store", _) => question.answer("Cache-Control: no-store\r\n", "never"),
        ("/stale", _) => {
            question.answer("Cache-Control: max-age=0, stale-while-revalidate=60\r\n", "stale");
        }
        ("/confirm", _) => question.answer("Cache-Control: max-age=0\r\nETag: \"c\"\r\n", "old"),
        _ => question.answer("ETag: \"e\"\r\n", "same"),
    }
}

fn policy(origin: &str) -> PolicyFile {
    PolicyFile::with_text(&format!(
        r#"schema = 1
[admin]
listen = "127.0.0.1:0"
[upstreams.app]
servers = ["{origin}"]
[[routes]]
name = "watched"
match = "/*"
upstream = "app"
shadow = true
origin = {{ mode = "default", ttl = "1m" }}
[[routes]]
name = "real"
match = "/real"
upstream = "app"
origin = {{ mode = "default", ttl = "2m" }}
"#
    ))
}
