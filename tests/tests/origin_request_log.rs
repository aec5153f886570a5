//! Requests are lines of the shim's log, and spans of a trace, where the policy wants that.

use serde_json::Value;
use tidegate_tests::{
    held_origin::HeldOrigin,
    policy_file::PolicyFile,
    shim::Shim,
    wire::{Request, Response},
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn p10_requests_are_lines_of_json_without_query_and_secrets() {
    let mut gate = Gate::open("log = \"all\"");
    let asked = Request::get("/kept/a%22b?token=secret").header("Authorization", "Bearer secret");
    gate.fetch(&asked);
    assert_eq!(gate.shim.client().send(&asked).status, 200);
    assert_eq!(gate.shim.client().send(&Request::new("PURGE", "/nowhere")).status, 404);
    let [missed, served, nowhere] = [gate.line(), gate.line(), gate.line()];
    for line in [&missed, &served, &nowhere] {
        assert!(!line.to_string().contains("secret"), "{line}");
        assert_eq!(line["log"], "request");
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        assert!(line["ms"].as_f64().is_some_and(|ms| (0.0..20_000.0).contains(&ms)), "{line}");
        assert!(line.get("trace").is_none(), "{line}");
    }
    let of = |line: &Value| {
        ["route", "method", "path", "outcome", "reason"]
            .map(|name| line[name].as_str().map(str::to_owned))
    };
    let words = |words: [&str; 5]| words.map(|word| Some(word.to_owned()));
    assert_eq!(of(&missed), words(["kept", "GET", "/kept/a%22b", "MISS", "uri-miss"]));
    assert_eq!(of(&served), words(["kept", "GET", "/kept/a%22b", "HIT", ""]));
    assert_eq!(of(&nowhere), words(["", "PURGE", "/nowhere", "NONE", "no-route"]));
    assert_eq!((&missed["status"], &nowhere["status"]), (&200.into(), &404.into()));
}

#[test]
fn p10_what_the_cache_answers_is_left_out_where_only_forwarded_requests_count() {
    let mut gate = Gate::open("log = \"forwarded\"");
    gate.fetch(&Request::get("/kept/a"));
    for _ in 0..3 {
        assert_eq!(gate.shim.client().get("/kept/a").status, 200);
    }
    assert_eq!(gate.shim.client().get("/nowhere").status, 404);
    assert_eq!([gate.line()["path"].clone(), gate.line()["path"].clone()], ["/kept/a", "/nowhere"]);
}

#[test]
fn p10_lines_are_written_before_the_process_ends() {
    let gate = Gate::open("log = \"all\"");
    for number in 0..500 {
        assert_eq!(gate.shim.client().get(&format!("/{number}")).status, 404);
    }
    let ended = gate.shim.last_words();
    let last = ended.stdout.lines().last().expect("lines").to_owned();
    assert!(last.contains("\"/499\""), "{last}");
    assert_eq!(ended.stdout.lines().filter(|line| line.contains("\"request\"")).count(), 500);
}

#[test]
fn p10_without_tracing_a_traceparent_is_passed_on_as_it_comes() {
    let gate = Gate::open("");
    let head = gate.fetch(&Request::get("/passed").header("Traceparent", PARENT)).0;
    assert_eq!(field(&head, "traceparent").as_deref(), Some(PARENT));
    assert_eq!(field(&gate.fetch(&Request::get("/passed")).0, "traceparent"), None);
}

#[test]
fn p10_with_tracing_the_origin_hears_of_the_shims_span_and_so_does_the_log() {
    let mut gate = Gate::open("log = \"all\"\ntracing = true");
    let asked = Request::get("/passed").header("Traceparent", PARENT).header("Tracestate", "a=b");
    let head = gate.fetch(&asked).0;
    let told = field(&head, "traceparent").expect("a span");
    assert!(told.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && told.ends_with("-01"));
    assert_ne!(told, PARENT);
    assert_eq!(field(&head, "tracestate").as_deref(), Some("a=b"));
    let line = gate.line();
    assert_eq!(line["trace"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(line["span"], told[36..52]);

    let asked =
        Request::get("/passed").header("Traceparent", "nonsense").header("Tracestate", "a=b");
    let head = gate.fetch(&asked).0;
    let begun = field(&head, "traceparent").expect("a trace of its own");
    assert_eq!(begun.len(), PARENT.len());
    assert_eq!(field(&head, "tracestate"), None);
    assert_eq!(gate.line()["trace"], begun[3..35]);
}

fn field(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

struct Gate {
    shim: Shim,
    origin: HeldOrigin,
}

impl Gate {
    fn open(shim: &str) -> Self {
        let origin = HeldOrigin::start();
        let text = format!(
            "schema = 1\n[shim]\n{shim}\n[upstreams.held]\nservers = \"{}\"\n\
             [identity]\ncredential = \"authorization\"\n\
             [[routes]]\nname = \"kept\"\nmatch = \"/kept/*\"\nupstream = \"held\"\n\
             key = {{ identity = true }}\norigin = {{ mode = \"default\", ttl = \"1m\" }}\n\
             [[routes]]\nname = \"passed\"\nmatch = \"/passed\"\nupstream = \"held\"\n",
            origin.address()
        );
        Self { shim: Shim::serve_policy(&PolicyFile::with_text(&text)), origin }
    }

    /// The head that the origin got, and the answer.
    fn fetch(&self, asked: &Request) -> (String, Response) {
        let (client, asked) = (self.shim.client(), asked.clone());
        let answer = std::thread::spawn(move || client.send(&asked));
        let question = self.origin.next();
        let head = question.head.clone();
        question.answer("", "body");
        let answer = answer.join().expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        (head, answer)
    }

    fn line(&mut self) -> Value {
        serde_json::from_str(&self.shim.process().next_line()).expect("a line of JSON")
    }
}
