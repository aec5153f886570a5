//! TLS of the shim: which versions, which certificate for whom, what is spoken within, and how
//! certificates are renewed.

use std::fs;
use std::io;

use tempfile::TempDir;
use tidegate_tests::{
    demo_origin::DemoOrigin,
    http2::Http2,
    metrics::Metrics,
    policy_file::PolicyFile,
    process::Ended,
    shim::{Shim, refused_serve_at},
    tls::{Authority, BOTH, ONLY_1_2, Spoken},
    wire::Request,
};
use tokio_rustls::rustls::ProtocolVersion;

const ANY: &str = "https://127.0.0.1:0";

#[test]
fn p4_tls_is_1_3_and_1_2_only_by_a_switch() {
    let site = Site::new(&["a.example"]);
    let (shim, _policy) = site.serve("");
    let spoken = site.speak(&shim, "a.example", &[]).expect("a handshake");
    assert_eq!(spoken.version, ProtocolVersion::TLSv1_3);
    let refused = site.authority.speak(shim.address(), "a.example", ONLY_1_2, &[]);
    assert!(refused.expect_err("1.2 is not spoken").to_string().contains("ProtocolVersion"));

    let (shim, _policy) = site.serve("min_version = \"1.2\"\n");
    let spoken = site.authority.speak(shim.address(), "a.example", ONLY_1_2, &[]);
    assert_eq!(spoken.expect("a handshake").version, ProtocolVersion::TLSv1_2);
    let spoken = site.speak(&shim, "a.example", &[]).expect("a handshake");
    assert_eq!(spoken.version, ProtocolVersion::TLSv1_3, "the newer where both can");
}

#[test]
fn p2_what_is_spoken_within_is_agreed_on_in_the_handshake() {
    let site = Site::new(&["a.example"]);
    let (shim, _policy) = site.serve("");
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let spoken = site.speak(&shim, "a.example", offered).expect("a handshake");
        assert_eq!(spoken.alpn.as_deref(), agreed, "{offered:?}");
        if agreed != Some("h2") {
            let mut connection = spoken.connection;
            let answer = connection.exchange(&Request::get("/api/v1/echo")).expect("an answer");
            assert_eq!(forwarded(&answer.json(), "x-forwarded-proto"), "https");
            assert_eq!(forwarded(&answer.json(), "via"), "1.1 tidegate");
        }
    }
    let refused = site.speak(&shim, "a.example", &["spdy/3"]).expect_err("nothing in common");
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[test]
fn p2_http2_is_served_over_tls() {
    let site = Site::new(&["a.example"]);
    let (shim, _policy) = site.serve("");
    runtime().block_on(async {
        let config = site.authority.client(BOTH, &["h2"]);
        let client = Http2::over_tls(shim.address(), "a.example", config).await;
        let answer = client.get("https://a.example/api/v1/echo").await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let seen: serde_json::Value = serde_json::from_slice(answer.body()).expect("JSON");
        assert_eq!(forwarded(&seen, "host"), "a.example");
        assert_eq!(forwarded(&seen, "x-forwarded-proto"), "https");
        assert_eq!(forwarded(&seen, "x-forwarded-for"), "127.0.0.1");
        assert_eq!(forwarded(&seen, "via"), "2 tidegate");
    });
    shim.stop();
}

#[test]
fn the_certificate_is_the_one_for_the_host_and_else_the_first() {
    let site = Site::new(&["a.example", "127.0.0.1"]);
    let a = site.certificate.clone();
    let b = site.authority.issue(site.folder.path(), "b", &["b.example", "*.b.example"]);
    let (shim, _policy) = site.serve_with(&[("a.pem", "a.key"), ("b.pem", "b.key")], "");
    let shown = |host: &str| site.speak(&shim, host, &[]).map(|spoken| spoken.certificate);
    assert_eq!(shown("a.example").expect("a handshake"), a);
    assert_eq!(shown("b.example").expect("a handshake"), b);
    assert_eq!(shown("www.b.example").expect("a handshake"), b);
    assert_eq!(shown("127.0.0.1").expect("who names no host gets the first"), a);
    // Such a client is shown the first, which is not for its host: it will not have it.
    for stranger in ["c.example", "x.www.b.example"] {
        let error = shown(stranger).expect_err("no certificate is for it").to_string();
        assert!(error.contains("not valid for name"), "{stranger}: {error}");
    }
}

#[test]
fn certificates_are_renewed_when_their_files_change_and_by_a_signal() {
    let site = Site::new(&["a.example"]);
    let (mut shim, _policy) = site.serve("");
    let shown = |shim: &Shim| {
        let spoken = site.speak(shim, "a.example", &[]).expect("a handshake");
        spoken.certificate
    };
    let mut before = site.speak(&shim, "a.example", &[]).expect("a handshake").connection;
    assert_eq!(shown(&shim), site.certificate);

    let second = site.authority.issue(site.folder.path(), "a", &["a.example"]);
    assert!(shim.next_error_line().contains("certificates have changed and are shown"));
    assert_eq!(shown(&shim), second);

    fs::write(site.folder.path().join("a.key"), "not a key").expect("a folder of this test");
    let said = shim.next_error_line();
    assert!(said.contains("a.key` of `[shim.tls]` has no private key"), "{said}");
    assert!(shim.next_error_line().contains("hint: "));
    assert!(shim.next_error_line().contains("the old certificates stay"));
    assert_eq!(shown(&shim), second);
    let refused = shim.reload()["refused"].clone();
    assert!(refused.as_str().expect("a refusal").contains("has no private key"), "{refused}");
    assert_eq!(shown(&shim), second);

    let third = site.authority.issue(site.folder.path(), "a", &["a.example"]);
    assert!(shim.reload()["refused"].is_null());
    assert_eq!(shown(&shim), third, "at once by the signal");
    assert_eq!(before.exchange(&Request::get("/healthz")).expect("an answer").status, 200);
}

