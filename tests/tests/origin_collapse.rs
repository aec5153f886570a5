//! Identical requests in flight (C11): one asks the origin, the others wait for what it stores.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tidegate_tests::{
    cache_status::{CacheStatus, Hop},
    held_origin::HeldOrigin,
    policy_file::PolicyFile,
    redis::eventually,
    shim::Shim,
    wire::{Client, Request, Response},
};

const CROWD: usize = 20;

#[test]
fn c11_a_crowd_that_wants_the_same_costs_the_origin_one_request() {
    let gate = Gate::open();
    let first = gate.ask("/wanted");
    let question = gate.origin.next();
    let crowd = gate.crowd("/wanted");
    question.answer("", "for all");
    let first = first.join().unwrap();
    assert_eq!(hop(&first).fwd(), Some("uri-miss"));
    assert!(hop(&first).stored() && !is_collapsed(&first), "{first:?}");
    for answer in crowd {
        let answer = answer.join().unwrap();
        assert_eq!(answer.body, b"for all");
        assert!(is_collapsed(&answer) && hop(&answer).fwd() == Some("uri-miss"), "{answer:?}");
        assert!(hop(&answer).is_fresh_for(60), "{answer:?}");
        assert_eq!(answer.header("x-cache"), Some("HIT"));
    }
    assert!(gate.origin.waiting().is_none(), "the origin was asked once");
    assert!(hop(&gate.ask("/wanted").join().unwrap()).hit());
}

#[test]
fn c11_what_turns_out_to_be_for_one_client_alone_lets_all_go_at_its_head() {
    let gate = Gate::open();
    let first = gate.ask("/mine");
    let mut question = gate.origin.next();
    let crowd = gate.crowd("/mine");
    // The head alone: its body is not there yet when the others ask.
    question.write("HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Length: 4\r\n\r\n");
    let questions: Vec<_> = (0..CROWD).map(|_| gate.origin.next()).collect();
    question.write("mine");
    assert!(!hop(&first.join().unwrap()).stored());
    questions.into_iter().for_each(|question| question.answer("Set-Cookie: session=2\r\n", "x"));
    for answer in crowd {
        assert!(!is_collapsed(&answer.join().unwrap()));
    }

    let again = gate.ask("/mine");
    let held = gate.origin.next();
    let other = gate.ask("/mine");
    gate.origin.next().answer("", "by now for all");
    assert_eq!(other.join().unwrap().body, b"by now for all", "nobody waits for its like");
    held.answer("", "late");
    again.join().unwrap();
}

#[test]
fn c11_a_leader_that_leaves_is_followed_by_another() {
    let gate = Gate::open();
    let leader = gate.ask_and_read_nothing("/left");
    let left = gate.origin.next();
    let crowd = gate.crowd("/left");
    drop(leader);
    gate.origin.next().answer("", "after all");
    let collapsed = crowd.into_iter().map(|answer| answer.join().unwrap()).filter(|answer| {
        assert_eq!(answer.body, b"after all");
        is_collapsed(answer)
    });
    assert_eq!(collapsed.count(), CROWD - 1, "one of them has asked");
    left.hang_up();
}

#[test]
fn c11_an_origin_that_fails_the_first_fails_nobody_else() {
    let gate = Gate::open();
    // The broken one first: over a connection that was used before, the shim asks once more.
    for broken in [true, false] {
        let target = format!("/fails/{broken}");
        let first = gate.ask(&target);
        let question = gate.origin.next();
        let crowd = gate.crowd(&target);
        match broken {
            true => question.hang_up(),
            false => question.answer_with("500 No", "", "no"),
        }
        assert!(first.join().unwrap().status >= 500);
        gate.answer_each(crowd, "healed");
    }
}

#[test]
fn c11_a_body_that_breaks_off_is_nobody_elses() {
    let gate = Gate::open();
    let mut leader = gate.client.connect().unwrap();
    leader.ask(&Request::get("/half")).unwrap();
    let mut question = gate.origin.next();
    let crowd = gate.crowd("/half");
    question.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    leader.read_until("half").unwrap();
    question.hang_up();
    gate.answer_each(crowd, "whole");
}

