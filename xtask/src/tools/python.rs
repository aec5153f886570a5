//! Validators from PyPI, in an environment of their own under `target/tools`.
//!
//! `xtask/validators.txt` pins every package of it, those that others need included.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{report, run, system};

const PINNED: &str = "xtask/validators.txt";

/// Installs what is pinned, unless it is there; the folder of the programs.
pub(super) fn validators(workspace: &Workspace, home: &Path) -> Result<PathBuf> {
    let pinned = workspace.path(PINNED);
    let wanted = fs::read_to_string(&pinned)
        .with_context(|| format!("could not read {}", pinned.display()))?;
    let folder = home.join("validators");
    // The folder is made anew each time, so that a stamp inside cannot outlive what it vouches for.
    let stamp = folder.join(".tidegate-pinned");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        system::require(&system::PYTHON)?;
        report::step("Installing the validators of what is deployed, from PyPI", || {
            let mut venv = Command::new("python3");
            run::visibly({
                venv.args(["-m", "venv", "--clear"]).arg(&folder);
                venv
            })?;
            let mut pip = Command::new(folder.join("bin/pip"));
            pip.args(["--disable-pip-version-check", "install", "--no-deps", "--requirement"]);
            pip.arg(&pinned);
            run::in_the_background(pip, &home.join("pip.log"))?;
            fs::write(&stamp, &wanted)
                .with_context(|| format!("could not write {}", stamp.display()))
        })?;
    }
    Ok(folder.join("bin"))
}
