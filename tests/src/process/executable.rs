//! Where the `tidegate` binary is, and the cargo that can build it.

use std::{env, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::Value;

/// The `tidegate` binary: the one named by `TIDEGATE_BIN`, else built by cargo
/// in the profile of these tests.
///
/// Cargo offers the binaries of a test's own package only, so the shim's is
/// asked for here. It is asked even where a binary lies about: a test of an
/// outdated program proves nothing, and an up-to-date one costs a moment.
///
/// # Panics
/// If cargo cannot build it.
#[must_use]
pub fn tidegate() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND
        .get_or_init(|| match env::var_os("TIDEGATE_BIN") {
            Some(path) => PathBuf::from(path),
            None => built("tidegate-origin", "tidegate"),
        })
        .clone()
}

/// Cargo, in this workspace.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo
}

fn built(package: &str, binary: &str) -> PathBuf {
    let output = cargo()
        .args(["build", "--package", package, "--bin", binary, "--message-format", "json"])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo cannot build {binary}:\n{}",
        String::from_utf8_lossy(&output.stderr),
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == binary)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .unwrap_or_else(|| panic!("cargo did not say where it put {binary}"))
}
