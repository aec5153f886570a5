//! What a restart keeps of what is stored: `[cache.snapshot]`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, thread};

use tidegate_tests::{
    policy_file::PolicyFile,
    redis::{RedisServer, eventually},
    tier::{CountingOrigin, Member, hop},
    wire::Request,
};

#[test]
fn what_is_stored_is_kept_over_a_restart_and_used_once() {
    let kept = Snapshot::of("");
    let first = kept.serve();
    let languages = ["de", "en"];
    let of = |shim: &Member, language: &str| {
        let answer = shim.send(Request::get("/vary").header("Accept-Language", language));
        (String::from_utf8_lossy(&answer.body).into_owned(), hop(&answer).hit())
    };
    for target in ["/list", "/zone", "/mine", "/other"] {
        assert_eq!(first.number(target), (1, false));
    }
    let variants = languages.map(|language| of(&first, language).0);
    assert_eq!(variants, ["1", "2"]);
    first.write("/mine");
    let before = first.get("/list");
    let line = first.end_and_say();
    assert!(line.contains("kept for the next start: 5 stored answers"), "{line}");

    let mode = fs::metadata(&kept.file).expect("a snapshot").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "answers are their users' business");
    let mut second = kept.serve();
    assert!(
        second.shim().next_error_line().contains("stored again, from the last process: 5 answers")
    );
    assert!(!kept.file.exists(), "it is used once");
    let after = second.get("/list");
    assert!(hop(&after).hit() && hop(&after).is_fresh_for(3600), "{after:?}");
    let lines = |answer: &tidegate_tests::wire::Response| {
        let mut lines = answer.headers.clone();
        lines.retain(|(name, _)| {
            !["age", "cache-status", "date"].contains(&&*name.to_ascii_lowercase())
        });
        (lines, answer.body.clone())
    };
    assert_eq!(lines(&after), lines(&before));
    assert_eq!(second.number("/zone"), (1, true));
    assert_eq!(languages.map(|language| of(&second, language)), variants.map(|body| (body, true)));
    assert_eq!(second.number("/mine"), (3, false), "a write had voided it");

    drop(second);
    let third = kept.serve();
    assert_eq!(third.number("/list"), (2, false), "who is killed keeps nothing");
}

#[test]
fn a_snapshot_that_is_no_use_is_said_and_ignored() {
    let kept = Snapshot::of("");
    let first = kept.serve();
    assert_eq!(first.number("/list"), (1, false));
    assert!(first.end_and_say().contains("kept for the next start: 1 stored"));
    let good = fs::read(&kept.file).expect("a snapshot");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let mut other_version = good.clone();
    other_version[7] += 1;
    for (bytes, said) in [
        (&flipped[..], "is damaged"),
        (&good[..good.len() - 1], "is damaged"),
        (&[&good[..], b"x"].concat(), "is damaged"),
        (&other_version, "is none of this version"),
        (b"", "is none of this version"),
        (b"something else that lies here", "is none of this version"),
    ] {
        fs::write(&kept.file, bytes).expect("a file");
        let asked = kept.origin.asked("/list");
        let mut shim = kept.serve();
        let line = shim.shim().next_error_line();
        assert!(line.contains(said) && line.contains("nothing is stored yet"), "{line}");
        assert_eq!(shim.number("/list"), (asked + 1, false));
    }
    fs::write(&kept.file, &good).expect("a file");
    assert_eq!(kept.serve().number("/list"), (1, true), "and the good one is good");
}

#[test]
fn a_snapshot_is_bounded_and_under_other_terms_of_no_use() {
    let kept = Snapshot::of("size = \"64kB\"\n");
    let shim = kept.serve();
    for number in 0..200 {
        assert_eq!(shim.get(&format!("/pages/{number}")).body.len(), 1024);
    }
    let line = shim.end_and_say();
    let size = fs::metadata(&kept.file).expect("a snapshot").len();
    assert!((40_000..=64_000).contains(&size), "{size}: {line}");

    let other = kept.policy.text().replace("ttl = \"1h\"", "ttl = \"2h\"");
    kept.policy.rewrite(&other.replace("60m", "3h"));
    let mut shim = kept.serve();
    assert!(shim.shim().next_error_line().contains("from the last process: 0 answers"));
    for number in 0..200 {
        assert!(!hop(&shim.get(&format!("/pages/{number}"))).hit(), "{number}");
    }
}

