//! `deploy/prometheus`, by promtool; and a real Prometheus that asks a real shim, whose numbers
//! must be those that alerts and the dashboard speak of.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;
use tidegate_tests::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    process::Process,
    redis::{RedisServer, eventually},
    shim::Shim,
    tls::Authority,
    wire::{Client, Request},
};

use crate::grafana;
use crate::validators::{documents, free_port, in_the_repository, judged, passes};

const FOLDER: &str = "deploy/prometheus";
const TOKEN: &str = "0123456789abcdef";

#[test]
#[ignore = "needs promtool: `cargo xtask test`"]
fn p10_the_alert_rules_are_well_formed_and_fire_when_they_should() {
    passes(promtool().args(["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"]));
    passes(promtool().args(["test", "rules", "alerts.test.yml"]));
    passes(promtool().args(["check", "config", "--syntax-only", "prometheus.yml"]));
}

/// Each number of P10 stands in the rules, and moved by a little it fails their tests.
#[test]
#[ignore = "needs promtool: `cargo xtask test`"]
fn p10_the_alert_rules_have_the_numbers_that_are_required() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = fs::read_to_string(in_the_repository(FOLDER).join("alerts.yml")).expect("rules");
    let tests = in_the_repository(FOLDER).join("alerts.test.yml");
    fs::copy(tests, folder.path().join("alerts.test.yml")).expect("tests");
    for (required, other) in [
        ("mean5m > 0.5", "mean5m > 0.7"),
        ("p95_5m > 1\n", "p95_5m > 2.1\n"),
        ("ratio_rate5m > 0.01", "ratio_rate5m > 0.03"),
        ("ratio_rate5m > 0.01", "ratio_rate5m > 0.005"),
        ("> 0.8\n", "> 0.82\n"),
        ("> 0.8\n", "> 0.79\n"),
        ("ratio_rate5m < 0.7", "ratio_rate5m < 0.5"),
        ("for: 5m", "for: 1m"),
        ("14 * 86400", "13 * 86400"),
    ] {
        assert!(rules.contains(required), "{required}");
        let changed = rules.replace(required, other);
        fs::write(folder.path().join("alerts.yml"), changed).expect("rules");
        let mut test = promtool();
        test.current_dir(folder.path()).args(["test", "rules", "alerts.test.yml"]);
        assert!(!judged(&mut test).0, "no test minds {other} in place of {required}");
    }
}

#[test]
#[ignore = "needs Prometheus: `cargo xtask test`"]
fn p10_prometheus_finds_in_a_shim_what_alerts_and_dashboard_speak_of() {
    let watched = Watched::start();
    for path in ["/api/v1/plugins", "/api/v1/plugins", "/app", "/plugins/nobody-there.js"] {
        let _ = watched.shim.client().get(path);
    }
    let metrics = Metrics::of(watched.admin);
    let asked = grafana::questions();
    let rules = expressions_of_rules();
    for expression in asked.iter().map(|(expression, _)| expression).chain(&rules) {
        for name in metric_names(expression) {
            assert!(metrics.has(&name), "no shim tells {name}, asked for in {expression}");
        }
    }
    for (expression, legend) in &asked {
        let names = metric_names(expression);
        for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            let given = label == "instance" || names.iter().any(|name| metrics.labels(name, label));
            assert!(given, "{names:?} have no label {label}, which a legend shows");
        }
    }

    let prometheus = Prometheus::start(watched.admin);
    eventually("Prometheus has asked the shim", || {
        let up = prometheus.query("up{job=\"tidegate\"}");
        (up["data"]["result"][0]["value"][1] == "1").then_some(())
    });
    for (expression, _) in &asked {
        let mut expression = expression.replace("$__rate_interval", "5m");
        for variable in ["$job", "$instance", "$route"] {
            expression = expression.replace(variable, ".*");
        }
        let answer = prometheus.query(&expression);
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
    eventually("Prometheus has tried each rule", || {
        let groups = prometheus.get("/api/v1/rules")["data"]["groups"].clone();
        let groups = groups.as_array().expect("groups").iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let health: Vec<String> = rules.map(|rule| rule["health"].to_string()).collect();
        assert!(!health.iter().any(|health| health == "\"err\""), "{health:?}");
        (health.len() > 10 && health.iter().all(|health| health == "\"ok\"")).then_some(())
    });
}

/// A shim by the policy of the containers, before an upstream that is there and one that is not.
struct Watched {
    shim: Shim,
    admin: Client,
    _redis: RedisServer,
    _origin: DemoOrigin,
}

