//! `deploy/systemd`, by systemd itself; and the program under the eyes of strace, which shows
//! what the unit's filters would have to say about it.

use std::{collections::BTreeSet, fs, os::unix::net::UnixDatagram, path::Path, process::Command};

use tidegate_tests::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    process::{self, PATIENCE},
    shim::Shim,
};

use crate::validators::{in_the_repository, judged, passes};

/// By systemd's measure, from 0 to 100; it calls up to 20 "OK".
const EXPOSURE: &str = "--threshold=15";
/// Where the unit expects the program.
const INSTALLED: &str = "/usr/local/bin/tidegate";
/// How long the program takes at most to end: 30 s to drain, 10 s to tell the edge the rest.
const ENDING: u64 = 40;

#[test]
#[ignore = "needs systemd: `cargo xtask test`"]
fn d1_systemd_finds_nothing_wrong_with_the_units() {
    let folder = units(&process::tidegate());
    let both = ["tidegate.service", "tidegate.socket"].map(|unit| folder.path().join(unit));
    let (success, said) = judged(Command::new("systemd-analyze").arg("verify").args(&both));
    assert!(success && said.is_empty(), "{said}");

    let misspelt = text("tidegate.service").replace("ProtectHome=", "ProtectHouse=");
    fs::write(&both[0], misspelt).expect("a unit");
    let (_, said) = judged(Command::new("systemd-analyze").arg("verify").args(&both));
    assert!(said.contains("ProtectHouse"), "the validator sees what is wrong: {said}");
}

#[test]
#[ignore = "needs systemd: `cargo xtask test`"]
fn d1_the_unit_is_hardened() {
    let folder = units(&process::tidegate());
    let unit = folder.path().join("tidegate.service");
    let mut analyze = Command::new("systemd-analyze");
    passes(analyze.args(["security", "--offline=yes", "--no-pager", EXPOSURE]).arg(&unit));
    let open = text("tidegate.service").replace("ProtectSystem=strict", "");
    fs::write(&unit, open.replace("SystemCallFilter=", "#")).expect("a unit");
    let mut analyze = Command::new("systemd-analyze");
    let command = analyze.args(["security", "--offline=yes", "--no-pager", EXPOSURE]).arg(&unit);
    assert!(!judged(command).0, "the threshold is a threshold");
}

#[test]
#[ignore = "needs systemd: `cargo xtask test`"]
fn d1_sysusers_takes_the_user() {
    let file = in_the_repository("deploy/systemd/tidegate.sysusers");
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("etc")).expect("a folder");
    let mut sysusers = Command::new("systemd-sysusers");
    passes(sysusers.arg("--root").arg(root.path()).arg(file));
    let users = fs::read_to_string(root.path().join("etc/passwd")).expect("users");
    assert!(users.lines().any(|line| line.starts_with("tidegate:x:")), "{users}");
    assert_eq!(setting("User"), ["tidegate"]);
}

#[test]
#[ignore = "needs systemd: `cargo xtask test`"]
fn p7_systemd_waits_longer_than_the_program_takes_to_end() {
    let [seconds] = &setting("TimeoutStopSec")[..] else { panic!("one TimeoutStopSec") };
    assert!(seconds.parse::<u64>().expect("seconds") > ENDING, "{seconds}");
}

