//! The shim under a supervisor: sockets that are passed to it, word of how it is, and a new process
//! in its place, while clients ask and none of them fails.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use command_fds::{CommandFdExt, FdMapping};
use http_body_util::Full;
use tempfile::TempDir;
use tidegate_tests::{
    demo_origin::DemoOrigin,
    held_origin::HeldOrigin,
    http2::Http2,
    policy_file::PolicyFile,
    process::{self, Process},
    redis::eventually,
    shim::Shim,
    wire::{Client, Connection, PATIENCE, Request},
};

#[test]
fn sockets_that_are_passed_are_listened_at() {
    let folder = TempDir::new().expect("a temporary folder");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = tcp.local_addr().expect("it is bound");
    let path = folder.path().join("passed.sock");
    let unix = UnixListener::bind(&path).expect("a new socket");
    let passed = || [tcp.try_clone().map(OwnedFd::from), unix.try_clone().map(OwnedFd::from)];

    // Who connects before anybody serves waits in the queue.
    let mut early = Client::of(address).connect().expect("a queue");
    early.ask(&Request::get("/healthz")).expect("room for it");
    let policy = policy("127.0.0.1:9", "");
    // As systemd does it: the number of the process that is meant is said.
    let mut command = serve(&policy, "LISTEN_PID=$$ exec \"$0\" \"$@\"", passed());
    let shim = Shim::start_at(&mut command, 2);
    assert_eq!(shim.places(), [format!("http://{address}"), format!("unix:{}", path.display())]);
    assert_eq!(early.read_response("GET").expect("an answer").status, 200);
    assert_eq!(over(&path).exchange(&Request::get("/healthz")).expect("an answer").status, 200);
    shim.stop();
    assert!(path.exists(), "it is not the shim's to remove");

    // And while nobody serves.
    let mut early = Client::of(address).connect().expect("a queue");
    early.ask(&Request::get("/healthz")).expect("room for it");
    let mut command = serve(&policy, "LISTEN_PID=$$ exec \"$0\" \"$@\"", passed());
    command.args(["--listen", &address.to_string()]);
    let mut shim = Shim::start_at(&mut command, 1);
    let said = shim.next_error_line();
    assert!(said.contains("a socket was passed for unix:"), "{said}");
    assert_eq!(early.read_response("GET").expect("an answer").status, 200);
    shim.stop();

    let mut command = serve(&policy, "LISTEN_PID=1 exec \"$0\" \"$@\"", passed());
    command.args(["--listen", &address.to_string()]);
    let ended = Process::start(&mut command).ended();
    assert!(ended.stderr.contains("Address already in use"), "{ended:?}: they were for another");
}

#[test]
fn what_is_no_listener_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let datagrams = UnixDatagram::bind(folder.path().join("datagrams")).expect("a new socket");
    let policy = policy("127.0.0.1:9", "");
    let mut command = serve(&policy, "exec \"$0\" \"$@\"", [Ok(datagrams.into())]);
    let ended = Process::start(&mut command).ended();
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("passed descriptor 3"), "{}", ended.stderr);
    assert!(ended.stderr.contains("= hint: pass stream sockets"), "{}", ended.stderr);
}

#[test]
fn the_supervisor_hears_how_it_is() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a new socket");
    supervisor.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let heard = || {
        let mut word = [0; 256];
        let length = supervisor.recv(&mut word).expect("word of it");
        String::from_utf8_lossy(&word[..length]).into_owned()
    };
    let policy = policy("127.0.0.1:9", "");
    let mut command = serve(&policy, "exec \"$0\" \"$@\"", []);
    command.args(["--listen", "127.0.0.1:0"]).env("NOTIFY_SOCKET", &path);
    let mut shim = Shim::start_at(&mut command, 1);
    assert_eq!(heard(), "READY=1\n");
    for text in [policy.text(), "nonsense".to_owned()] {
        policy.rewrite(&text);
        let _ = shim.reload();
        let reloading = heard();
        let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=");
        assert!(since.is_some_and(|usec| usec.trim().parse::<u64>().is_ok()), "{reloading}");
        assert_eq!(heard(), "READY=1\n", "whatever came of it");
    }
    shim.process().signal("TERM");
    assert_eq!(heard(), "STOPPING=1\n");
    shim.stopped();
}

