//! An origin that answers each host with what its case says next, byte by byte: no library adds
//! fields or mends what is wrong.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tidegate_world::message::{Head, Request, Script};

/// How long a question that was announced may be on its way.
const PATIENCE: Duration = Duration::from_secs(2);

/// A listening origin; its threads end with the process.
#[derive(Clone, Debug)]
pub struct ScriptedOrigin {
    address: SocketAddr,
    stage: Arc<Stage>,
}

#[derive(Debug, Default)]
struct Stage {
    hosts: Mutex<HashMap<String, Scene>>,
    asked: Condvar,
}

/// What is to come for one host, and what came.
#[derive(Debug, Default)]
struct Scene {
    script: VecDeque<Script>,
    /// Whether somebody who is not there was asked.
    called: bool,
    asked: Vec<Request>,
}

impl ScriptedOrigin {
    /// Listens on a port of its own.
    ///
    /// # Panics
    /// If the system has none.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stage = Arc::new(Stage::default());
        let staged = Arc::clone(&stage);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let stage = Arc::clone(&staged);
                // A connection that breaks off is the gate's business.
                thread::spawn(move || drop(serve(stream, &stage)));
            }
        });
        Self { address, stage }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says what comes next for a host and its subdomains, time by time, and forgets what it was
    /// asked.
    pub fn expect(&self, host: &str, script: Vec<Script>) {
        let scene = Scene { script: script.into(), called: false, asked: Vec::new() };
        self.stage.lock().insert(host.to_owned(), scene);
    }

    /// What was asked for a host since; waits a moment for questions that are `due`.
    #[must_use]
    pub fn asked(&self, host: &str, due: usize) -> Vec<Request> {
        let nothing_yet = |hosts: &mut HashMap<String, Scene>| {
            hosts.get(host).map_or(0, |scene| scene.asked.len()) < due
        };
        let (hosts, _) = self
            .stage
            .asked
            .wait_timeout_while(self.stage.lock(), PATIENCE, nothing_yet)
            .unwrap_or_else(PoisonError::into_inner);
        hosts.get(host).map(|scene| scene.asked.clone()).unwrap_or_default()
    }
}

impl Stage {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Scene>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a question and says what to do with it.
    fn answer(&self, mut request: Request) -> Option<Script> {
        name_the_host(&mut request.head);
        let host = request.head.joined("host").unwrap_or_default().to_ascii_lowercase();
        let name = host.split(':').next().unwrap_or_default();
        let mut hosts = self.lock();
        let (_, scene) = hosts
            .iter_mut()
            .find(|(case, _)| name == **case || name.strip_prefix("other.") == Some(case))?;
        // Of somebody who is not there nobody knows how often he was called.
        let script = match scene.script.front() {
            Some(Script::Unreachable) if scene.called => return Some(Script::Unreachable),
            Some(Script::Unreachable) => {
                scene.called = true;
                Some(Script::Unreachable)
            }
            _ => scene.script.pop_front(),
        };
        scene.asked.push(request);
        self.asked.notify_all();
        script
    }
}

/// The worker asks its origin by the name that this has, and says in a field of its own which host
/// was asked for: noted as the Host that it stands for.
fn name_the_host(head: &mut Head) {
    let by_address = head.joined("host").is_some_and(|host| host.parse::<SocketAddr>().is_ok());
    let Some(asked_for) = head.joined("x-forwarded-host").filter(|_| by_address) else { return };
    head.0.retain(|(name, _)| name != "x-forwarded-host" && name != "host");
    head.0.push(("host".into(), asked_for));
}

fn serve(stream: TcpStream, stage: &Stage) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream)? {
        let is_head = request.method == "HEAD";
        match stage.answer(request) {
            Some(Script::Answers(response)) => {
                let mut text = format!("HTTP/1.1 {} \r\n", response.status);
                let has_content = !is_head && !matches!(response.status, 204 | 304);
                for (name, value) in &response.head.0 {
                    text += &format!("{name}: {value}\r\n");
                }
                if has_content && response.head.joined("content-length").is_none() {
                    text += &format!("content-length: {}\r\n", response.body.len());
                }
                text += "\r\n";
                if has_content {
                    text += &response.body;
                }
                stream.get_mut().write_all(text.as_bytes())?;
                // What a case says of its connection is about that of the case.
                if response.head.joined("connection").is_some() {
                    return Ok(());
                }
            }
            // Nobody is there: the nearest that an open socket comes to it.
            Some(Script::Unreachable) | None => return Ok(()),
            Some(Script::Silent) => thread::sleep(Duration::from_secs(600)),
        }
    }
    Ok(())
}

fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut head = Head::default();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end_matches(['\r', '\n']).split_once(':') else {
            break;
        };
        head.0.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let body = read_body(stream, &head)?;
    Ok(Some(Request { method, target, head, body }))
}

fn read_body(stream: &mut BufReader<TcpStream>, head: &Head) -> io::Result<String> {
    let mut body = Vec::new();
    if let Some(length) = head.joined("content-length").and_then(|text| text.parse().ok()) {
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
    } else if head.joined("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk)?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
