//! Tools from npm: wrangler with its workerd, a Node for them, esbuild, binaryen, the public
//! HTTP cache tests, and what drives and judges pages in a browser; and apart from them what benches measure beside.
//!
//! `package.json` takes Node from the platform packages behind the npm package
//! `node`, which would otherwise fetch the same thing from an install script,
//! past the lock file. No install script runs at all: none of these packages
//! needs its own.
//!
//! The cache tests name `npm` itself as a dependency, for their own scripts,
//! which nothing here runs. It would put an old npm before the system's on our
//! `PATH`, and four hundred packages into the lock file; so `overrides` puts
//! `node-fetch`, which they do need, under that name, too.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{report, run};

/// What wrangler asks for.
const OLDEST_NODE: (u32, u32) = (22, 12);

/// The installed packages.
pub(super) struct NodeModules {
    folder: PathBuf,
    bin: PathBuf,
    node: PathBuf,
    fingerprint: String,
}

/// Runs `npm ci`, unless the packages are those of the lock file already.
pub(super) fn prepare(workspace: &Workspace) -> Result<NodeModules> {
    let what = "Installing wrangler, its Node, esbuild, binaryen, the HTTP cache tests, playwright: `npm ci`";
    let fingerprint = install(workspace, workspace.root(), what)?;
    let folder = workspace.path("node_modules");
    let bin = folder.join(".bin");
    let node = suitable_node(&bin)?;
    Ok(NodeModules { folder, bin, node, fingerprint })
}

/// The same for what benches measure beside Tidegate, which nothing else needs.
pub(super) fn peers(workspace: &Workspace) -> Result<PathBuf> {
    let what = "Installing what is measured beside Tidegate: `npm ci` in bench/peers";
    install(workspace, &workspace.path("bench/peers"), what)?;
    Ok(prepare(workspace)?.node)
}

/// Installs the packages of the lock file in `home`; its fingerprint.
fn install(workspace: &Workspace, home: &Path, what: &str) -> Result<String> {
    let fingerprint = fingerprint(&home.join("package-lock.json"))?;
    // `npm ci` empties the folder first, so a stamp inside cannot outlive
    // what it vouches for.
    let stamp = home.join("node_modules/.tidegate-lock");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&fingerprint) {
        report::step(what, || {
            run::in_the_background(npm_ci(home), &workspace.target().join("tools/npm.log"))?;
            fs::write(&stamp, &fingerprint)
                .with_context(|| format!("could not write {}", stamp.display()))
        })?;
    }
    Ok(fingerprint)
}

impl NodeModules {
    /// The folder of the programs, for `PATH`.
    pub(super) fn bin(&self) -> &Path {
        &self.bin
    }

    /// A program of a package.
    pub(super) fn binary(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// A Node that wrangler accepts.
    pub(super) fn node(&self) -> &Path {
        &self.node
    }

    /// Wrangler's entry script, for [`NodeModules::node`].
    pub(super) fn wrangler(&self) -> PathBuf {
        self.folder.join("wrangler/bin/wrangler.js")
    }

    /// Changes when any package does.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

fn npm_ci(home: &Path) -> Command {
    let mut npm = Command::new("npm");
    // npm would warn that the system's Node is too old for wrangler, which is
    // why these packages bring another one.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    npm.current_dir(home);
    npm
}

/// The Node among the packages, else the system's: npm has no current one for
/// some platforms.
fn suitable_node(bin: &Path) -> Result<PathBuf> {
    let candidates = [bin.join("node"), PathBuf::from("node")];
    for candidate in candidates {
        let said = run::answer(&candidate, &["--version"]);
        if said.as_deref().and_then(node_version).is_some_and(|version| version >= OLDEST_NODE) {
            return Ok(candidate);
        }
    }
    let (major, minor) = OLDEST_NODE;
    bail!(
        "wrangler needs Node {major}.{minor} or later, and there is no npm package of it for this \
         platform: install it (https://nodejs.org) and put it first on PATH"
    )
}

/// Major and minor of `v24.21.0`.
fn node_version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn fingerprint(lock: &Path) -> Result<String> {
    let bytes = fs::read(lock).with_context(|| format!("could not read {}", lock.display()))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_says_its_version_with_a_v() {
        assert_eq!(node_version("v24.21.0"), Some((24, 21)));
        assert_eq!(node_version("24.21.0"), None);
        assert!(node_version("v22.9.0") < Some(OLDEST_NODE));
        assert!(node_version("v20.20.2") < Some(OLDEST_NODE));
    }
}