#[test]
fn a_watchdog_is_told_as_long_as_all_threads_are_alive() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a new socket");
    supervisor.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let policy = policy("127.0.0.1:9", "");
    let mut command = serve(&policy, "exec \"$0\" \"$@\"", []);
    command.args(["--listen", "127.0.0.1:0"]).env("NOTIFY_SOCKET", &path);
    let shim = Shim::start_at(command.env("WATCHDOG_USEC", "200000"), 1);
    let mut told = 0;
    while told < 5 {
        let mut word = [0; 64];
        let length = supervisor.recv(&mut word).expect("word of it");
        told += u32::from(&word[..length] == b"WATCHDOG=1\n");
    }
    shim.stop();
}

#[test]
fn p7_no_request_fails_while_new_processes_take_over() {
    const TAKEOVERS: u64 = 4;
    let origin = DemoOrigin::start();
    let policy = policy(&origin.base().address().to_string(), "");
    let mut generations = Generations::start(&policy);
    let client = generations.shim.client();
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let ask = |over_http2: bool| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            while !done.load(Ordering::Relaxed) {
                let body = vec![b'x'; 200_000];
                let status = if over_http2 {
                    let url = format!("http://{}/api/v1/echo", client.server());
                    let request = http::Request::post(url).body(Full::<Bytes>::from(body));
                    runtime.block_on(async {
                        let client = Http2::in_the_clear(client.server()).await;
                        let answer = client.send(request.expect("a request")).await;
                        answer.expect("an answer").status().as_u16()
                    })
                } else {
                    client.send(&Request::new("POST", "/api/v1/echo").body(body)).status
                };
                assert_eq!(status, 200);
                sent.fetch_add(1, Ordering::Relaxed);
            }
        };
        let clients = [false, true, false, true].map(|by| scope.spawn(move || ask(by)));
        for _ in 0..TAKEOVERS {
            let before = sent.load(Ordering::Relaxed);
            generations.take_over();
            // The new one is asked, too, before the next comes.
            while sent.load(Ordering::Relaxed) < before + 50 {
                assert!(clients.iter().all(|client| !client.is_finished()), "no request failed");
                thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().expect("no request failed"));
    });
    let sent = sent.into_inner();
    assert!(sent >= 50 * TAKEOVERS, "{sent} requests are no load");
    assert_eq!(origin.base().total(), sent, "each came to the origin, once");
    generations.stop();
}

#[test]
fn p7_no_request_fails_while_a_supervisor_restarts_it() {
    const RESTARTS: u64 = 4;
    let origin = DemoOrigin::start();
    let policy = policy(&origin.base().address().to_string(), "");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let client = Client::of(tcp.local_addr().expect("it is bound"));
    let start = || {
        let passed = tcp.try_clone().map(OwnedFd::from);
        Shim::start_at(&mut serve(&policy, "LISTEN_PID=$$ exec \"$0\" \"$@\"", [passed]), 1)
    };
    let mut shim = start();
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let ask = || {
            while !done.load(Ordering::Relaxed) {
                let answer = client.send(&Request::new("POST", "/api/v1/echo").body("x"));
                assert_eq!(answer.status, 200, "{answer:?}");
                sent.fetch_add(1, Ordering::Relaxed);
            }
        };
        let clients = [(); 4].map(|()| scope.spawn(ask));
        for _ in 0..RESTARTS {
            let before = sent.load(Ordering::Relaxed);
            while sent.load(Ordering::Relaxed) < before + 50 {
                assert!(clients.iter().all(|client| !client.is_finished()), "no request failed");
                thread::yield_now();
            }
            shim.process().signal("TERM");
            let stopped = std::mem::replace(&mut shim, start());
            stopped.stopped();
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().expect("no request failed"));
    });
    assert_eq!(origin.base().total(), sent.into_inner(), "each came to the origin, once");
    shim.stop();
}

