//! `cargo deny` against deny.toml: licences, bans, sources.
//!
//! Its fourth check, known vulnerabilities, needs a database from the network;
//! a test that changes its verdict by the day has no place in this run.

use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{run, tools};

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let mut deny = Command::new(tools::cargo_deny(workspace)?);
    deny.current_dir(workspace.root());
    deny.args(["check", "licenses", "bans", "sources"]);
    run::forget_cargo_run(&mut deny);
    run::visibly(deny)
}
