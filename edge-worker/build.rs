//! Compiles the policy file into the canonical JSON that the worker carries.
//!
//! `TIDEGATE_POLICY` names the file, relative to the repository's root; without it, that is
//! `tidegate.toml`. A broken policy stops the build with every error at its place.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is how a build script speaks")]

use std::env;
use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tidegate_core::{Policy, document};

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
    let policy = with_page(reading.policy, &path)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("policy.json"), policy.to_json())?;
    Ok(())
}

/// With the text of the page for maintenance in place of its name.
fn with_page(policy: Policy, path: &Path) -> Result<Policy, Box<dyn Error>> {
    let Some(page) = policy.page_file().map(|file| path.with_file_name(file)) else {
        return Ok(policy);
    };
    println!("cargo::rerun-if-changed={}", page.display());
    let bad = |why: &dyn Display| format!("{}: the page {}: {why}", path.display(), page.display());
    let html = fs::read_to_string(&page).map_err(|error| bad(&error))?;
    policy.with_page(html).ok_or_else(|| bad(&"longer than 64 KiB").into())
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