impl Watched {
    fn start() -> Self {
        let (redis, origin) = (RedisServer::start(), DemoOrigin::start());
        let text = PolicyFile::in_the_repository("deploy/policy/tidegate.toml").text();
        let text =
            text.replace("0.0.0.0:8080", "127.0.0.1:0").replace("0.0.0.0:9180", "127.0.0.1:0");
        let folder = TempDir::new().expect("a folder");
        let _ = Authority::new().issue(folder.path(), "a", &["a.example"]);
        let tls = format!(
            "[shim.tls]\ncertificates = {{ chain = \"{0}/a.pem\", key = \"{0}/a.key\" }}\n[admin]\n",
            folder.path().display()
        );
        let text = text.replace("/var/lib/tidegate/", "").replace("[admin]\n", &tls);
        let policy = PolicyFile::with_text(&text);
        let nobody = format!("127.0.0.1:{}", free_port());
        let mut shim = Shim::serve_policy_with(
            &policy,
            &[
                ("TIDEGATE_ADMIN_TOKEN", TOKEN),
                ("REDIS_URL", &redis.url()),
                ("CACHE_REDIS_URL", &redis.url()),
                ("BASE_SVC", &origin.base().address().to_string()),
                ("PLUGIN_SERVER", &nobody),
            ],
        );
        let admin = shim.admin();
        Self { shim, admin, _redis: redis, _origin: origin }
    }
}

/// What `/metrics` says.
struct Metrics(String);

impl Metrics {
    fn of(admin: Client) -> Self {
        let token = format!("Bearer {TOKEN}");
        let answer = admin.send(&Request::get("/metrics").header("Authorization", &token));
        assert_eq!(answer.status, 200, "{answer:?}");
        Self(String::from_utf8(answer.body).expect("text"))
    }

    /// Whether there are samples of this name.
    fn has(&self, name: &str) -> bool {
        let kinds = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let mut families = kinds.filter(|(family, _)| name.starts_with(family));
        families.any(|(family, kind)| match &name[family.len()..] {
            "" => kind != "histogram",
            "_bucket" | "_sum" | "_count" => kind == "histogram",
            _ => false,
        })
    }

    /// Whether samples of this name have this label.
    fn labels(&self, name: &str, label: &str) -> bool {
        let mut samples =
            self.0.lines().filter_map(|line| line.strip_prefix(name)?.split_once('}'));
        samples.any(|(labels, _)| labels.contains(&format!("{label}=\"")))
    }
}

/// A real Prometheus, killed when dropped.
struct Prometheus {
    client: Client,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// One with the configuration and rules of the repository, in a hurry, that asks this shim.
    fn start(admin: Client) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let token = folder.path().join("token");
        fs::write(&token, TOKEN).expect("a token");
        for file in ["prometheus.yml", "alerts.yml"] {
            let text = fs::read_to_string(in_the_repository(FOLDER).join(file)).expect("a file");
            let text = text.replace("_interval: 15s", "_interval: 1s");
            let text = text.replace("/run/secrets/admin_token", &token.display().to_string());
            let text = text.replace("tidegate:9180", &admin.server().to_string());
            fs::write(folder.path().join(file), text).expect("a file");
        }
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let process = Process::start(&mut command);
        let client = Client::of(address.parse().expect("an address"));
        eventually("Prometheus listens", || client.connect().ok());
        eventually("Prometheus is ready", || (client.get("/-/ready").status == 200).then_some(()));
        Self { client, _process: process, _folder: folder }
    }

    fn query(&self, expression: &str) -> Value {
        let mut query = form_urlencoded::Serializer::new(String::new());
        self.get(&format!("/api/v1/query?{}", query.append_pair("query", expression).finish()))
    }

    fn get(&self, target: &str) -> Value {
        self.client.get(target).json()
    }
}

/// What the alert rules and those that they build on ask.
fn expressions_of_rules() -> Vec<String> {
    let rules = documents(&format!("{FOLDER}/alerts.yml")).swap_remove(0);
    let groups = rules["groups"].as_array().expect("groups").iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().into_iter().flatten());
    rules.map(|rule| rule["expr"].as_str().expect("an expression").to_owned()).collect()
}

/// The names in an expression that a shim must tell: what is made by rules has a colon.
fn metric_names(expression: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = expression.split(|c| !is_part(c)).filter(|word| !word.contains(':'));
    let ours = |word: &&str| ["http_", "tidegate_", "process_"].iter().any(|p| word.starts_with(p));
    words.filter(ours).map(str::to_owned).collect()
}

fn promtool() -> Command {
    let mut promtool = Command::new("promtool");
    promtool.current_dir(in_the_repository(FOLDER));
    promtool
}
