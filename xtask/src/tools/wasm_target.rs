//! The compiler's standard library for wasm, which rustup keeps.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{report, run};

/// The platform Workers run.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// Adds the target to the toolchain in use, unless it has it.
pub(crate) fn prepare() -> Result<()> {
    let folder = run::answer("rustc", &["--print", "target-libdir", "--target", WASM])
        .context("`rustc` does not answer: install Rust with rustup (https://rustup.rs)")?;
    if super::exists(Path::new(&folder)) {
        return Ok(());
    }
    report::step(&format!("Adding the Rust target {WASM}, which Workers run"), || {
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add", WASM]);
        run::visibly(rustup)
    })
}