#[test]
fn p7_what_is_stored_while_it_is_told_to_end_is_kept_whole() {
    let kept = Snapshot::of("");
    let mut first = kept.serve();
    let client = first.shim().client();
    let answered = AtomicU64::new(0);
    let seen: Vec<(String, u64)> = thread::scope(|scope| {
        let ask = |thread: u64| {
            let mut seen = Vec::new();
            for number in 0.. {
                let target = format!("/{thread}/{number}");
                let question = Request::get(&target).header("Host", "www.example.com");
                let answer = client.connect().and_then(|mut to| to.exchange(&question));
                let Ok(answer) = answer.map(|answer| answer.body) else { break };
                let body = String::from_utf8_lossy(&answer).parse();
                seen.push((target, body.expect("a number")));
                answered.fetch_add(1, Ordering::Relaxed);
            }
            seen
        };
        let clients = [0, 1, 2].map(|thread| scope.spawn(move || ask(thread)));
        while answered.load(Ordering::Relaxed) < 100 {
            thread::yield_now();
        }
        let _ = first.end_and_say();
        clients.into_iter().flat_map(|client| client.join().expect("its answers")).collect()
    });
    let again = kept.serve();
    let hits = seen.iter().filter(|(target, number)| {
        let (now, hit) = again.number(target);
        assert!(!hit || now == *number, "{target}");
        hit
    });
    assert!(hits.count() >= 97, "all but what was just on its way, of {}", seen.len());
}

/// What another shim has voided meanwhile does not come back.
#[test]
fn c4_what_is_invalidated_while_it_is_down_does_not_come_back() {
    let redis = RedisServer::start();
    let lines = "[cache.redis]\nurl = \"${CACHE_REDIS}\"\nanswers = false\n";
    let kept = Snapshot::with(lines, &[("CACHE_REDIS", &redis.url())]);
    let (one, two) = (kept.serve(), kept.serve_without_snapshot());
    for target in ["/list", "/other"] {
        assert_eq!(one.number(target), (1, false));
    }
    one.until_heard();
    assert!(one.end_and_say().contains("kept for the next start: 2 stored"));
    two.write("/list");
    eventually("the write in the log", || {
        (redis.command(&["XLEN", &redis.command(&["KEYS", "*:log"])]) == "2").then_some(())
    });
    let again = kept.serve();
    assert_eq!(again.number("/list"), (3, false), "asked for, written, asked for");
    assert_eq!(again.number("/other"), (1, true));
}

/// A shim with a snapshot, before an origin.
struct Snapshot {
    origin: CountingOrigin,
    policy: PolicyFile,
    file: PathBuf,
    environment: Vec<(String, String)>,
}

impl Snapshot {
    /// With these lines in `[cache.snapshot]`.
    fn of(lines: &str) -> Self {
        Self::with(lines, &[])
    }

    /// The same, and these variables.
    fn with(lines: &str, environment: &[(&str, &str)]) -> Self {
        let origin = CountingOrigin::start();
        let policy = policy(origin.address(), lines);
        let file = policy.path().with_file_name("stored");
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self { origin, policy, file, environment: environment.collect() }
    }

    fn serve(&self) -> Member {
        self.serve_policy(&self.policy)
    }

    fn serve_without_snapshot(&self) -> Member {
        self.serve_policy(&self.policy.replacing("file = \"stored\"", "file = \"other\""))
    }

    fn serve_policy(&self, policy: &PolicyFile) -> Member {
        let environment = self.environment.iter().map(|(name, value)| (&**name, &**value));
        Member::serve(policy, &environment.collect::<Vec<_>>())
    }
}

fn policy(origin: &str, lines: &str) -> PolicyFile {
    PolicyFile::with_text(&format!(
        r#"schema = 1
[admin]
listen = "127.0.0.1:0"
[cache.snapshot]
file = "stored"
{lines}
[upstreams.app]
servers = ["{origin}"]
[zones.small]
bytes = "1MB"
[[routes]]
name = "all"
match = "/*"
upstream = "app"
origin = {{ mode = "default", ttl = "1h" }}
[[routes]]
name = "zone"
match = "/zone"
upstream = "app"
zone = "small"
origin = {{ mode = "default", ttl = "60m" }}
"#
    ))
}
