//! Compiles the policy file into the canonical JSON that the worker carries.
//!
//! `TIDEGATE_POLICY` names the file, relative to the repository's root; without it, that is
//! `tidegate.toml`. A broken policy stops the build with every error at its place.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is how a build script speaks")]

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tidegate_core::document;

fn main() -> ExitCode {
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<(), Box<dyn Error>> {
    let path = policy_path()?;
    println!("cargo::rerun-if-changed={}", path.display());
    let source = fs::read_to_string(&path)
        .map_err(|error| format!("{}: cannot read the policy: {error}", path.display()))?;
    let file = path.display().to_string();
    let reading = document::read_closely(&source, &environment)
        .map_err(|report| report.display(&file).to_string())?;
    for line in reading.warnings.display(&file).to_string().lines() {
        println!("cargo::warning={line}");
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("policy.json"), reading.policy.to_json())?;
    Ok(())
}

fn policy_path() -> Result<PathBuf, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=TIDEGATE_POLICY");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no repository above")?;
    Ok(root.join(env::var_os("TIDEGATE_POLICY").unwrap_or("tidegate.toml".into())))
}

/// What `${NAME}` in the policy stands for; the build is repeated when that changes.
fn environment(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok()
}
