//! The worker once more, with one time to live changed and keys for tokens: what the tests at
//! the edge show that the worker follows the policy by.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::edge;
use crate::tools::Tools;
use crate::workspace::Workspace;

/// What stands in tidegate.toml, and what the changed policy has in its place.
const DAY: &str = r#"edge = { mode = "override", ttl = "1d""#;
const TWO_HOURS: &str = r#"edge = { mode = "override", ttl = "2h""#;

/// What the changed policy has besides: the key set is served by tests/edge/harness/tokens.mjs.
const TOKENS: &str = r#"
[identity.jwt]
keys = [{ kid = "h", alg = "HS256", secret = "${JWT_SECRET}" }]
jwks = "http://127.0.0.1:47917/keys.json"
refresh = "1h"

[[routes]]
name = "own"
match = "/plugins/widget.js"
upstream = "plugin_server"
limit = "standard"
key = "user:{user}:widget"
edge = { mode = "override", ttl = "1h" }
"#;

/// Builds it, and keeps the build where the tests look for it.
pub(super) fn build(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let original = fs::read_to_string(workspace.path("tidegate.toml"))?;
    ensure!(original.contains(DAY), "tidegate.toml has no `{DAY}` to change");
    let folder = folder(workspace);
    fs::create_dir_all(&folder)?;
    let policy = folder.join("tidegate.toml");
    fs::write(&policy, original.replace(DAY, TWO_HOURS) + TOKENS)?;
    edge::build(workspace, tools, Some(&policy))?;
    copy(&workspace.path("edge-worker/build"), &folder.join("worker"))
}

/// Where the changed policy and its worker are.
pub(super) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("changed-policy")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("could not list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}
