//! The worker once more for each policy but the repository's that tests need, kept where they
//! look for it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::tools::Tools;
use crate::workspace::Workspace;
use crate::{edge, run};

/// A policy, by the folder below `target` that it and its worker are kept in.
#[derive(Clone, Copy)]
pub(super) enum OtherPolicy {
    /// The repository's with one time to live changed, keys for tokens, and somebody who gets
    /// through maintenance, and limits in every store: what the tests at the edge show that the
    /// worker follows the policy by.
    Changed,
    /// That of the cases in tests/cases.
    Cases,
}

/// What stands in tidegate.toml, and what the changed policy has in its place.
const DAY: &str = r#"edge = { mode = "override", ttl = "1d""#;
const TWO_HOURS: &str = r#"edge = { mode = "override", ttl = "2h""#;

/// What the changed policy has besides, for tests/edge: the key set is served by tests/edge/harness/tokens.mjs.
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

[maintenance]
allow = ["198.51.100.0/24"]

[[routes]]
name = "zoned"
match = "/zoned/*"
host = "zoned.test"
tags = ["zoned"]
edge = "respect"
edge_cache = "zone"

[[routes]]
name = "shared"
match = "/shared/*"
key = { headers = ["x-kind"] }
edge = { mode = "default", ttl = "1h", stale_while_revalidate = "1h", client_directives = "honour" }
edge_cache = "workers-cache"

[edge]
memory = { size = "96KiB", object = "64KiB" }
server_timing = true
log = "forwarded"
timeout = "2s"
url = "${TIDEGATE_EDGE_URL:-http://example.com}"
token = "${EDGE_TOKEN}"
warm = ["/plugins/warm.js", "http://example.com/api/v1/echo/kept/warm"]
warm_list = "/api/v1/warm.txt"

[edge.signature]
keys = [{ id = "2026-11", secret = "${EDGE_KEY}" }, { id = "2026-10", secret = "${OLD_EDGE_KEY}" }]

[[routes]]
name = "kept"
match = "/api/v1/echo/kept/:id"
upstream = "base_svc"
tags = ["kept"]
edge = { mode = "override", ttl = "1h" }
"#;

/// And limits in the other stores of the edge, for tests/edge/stores.test.mjs. Nothing caches
/// what they are asked for, so each admitted request reaches the origin.
const LIMITS: &str = r#"
[limits.in-colo]
limit = "5 per 60s"
store = "colo"

[limits.in-colo-blocking]
limit = "3 per 10s"
block = "5m"
store = "colo"

[limits.unbound]
limit = "2 per 60s"
store = "colo"

[limits.open]
limit = "1 per 60s"
on_store_error = "allow"

[limits.shut]
limit = "100 per 60s"
on_store_error = "deny"

[limits.spread]
limit = "5 per 1s"
algorithm = "gcra"
burst = 2
spread = true

[[routes]]
name = "in-colo"
match = "/api/v1/in-colo"
upstream = "base_svc"
limit = "in-colo"

[[routes]]
name = "in-colo-blocking"
match = "/api/v1/in-colo-blocking"
upstream = "base_svc"
limit = "in-colo-blocking"

[[routes]]
name = "unbound"
match = "/api/v1/unbound"
upstream = "base_svc"
limit = "unbound"

[[routes]]
name = "open"
match = "/api/v1/open"
upstream = "base_svc"
limit = "open"

[[routes]]
name = "shut"
match = "/api/v1/shut"
upstream = "base_svc"
limit = "shut"

[[routes]]
name = "spread"
match = "/api/v1/spread"
upstream = "base_svc"
limit = "spread"
"#;

impl OtherPolicy {
    /// Builds its worker, and keeps the build.
    pub(super) fn build(self, workspace: &Workspace, tools: &Tools) -> Result<()> {
        let folder = self.folder(workspace);
        fs::create_dir_all(&folder)?;
        let policy = folder.join("tidegate.toml");
        write_if_other(&policy, &self.text(workspace)?)?;
        edge::build_with(workspace, tools, Some(&policy), self.features())?;
        copy(&workspace.path("edge-worker/build"), &self.worker(workspace))
    }

    /// Where [`Self::build`] leaves the worker.
    pub(super) fn worker(self, workspace: &Workspace) -> PathBuf {
        self.folder(workspace).join("worker")
    }

    /// What its worker can do besides.
    const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Changed => &["faults"],
            Self::Cases => &[],
        }
    }

    fn folder(self, workspace: &Workspace) -> PathBuf {
        workspace.target().join(match self {
            Self::Changed => "changed-policy",
            Self::Cases => "cases-policy",
        })
    }

    fn text(self, workspace: &Workspace) -> Result<String> {
        match self {
            Self::Changed => {
                let original = fs::read_to_string(workspace.path("tidegate.toml"))?;
                ensure!(original.contains(DAY), "tidegate.toml has no `{DAY}` to change");
                Ok(original.replace(DAY, TWO_HOURS) + TOKENS + LIMITS)
            }
            Self::Cases => run::answer(workspace.debug_binary("edge-cases-policy"), &[])
                .context("edge-cases-policy wrote no policy"),
        }
    }
}

/// The same text again would make cargo build the worker again.
fn write_if_other(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
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