#[test]
fn p7_what_an_old_process_is_at_is_finished_after_a_new_one_took_over() {
    let origin = HeldOrigin::start();
    let policy = policy(&origin.address().to_string(), "");
    let mut generations = Generations::start(&policy);
    let mut running = generations.shim.client().connect().expect("it listens");
    running.ask(&Request::get("/running")).expect("it is open");
    let held = origin.next();
    generations.take_over();
    let answered = thread::spawn({
        let client = generations.shim.client();
        move || client.get("/by-the-new-one")
    });
    origin.next().answer("", "new");
    assert_eq!(answered.join().expect("an answer").body, b"new");
    held.answer("", "old");
    let answer = running.read_response("GET").expect("an answer");
    assert_eq!((&*answer.body, answer.header("connection")), (&b"old"[..], Some("close")));
    generations.stop();
}

#[test]
fn a_second_signal_ends_what_runs() {
    let origin = HeldOrigin::start();
    let mut shim = Shim::serve_policy(&policy(&origin.address().to_string(), ""));
    let mut running = shim.client().connect().expect("it listens");
    running.ask(&Request::get("/running")).expect("it is open");
    let _held = origin.next();
    shim.process().signal("TERM");
    // Both must not come at once: they would be one.
    while shim.client().connect().is_ok() {
        thread::yield_now();
    }
    shim.process().signal("TERM");
    shim.stopped();
    assert!(running.read_response("GET").is_err(), "nobody has answered");
}

#[test]
fn a_new_process_that_does_not_come_up_leaves_the_old_one_in_place() {
    let policy = policy("127.0.0.1:9", "");
    let mut generations = Generations::start(&policy);
    let good = policy.text();
    policy.rewrite("schema = 1\nnonsense = true\n");
    generations.shim.process().signal("USR2");
    let said = generations.said_until("this process goes on");
    assert!(said.contains("tidegate.toml:2:1"), "its own word why: {said}");
    assert!(said.contains("the new process ended before it served: exit status: 1"), "{said}");
    assert_eq!(generations.shim.client().get("/healthz").status, 200);

    policy.rewrite(&good);
    generations.take_over();
    assert_eq!(generations.shim.client().get("/healthz").status, 200);
    generations.stop();
}

#[test]
fn whoever_takes_over_is_operated_as_before_and_told_to_the_supervisor() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a new socket");
    supervisor.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let heard = |wanted: &str| loop {
        let mut word = [0; 256];
        let length = supervisor.recv(&mut word).expect("word of it");
        let word = String::from_utf8_lossy(&word[..length]).into_owned();
        if word.starts_with(wanted) {
            return word;
        }
    };
    let policy = policy("127.0.0.1:9", "[admin]\nlisten = \"127.0.0.1:0\"\n");
    let mut command = serve(&policy, "exec \"$0\" \"$@\"", []);
    command.args(["--listen", "127.0.0.1:0"]).env("NOTIFY_SOCKET", &path);
    let mut generations = Generations::of(Shim::start_at(&mut command, 1));
    let admin = generations.shim.admin();
    let hash = || admin.get("/status").json()["policy"]["hash"].clone();
    let before = hash();
    policy.rewrite(&policy.text().replace("schema = 1\n", "schema = 1\nheaders.x-new = \"1\"\n"));
    generations.take_over();
    let process = generations.successors[0];
    assert_eq!(heard("MAINPID="), format!("MAINPID={process}\nREADY=1\n"));
    // The old one takes no more connections there, either, as soon as it has said so.
    let taken_over = (0..1000).any(|_| hash() != before);
    assert!(taken_over, "the same listener, another process");
    generations.stop();
}