/// What the program asks the kernel for while it starts, serves, is operated, reads its policy
/// again, hands over to a new process and drains is what the unit's filters let through; and it
/// tells systemd what the unit waits for.
#[test]
#[ignore = "needs systemd and strace: `cargo xtask test`"]
fn d1_the_filters_of_the_unit_let_all_through_that_the_program_does() {
    let (origin, policy) = (DemoOrigin::start(), PolicyFile::of_the_repository());
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace");
    let mut command = Command::new("strace");
    // The program stays the child of this test, and strace ends behind it.
    command.args(["--daemonize", "--follow-forks", "--quiet=all"]);
    command.arg("--output").arg(&trace);
    command.arg(process::tidegate()).arg("serve").arg("--policy").arg(policy.path());
    let socket = format!("unix:{}", folder.path().join("http.sock").display());
    command.args(["--listen", "127.0.0.1:0", "--listen", &socket]);
    command.env("BASE_SVC", origin.base().address().to_string());
    command.env("PLUGIN_SERVER", origin.plugins().address().to_string());
    command.env("TIDEGATE_ADMIN_LISTEN", "127.0.0.1:0");
    let supervisor = Supervisor::new(&folder.path().join("notify"));
    command.env("NOTIFY_SOCKET", folder.path().join("notify")).env("WATCHDOG_USEC", "200000");
    let mut shim = Shim::start_at(&mut command, 2);
    assert_eq!(setting("Type"), ["notify"]);
    supervisor.hears("READY=1");
    supervisor.hears("WATCHDOG=1");
    let admin = shim.admin();
    for path in ["/api/v1/plugins", "/api/v1/plugins", "/plugins/app.js", "/healthz"] {
        assert_eq!(shim.client().get(path).status, 200, "{path}");
    }
    assert_eq!(admin.get("/status").status, 200);
    assert_eq!(shim.reload()["action"], "reload");
    shim.process().signal("USR2");
    let successor = supervisor.hears("MAINPID=");
    assert_eq!(shim.client().get("/healthz").status, 200);
    passes(Command::new("kill").args(["-s", "TERM", &successor]));
    shim.process().end_of_output(PATIENCE);

    let trace = fs::read_to_string(&trace).expect("a trace");
    let calls: BTreeSet<String> = trace.lines().filter_map(call).map(str::to_owned).collect();
    assert!(calls.contains("accept4") && calls.contains("epoll_wait"), "{calls:?}");
    let allowed = allowed_calls();
    let refused: Vec<_> = calls.iter().filter(|call| !allowed.contains(*call)).collect();
    assert!(refused.is_empty(), "the unit would refuse {refused:?}");
    assert!(!trace.contains("PROT_WRITE|PROT_EXEC"), "MemoryDenyWriteExecute would refuse that");
    let families = setting("RestrictAddressFamilies").join(" ");
    let sockets = trace.split("socket(").skip(1).filter_map(|rest| rest.split(',').next());
    for family in sockets.map(|family| family.replace("AF_LOCAL", "AF_UNIX")) {
        assert!(families.contains(&family), "RestrictAddressFamilies would refuse {family}");
    }
}

/// Hears what a program tells the supervisor that has started it (sd_notify(3)).
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self(socket)
    }

    /// Waits for a line that begins so; the rest of it.
    #[track_caller]
    fn hears(&self, word: &str) -> String {
        loop {
            let mut said = [0; 256];
            let length = self.0.recv(&mut said).unwrap_or_else(|_| panic!("no word of {word}"));
            let said = String::from_utf8_lossy(&said[..length]);
            if let Some(rest) = said.lines().find_map(|line| line.strip_prefix(word)) {
                return rest.to_owned();
            }
        }
    }
}

/// The units in a folder of their own, with the program where it is.
fn units(program: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for unit in ["tidegate.service", "tidegate.socket"] {
        let text = text(unit).replace(INSTALLED, &program.display().to_string());
        fs::write(folder.path().join(unit), text).expect("a unit");
    }
    folder
}

fn text(unit: &str) -> String {
    let path = in_the_repository("deploy/systemd").join(unit);
    fs::read_to_string(path).expect("a unit")
}

/// The values of a setting of the service.
fn setting(name: &str) -> Vec<String> {
    let text = text("tidegate.service");
    let values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.map(str::to_owned).collect()
}

/// The calls that `SystemCallFilter` lets through.
fn allowed_calls() -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for words in setting("SystemCallFilter") {
        match words.strip_prefix('~') {
            None => words.split(' ').for_each(|word| allowed.extend(calls_of(word))),
            Some(refused) => {
                let refused: BTreeSet<String> = refused.split(' ').flat_map(calls_of).collect();
                allowed = &allowed - &refused;
            }
        }
    }
    assert!(allowed.len() > 100, "{allowed:?}");
    allowed
}

/// The calls of a set, those of the sets within it, too, by systemd's own word.
fn calls_of(word: &str) -> BTreeSet<String> {
    if !word.starts_with('@') {
        return BTreeSet::from([word.to_owned()]);
    }
    let said = passes(Command::new("systemd-analyze").args(["syscall-filter", "--no-pager", word]));
    let lines = said.lines().skip(1).map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter(|line| !line.is_empty()).flat_map(calls_of).collect()
}

/// The call in a line of strace, `1234 accept4(9, …`.
fn call(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(' ')?;
    let (name, _) = rest.trim_start().split_once('(')?;
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(name)
}