/// Whoever leads and reads slowly, or not at all, holds nobody up.
#[test]
fn c11_nobody_waits_for_a_client_that_does_not_read() {
    let gate = Gate::open();
    let mut leader = gate.ask_and_read_nothing("/large");
    let question = gate.origin.next();
    let crowd = gate.crowd("/large");
    // More than all the buffers on the way to a client that does not read.
    let body = "x".repeat(7 << 20);
    let begun = Instant::now();
    question.answer("", &body);
    for answer in crowd {
        let answer = answer.join().unwrap();
        assert!(answer.body == body.as_bytes() && is_collapsed(&answer));
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let mut read = vec![0; body.len()];
    leader.read_exact(&mut read).expect("the first client gets all of it, too");
}

/// The leader is gone, and those who wait fetch the rest.
#[test]
fn c11_a_client_that_leaves_in_the_middle_of_the_body_is_not_needed() {
    let gate = Gate::open();
    let mut leader = gate.client.connect().unwrap();
    leader.ask(&Request::get("/middle")).unwrap();
    let mut question = gate.origin.next();
    let crowd = gate.crowd("/middle");
    question.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
    leader.read_until("half").unwrap();
    drop(leader);
    question.write("whole"[1..].trim());
    for answer in crowd {
        let answer = answer.join().unwrap();
        assert!(answer.body == b"halfhole" && is_collapsed(&answer), "{answer:?}");
    }
    assert!(gate.origin.waiting().is_none());
}

#[test]
fn c11_too_long_a_body_lets_all_go_as_soon_as_that_is_known() {
    let gate = Gate::open();
    let first = gate.ask("/long");
    let mut question = gate.origin.next();
    let crowd = gate.crowd("/long");
    let length = 9 << 20;
    question.write(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
    // They ask before any of it is there.
    for _ in 0..CROWD {
        gate.origin.next().answer("Cache-Control: no-store\r\n", "short");
    }
    question.write(&"x".repeat(length));
    assert_eq!(first.join().unwrap().body.len(), length);
    crowd.into_iter().for_each(|answer| assert_eq!(answer.join().unwrap().body, b"short"));
    let again = gate.ask("/long");
    gate.origin.next().answer("", "not stored");
    assert_eq!(again.join().unwrap().body, b"not stored");
}

#[test]
fn c11_who_waits_for_too_long_asks_the_origin_itself() {
    let gate = Gate::open();
    let first = gate.ask("/slow");
    let held = gate.origin.next();
    let crowd = gate.crowd("/slow");
    gate.answer_each(crowd, "own");
    held.answer("", "late");
    assert_eq!(first.join().unwrap().body, b"late");
}

#[test]
fn c11_each_variant_is_asked_for_once() {
    let gate = Gate::open();
    let by_language = |language: &str| {
        let request = Request::get("/variants").header("Accept-Language", language);
        gate.send(request)
    };
    let first = by_language("de");
    let question = gate.origin.next();
    let crowd: Vec<_> = (0..12).map(|number| by_language(["de", "en", "fr"][number % 3])).collect();
    gate.until_waiting(12);
    question.answer("Vary: Accept-Language\r\n", "de");
    first.join().unwrap();
    for _ in ["en", "fr"] {
        let question = gate.origin.next();
        let language = ["en", "fr"].into_iter().find(|language| {
            question.head.to_ascii_lowercase().contains(&format!("accept-language: {language}"))
        });
        question.answer("Vary: Accept-Language\r\n", language.expect("one of the others"));
    }
    for (number, answer) in crowd.into_iter().enumerate() {
        assert_eq!(answer.join().unwrap().body, ["de", "en", "fr"][number % 3].as_bytes());
    }
    assert!(gate.origin.waiting().is_none());
}

#[test]
fn c11_parts_other_methods_and_other_targets_are_nobody_elses_questions() {
    let gate = Gate::open();
    let first = gate.ask("/own");
    let mut questions = vec![gate.origin.next()];
    let others = [
        Request::new("POST", "/own"),
        Request::get("/own").header("Range", "bytes=0-1"),
        Request::get("/own?other"),
    ];
    let others: Vec<_> = others.into_iter().map(|request| gate.send(request)).collect();
    questions.extend((0..3).map(|_| gate.origin.next()));
    questions.into_iter().for_each(|question| question.answer("", "answer"));
    for answer in others.into_iter().chain([first]) {
        assert!(!is_collapsed(&answer.join().unwrap()));
    }
}

/// While it is refreshed in the background, a crowd is served the stale answer; behind that it
/// waits for one that asks.
#[test]
fn c11_a_stale_answer_is_refreshed_and_confirmed_once() {
    let gate = Gate::open();
    let lines = "Cache-Control: max-age=0, stale-while-revalidate=60\r\nETag: \"1\"\r\n";
    let first = gate.ask("/stale");
    gate.origin.next().answer(lines, "one");
    first.join().unwrap();
    for answer in (0..CROWD).map(|_| gate.ask("/stale")).collect::<Vec<_>>() {
        let answer = answer.join().unwrap();
        assert!(answer.body == b"one" && hop(&answer).hit(), "{answer:?}");
    }
    let refresh = gate.origin.next();
    assert!(gate.origin.waiting().is_none(), "one refreshes");
    refresh.answer("Cache-Control: max-age=1\r\nETag: \"2\"\r\n", "two");

    // What is stored answers at once: the one before, then the refreshed one, until its second
    // is over. Whoever asks after that waits for the origin.
    let (first, question) = loop {
        let first = gate.ask("/stale");
        if let Some(question) = eventually("an answer or a question", || {
            let question = gate.origin.waiting();
            (question.is_some() || first.is_finished()).then_some(question)
        }) {
            break (first, question);
        }
    };
    assert!(question.head.to_ascii_lowercase().contains("if-none-match: \"2\""));
    assert!(!first.is_finished(), "{:?}", first.join());
    let crowd = gate.crowd("/stale");
    question.answer_with("304 Not Modified", "Cache-Control: max-age=60\r\n", "");
    assert_eq!(first.join().unwrap().body, b"two");
    for answer in crowd {
        let answer = answer.join().unwrap();
        assert!(answer.body == b"two" && is_collapsed(&answer), "{answer:?}");
        assert_eq!(hop(&answer).fwd(), Some("stale"));
    }
}

/// A shim before an origin that is held.
struct Gate {
    origin: HeldOrigin,
    client: Client,
    admin: Client,
    _shim: Shim,
}

impl Gate {
    fn open() -> Self {
        let origin = HeldOrigin::start();
        let policy = format!(
            "schema = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n[upstreams.app]\nservers = [\"{}\"]\n\
             [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"app\"\n\
             origin = {{ mode = \"default\", ttl = \"1m\" }}\n",
            origin.address()
        );
        let mut shim = Shim::serve_policy(&PolicyFile::with_text(&policy));
        let (client, admin) = (shim.client(), shim.admin());
        Self { origin, client, admin, _shim: shim }
    }

    fn send(&self, request: Request) -> JoinHandle<Response> {
        let client = self.client;
        thread::spawn(move || client.send(&request))
    }

    fn ask(&self, target: &str) -> JoinHandle<Response> {
        self.send(Request::get(target))
    }

    fn ask_and_read_nothing(&self, target: &str) -> TcpStream {
        let server = self.client.server();
        let mut stream = TcpStream::connect(server).expect("a connection");
        stream
            .write_all(format!("GET {target} HTTP/1.1\r\nHost: {server}\r\n\r\n").as_bytes())
            .expect("a connection takes a request");
        stream
    }

    /// Many who want the same, and wait for it.
    fn crowd(&self, target: &str) -> Vec<JoinHandle<Response>> {
        let crowd = (0..CROWD).map(|_| self.ask(target)).collect();
        self.until_waiting(CROWD);
        crowd
    }

    /// Answers whatever a crowd asks that does not wait any more: until one of them has stored
    /// its answer, each for itself.
    #[track_caller]
    fn answer_each(&self, crowd: Vec<JoinHandle<Response>>, body: &str) {
        self.origin.next().answer("", body);
        eventually("answers for all", || {
            while let Some(question) = self.origin.waiting() {
                question.answer("", body);
            }
            crowd.iter().all(JoinHandle::is_finished).then_some(())
        });
        for answer in crowd {
            assert_eq!(answer.join().expect("an answer").body, body.as_bytes());
        }
    }

    #[track_caller]
    fn until_waiting(&self, many: usize) {
        eventually("a crowd that waits", || {
            (self.admin.get("/status").json()["cache"]["waiting"] == many).then_some(())
        });
    }
}

#[track_caller]
fn hop(answer: &Response) -> Hop {
    CacheStatus::of(answer).hop("tidegate-origin").clone()
}

#[track_caller]
fn is_collapsed(answer: &Response) -> bool {
    hop(answer).collapsed()
}