#[test]
fn who_is_taken_over_from_leaves_no_snapshot_and_the_last_one_does() {
    let origin = DemoOrigin::start();
    let rule = "[cache.snapshot]\nfile = \"stored\"\n";
    let policy = policy(&origin.base().address().to_string(), rule);
    let file = policy.path().with_file_name("stored");
    let mut generations = Generations::start(&policy);
    let first = generations.shim.process().id();
    generations.take_over();
    eventually("its end", || {
        // Whoever started it has not asked how it ended.
        let stat = std::fs::read_to_string(format!("/proc/{first}/stat")).ok()?;
        stat.contains(") Z").then_some(())
    });
    assert!(!file.exists(), "the next one has a store of its own");
    generations.stop();
    assert!(file.exists());
}

/// A shim, and whoever took over from it; all are gone with this.
struct Generations {
    shim: Shim,
    successors: Vec<u32>,
}

impl Generations {
    fn start(policy: &PolicyFile) -> Self {
        let mut command = serve(policy, "exec \"$0\" \"$@\"", []);
        Self::of(Shim::start_at(command.args(["--listen", "127.0.0.1:0"]), 1))
    }

    const fn of(shim: Shim) -> Self {
        Self { shim, successors: Vec::new() }
    }

    /// Puts a new process into the place of the last one.
    #[track_caller]
    fn take_over(&mut self) {
        match self.successors.last() {
            Some(last) => signal("USR2", *last),
            None => self.shim.process().signal("USR2"),
        }
        let said = self.said_until("takes over");
        let number = said.rsplit("process ").next().and_then(|rest| rest.split(' ').next());
        self.successors.push(number.and_then(|number| number.parse().ok()).expect("a number"));
    }

    #[track_caller]
    fn said_until(&mut self, awaited: &str) -> String {
        let mut said = String::new();
        while !said.contains(awaited) {
            said += &self.shim.next_error_line();
            said.push('\n');
        }
        said
    }

    /// Asks the last to end, and waits until all have.
    #[track_caller]
    fn stop(mut self) {
        match self.successors.last() {
            Some(last) => signal("TERM", *last),
            None => self.shim.process().signal("TERM"),
        }
        // Each holds the pipes open.
        self.shim.process().end_of_output(PATIENCE + Duration::from_secs(20));
        self.successors.clear();
    }
}

impl Drop for Generations {
    fn drop(&mut self) {
        self.successors.iter().for_each(|process| signal("KILL", *process));
    }
}

fn signal(name: &str, process: u32) {
    let arguments = [format!("-{name}"), process.to_string()];
    // It may be gone.
    let _ = Command::new("kill").args(arguments).status();
}

/// `tidegate serve` by a line of the shell, with descriptors from number 3 on.
fn serve(
    policy: &PolicyFile,
    line: &str,
    passed: impl IntoIterator<Item = std::io::Result<OwnedFd>>,
) -> Command {
    let mut command = Command::new("sh");
    command.env_clear().args(["-c", line]).arg(process::tidegate());
    command.arg("serve").arg("--policy").arg(policy.path());
    let passed = passed.into_iter().map(|socket| socket.expect("a descriptor"));
    let mapping = |(parent_fd, child_fd)| FdMapping { parent_fd, child_fd };
    let mappings: Vec<FdMapping> = passed.zip(3..).map(mapping).collect();
    if !mappings.is_empty() {
        command.env("LISTEN_FDS", mappings.len().to_string());
        command.fd_mappings(mappings).expect("each number once");
    }
    command
}

fn over(path: &std::path::Path) -> Connection {
    let stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    Connection::over(stream, SocketAddr::from(([127, 0, 0, 1], 80)))
}

fn policy(server: &str, sections: &str) -> PolicyFile {
    PolicyFile::with_text(&format!(
        "schema = 1\n{sections}[upstreams.base]\nservers = \"{server}\"\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"base\"\n"
    ))
}
