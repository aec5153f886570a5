//! The image of `deploy/container`: its last stage is built by a real builder, from what the same
//! script gathers that the first stage runs, and then it serves. The first stage wants an image of
//! Rust from a registry, which tests do without.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate_tests::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    process::{self, Process},
    shim::address_of,
    wire::Client,
};

use crate::validators::{free_port, in_the_repository, judged, passes, validator};

const DOCKERFILE: &str = "deploy/container/Dockerfile";
/// Nobody, by the name of it everywhere.
const USER: u32 = 65532;

#[test]
#[ignore = "needs a validator: `cargo xtask test`"]
fn d2_the_dockerfile_passes_its_linter() {
    passes(validator("hadolint").args(["--failure-threshold=style", DOCKERFILE]));
    let text = fs::read_to_string(in_the_repository(DOCKERFILE)).expect("a Dockerfile");
    let floating = tempfile::NamedTempFile::new().expect("a file");
    fs::write(&floating, text.replace("rust:1.95.0-slim-bookworm", "rust")).expect("a file");
    let (success, said) = judged(validator("hadolint").arg(floating.path()));
    assert!(!success && said.contains("DL3006"), "a base without a version is refused: {said}");
}

/// A Dockerfile's first stage sees what the ignore file leaves: cargo must find its way in it.
#[test]
#[ignore = "needs buildah: `cargo xtask test`"]
fn d2_what_the_image_is_built_from_is_whole_and_holds_nothing_else() {
    let builder = Builder::new();
    let out = builder.folder.path().join("seen");
    let all = builder.folder.path().join("Dockerfile");
    fs::write(&all, "FROM scratch\nCOPY . .\n").expect("a Dockerfile");
    let mut build = builder.buildah("bud");
    build.arg("--file").arg(&all);
    build.arg(format!("--output=type=local,dest={}", out.display()));
    build.arg("--ignorefile").arg(in_the_repository(".dockerignore"));
    passes(build.arg(in_the_repository("")));
    let mut metadata = process::cargo();
    metadata.args(["metadata", "--format-version=1", "--no-deps", "--offline", "--locked"]);
    let said = passes(metadata.current_dir(&out).env_remove("CARGO_TARGET_DIR"));
    assert!(said.contains("\"tidegate-origin\""));
    assert!(out.join("deploy/container/gather.sh").is_file());
    for stranger in ["node_modules", "target", ".git", "wrangler.toml", "tests/node_modules"] {
        assert!(!out.join(stranger).exists(), "{stranger} is sent to the builder");
    }
}

#[test]
#[ignore = "needs buildah: `cargo xtask test`"]
fn d2_the_image_serves_as_nobody_and_its_health_check_tells() {
    let builder = Builder::new();
    builder.build();
    let config = builder.config();
    assert_eq!(config["User"], format!("{USER}:{USER}"));
    let health = config["Healthcheck"]["Test"].as_array().expect("a health check");
    assert_eq!(health[0], "CMD");
    let health: Vec<&str> = health[1..].iter().filter_map(Value::as_str).collect();
    let serve = [config["Entrypoint"].clone(), config["Cmd"].clone()];
    assert_eq!(serve, [json!(["/usr/bin/tidegate"]), json!(["serve"])]);

    let container = passes(builder.buildah("from").arg("tidegate")).trim().to_owned();
    let origin = DemoOrigin::start();
    // By name, so that the image must resolve it; by policy, so that both listeners are its own.
    let policy = PolicyFile::with_text(&policy(free_port(), origin.base().address().port()));
    let folder = policy.path().parent().expect("a folder");
    passes(Command::new("chmod").args(["-R", "a+rX"]).arg(folder));
    let run = |words: &[&str]| {
        let mut run = builder.buildah("run");
        run.args([
            "--isolation=chroot",
            "--network=host",
            "--env=TIDEGATE_ADMIN_TOKEN=0123456789abcdef",
        ]);
        run.arg(format!("--volume={}:/etc/tidegate:ro", folder.display()));
        run.arg(&container).arg("--").args(words);
        run
    };
    let (healthy, said) = judged(&mut run(&health));
    assert!(!healthy, "nothing runs: {said}");
    let mut serving = Process::start(&mut run(&["/usr/bin/tidegate", "serve"]));
    let line = serving.next_line();
    let address = line.strip_prefix("tidegate: listening on ").and_then(address_of);
    let client = Client::of(address.unwrap_or_else(|| panic!("{line}")));
    assert_eq!(client.get("/api/v1/plugins").status, 200);
    assert_eq!(client.get("/api/v1/plugins").header("x-cache"), Some("HIT"));
    let said = passes(&mut run(&health));
    assert!(said.contains("running"), "{said}");

    passes(&mut run(&["/usr/bin/tidegate", "maintenance", "on"]));
    assert_eq!(client.get("/api/v1/plugins").status, 503);
    let root = PathBuf::from(passes(builder.buildah("mount").arg(&container)).trim());
    let kept = fs::metadata(root.join("var/lib/tidegate/overrides.json")).expect("a state file");
    assert_eq!((kept.uid(), kept.gid()), (USER, USER));
    assert!(!root.join("bin/sh").exists(), "there is a shell in it");
    serving.end();
}

/// A store of images in a folder of its own.
struct Builder {
    folder: TempDir,
}

impl Builder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn buildah(&self, act: &str) -> Command {
        let mut buildah = Command::new("buildah");
        buildah.args(["--storage-driver", "vfs"]);
        buildah.arg("--root").arg(self.folder.path().join("images"));
        buildah.arg("--runroot").arg(self.folder.path().join("running"));
        buildah.arg(act);
        if act == "bud" {
            buildah.args(["--isolation=chroot", "--format=docker", "--quiet", "--tag=tidegate"]);
        }
        buildah
    }

    /// Builds the image, with the program that the tests are about.
    fn build(&self) {
        let gathered = self.folder.path().join("gathered");
        let mut gather = Command::new("sh");
        gather.arg(in_the_repository("deploy/container/gather.sh")).arg(process::tidegate());
        passes(gather.arg(gathered.join("image")));
        let mut build = self.buildah("bud");
        build.arg("--file").arg(in_the_repository(DOCKERFILE));
        build.arg(format!("--build-context=build={}", gathered.display()));
        passes(build.arg(&gathered));
    }

    /// What the image says of how it is run.
    fn config(&self) -> Value {
        let said = passes(self.buildah("inspect").args(["--type=image", "tidegate"]));
        let said: Value = serde_json::from_str(&said).expect("what buildah knows");
        said["Docker"]["config"].clone()
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // A mount would keep the folder; there may be none.
        let _ = self.buildah("umount").arg("--all").output();
    }
}

/// The policy for containers, with ports of its own on this machine.
fn policy(admin: u16, origin: u16) -> String {
    let text = PolicyFile::in_the_repository("deploy/policy/tidegate.toml").text();
    let text = text.replace("0.0.0.0:8080", "127.0.0.1:0");
    let text = text.replace("0.0.0.0:9180", &format!("0.0.0.0:{admin}"));
    let text = text.replace("base-svc:4000", &format!("localhost:{origin}"));
    // Where limits are counted and answers shared is not the question here.
    let (before, rest) = text.split_once("[redis]").expect("a Redis");
    let (_, after) = rest.split_once("[upstreams").expect("what comes behind");
    format!("{before}[upstreams{after}").replace("store = { origin = \"redis\" }\n", "")
}
