//! The cases of `tests/http1/*.toml`: bytes that are sent to a shim over a connection of their own,
//! what comes back, and what of it reaches an origin.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use serde::Deserialize;
use tidegate_tests::{
    policy_file::PolicyFile,
    shim::Shim,
    wire::{Client, Request, Response},
};

/// May only grow.
const CASES: usize = 152;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// What is sent, and what that comes to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    /// Where it is written what is to be done about it.
    section: String,
    /// The bytes; `<x*9>` is nine times x.
    send: String,
    /// The statuses of the answers, in order.
    gets: Vec<u16>,
    /// Method, target and body of each request that reaches the origin whole.
    #[serde(default)]
    reach: Vec<String>,
    /// Whether the connection is there for more.
    #[serde(default)]
    stays: bool,
}

#[test]
fn every_case_holds() {
    let cases = cases();
    assert!(cases.len() >= CASES, "{} cases where there were {CASES}", cases.len());
    let origin = Origin::start();
    let shim = Shim::serve_policy(&PolicyFile::with_text(&format!(
        "schema = 1\n[upstreams.origin]\nservers = [\"{}\"]\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"origin\"\n",
        origin.address
    )));
    let mut failures = String::new();
    for case in &cases {
        let failure = match case.play(shim.client()) {
            Err(failure) => Some(failure),
            Ok(()) => {
                let reached = origin.reached();
                let expected: Vec<String> = case.reach.iter().map(|line| fill(line)).collect();
                (reached != expected).then(|| format!("{reached:?} reached the origin"))
            }
        };
        if let Some(failure) = failure {
            failures += &format!("\n{} ({}): {failure}", case.id, case.section);
            drop(origin.reached());
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn every_case_has_a_name_of_its_own_and_a_section() {
    let mut ids = BTreeSet::new();
    for case in cases() {
        assert!(case.section.starts_with("RFC 91"), "{}: {}", case.id, case.section);
        assert!(ids.insert(case.id.clone()), "{} is there twice", case.id);
    }
}

impl Case {
    fn play(&self, client: Client) -> Result<(), String> {
        let say = |error: io::Error| error.to_string();
        let mut connection = client.connect().map_err(say)?;
        // The shim may close before it has read all of what is too long.
        let _ = connection.write(fill(&self.send).as_bytes());
        for expected in &self.gets {
            let answer = connection.read_response("GET").map_err(say)?;
            if answer.status != *expected {
                return Err(format!("{}, not {expected}: {}", answer.status, text(&answer)));
            }
            if answer.status >= 400 {
                refused_as_it_should_be(&answer)?;
            }
        }
        let more = connection.exchange(&Request::get("/healthz"));
        match (more, self.stays) {
            (Ok(_), false) => Err("the connection stays".into()),
            (Err(error), true) => Err(format!("the connection does not stay: {error}")),
            _ => Ok(()),
        }
    }
}

fn refused_as_it_should_be(answer: &Response) -> Result<(), String> {
    if answer.header("content-type") != Some("application/problem+json") {
        return Err(format!("no problem details: {}", text(answer)));
    }
    if answer.json()["status"] != answer.status {
        return Err(format!("another status inside: {}", text(answer)));
    }
    match answer.header("connection") {
        Some("close") => Ok(()),
        other => Err(format!("Connection: {other:?}")),
    }
}

fn text(answer: &Response) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("http1");
    let mut cases = Vec::new();
    for entry in fs::read_dir(&folder).expect("tests/http1 can be listed") {
        let path = entry.expect("an entry of tests/http1").path();
        let text = fs::read_to_string(&path).expect("a file of cases can be read");
        let file: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        cases.extend(file.case);
    }
    cases
}

/// The text with what is repeated written out.
fn fill(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('<') {
        filled.push_str(before);
        let repeated = behind.split_once('>').and_then(|(inner, after)| {
            let (what, times) = inner.rsplit_once('*')?;
            Some((what.repeat(times.parse().ok()?), after))
        });
        match repeated {
            Some((repeated, after)) => {
                filled.push_str(&repeated);
                rest = after;
            }
            None => {
                filled.push('<');
                rest = behind;
            }
        }
    }
    filled + rest
}

/// Answers whatever it understands, and notes what that was.
struct Origin {
    address: SocketAddr,
    reached: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let reached = Arc::default();
        let notes = Arc::clone(&reached);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let notes = Arc::clone(&notes);
                // A connection that breaks off is the shim's business.
                thread::spawn(move || drop(serve(stream, &notes)));
            }
        });
        Self { address, reached }
    }

    /// What has reached it since it was asked last. Whatever the shim passes on is answered before
    /// its client is.
    fn reached(&self) -> Vec<String> {
        std::mem::take(&mut *self.reached.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(stream: TcpStream, reached: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let first = line(&mut stream)?;
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (mut length, mut chunked) = (0, false);
        loop {
            let field = line(&mut stream)?.to_ascii_lowercase();
            let Some((name, value)) = field.split_once(':') else { break };
            match (name, value.trim()) {
                ("content-length", value) => length = value.parse().unwrap_or(0),
                ("transfer-encoding", _) => chunked = true,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        while chunked {
            let size = usize::from_str_radix(&line(&mut stream)?, 16).unwrap_or(0);
            let mut chunk = vec![0; size];
            stream.read_exact(&mut chunk)?;
            body.extend(chunk);
            line(&mut stream)?;
            chunked = size > 0;
        }
        let seen = format!("{method} {target} {}", String::from_utf8_lossy(&body));
        reached.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
    }
}

/// One line without its end; an error where nothing comes any more.
fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
    }
}