#[test]
fn until_when_certificates_are_valid_is_a_metric() {
    let site = Site::new(&["a.example"]);
    let (mut shim, _policy) = site.serve("[admin]\nlisten = \"127.0.0.1:0\"\n");
    let metrics = Metrics::of(shim.admin());
    let name = "tidegate_certificate_expiry_timestamp_seconds{";
    let samples: Vec<&str> = metrics.samples(name).collect();
    // What certificates of tests have: the first of January 4096.
    let path = site.folder.path().join("a.pem");
    assert_eq!(samples, [format!("{name}chain=\"{}\"}} 67090118400", path.display())]);
}

#[test]
fn certificates_that_are_no_use_are_named_with_a_remedy() {
    let site = Site::new(&["a.example"]);
    let folder = site.folder.path();
    site.authority.issue(folder, "b", &["b.example"]);
    fs::write(folder.join("empty.pem"), "").expect("a folder of this test");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(folder.join("broken.pem"), broken).expect("a folder of this test");
    for (chain, key, said, remedy) in [
        ("no.pem", "a.key", "cannot read", "beside the policy file"),
        ("a.pem", "no.key", "cannot read", "beside the policy file"),
        ("empty.pem", "a.key", "has no certificate", "BEGIN CERTIFICATE"),
        ("a.pem", "a.pem", "has no private key", "BEGIN PRIVATE KEY"),
        ("broken.pem", "a.key", "is of no use", "X.509"),
        ("a.pem", "b.key", "is not that of the certificate", "made together"),
    ] {
        let policy = site.policy(&[(chain, key)], "");
        let Ended { status, stdout, stderr } = refused_serve_at(&policy, &[ANY]);
        assert!(!status.success() && stdout.is_empty(), "{stdout}");
        assert!(stderr.contains(said) && stderr.contains(remedy), "{chain} {key}: {stderr}");
    }
    let policy = PolicyFile::with_text("schema = 1\n");
    let refused = refused_serve_at(&policy, &[ANY]);
    assert!(refused.stderr.contains("has no certificate to show"), "{}", refused.stderr);
}

#[test]
fn whoever_does_not_begin_with_a_handshake_is_let_go() {
    use std::io::{Read, Write};
    let site = Site::new(&["a.example"]);
    let (shim, _policy) = site.serve("");
    let mut plain = std::net::TcpStream::connect(shim.address()).expect("it listens");
    plain.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").expect("it is open");
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).expect("an end");
    assert!(!answer.starts_with(b"HTTP"), "nothing is answered in the clear");

    // The handshake has ten seconds.
    let mut silent = std::net::TcpStream::connect(shim.address()).expect("it listens");
    silent.set_read_timeout(Some(tidegate_tests::wire::PATIENCE)).expect("a time-out");
    assert_eq!(silent.read(&mut [0]).expect("an end"), 0);
}

/// A shim's folder with a certificate, `a.pem` and `a.key`.
struct Site {
    authority: Authority,
    folder: TempDir,
    certificate: Vec<u8>,
    origin: DemoOrigin,
}

impl Site {
    fn new(names: &[&str]) -> Self {
        let (authority, folder) = (Authority::new(), TempDir::new().expect("a temporary folder"));
        let certificate = authority.issue(folder.path(), "a", names);
        Self { authority, folder, certificate, origin: DemoOrigin::start() }
    }

    /// The policy file is there as long as it is held.
    fn serve(&self, line: &str) -> (Shim, PolicyFile) {
        self.serve_with(&[("a.pem", "a.key")], line)
    }

    fn serve_with(&self, certificates: &[(&str, &str)], line: &str) -> (Shim, PolicyFile) {
        let policy = self.policy(certificates, line);
        (Shim::serve_at(&policy, &self.origin, &[ANY]), policy)
    }

    fn policy(&self, certificates: &[(&str, &str)], line: &str) -> PolicyFile {
        let folder = self.folder.path().display();
        let files: Vec<String> = certificates
            .iter()
            .map(|(chain, key)| {
                format!("{{ chain = \"{folder}/{chain}\", key = \"{folder}/{key}\" }}")
            })
            .collect();
        PolicyFile::with_text(&format!(
            "schema = 1\n[shim]\nlisten = \"{ANY}\"\n\
             [shim.tls]\ncertificates = [{}]\n{line}\
             [upstreams.base]\nservers = \"${{BASE_SVC:-127.0.0.1:9}}\"\n\
             [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"base\"\n",
            files.join(", ")
        ))
    }

    fn speak(&self, shim: &Shim, host: &str, alpn: &[&str]) -> io::Result<Spoken> {
        self.authority.speak(shim.address(), host, BOTH, alpn)
    }
}

/// What the origin has seen in the only line of this field.
#[track_caller]
fn forwarded(seen: &serde_json::Value, name: &str) -> String {
    let lines = seen["headers"].as_array().expect("lines");
    let mut lines = lines.iter().filter(|line| line[0] == name);
    let line = lines.next().unwrap_or_else(|| panic!("{name} in {seen}"));
    assert!(lines.next().is_none(), "{name} in {seen}");
    line[1].as_str().expect("text").to_owned()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
