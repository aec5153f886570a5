//! Everything the other commands need beyond Rust, rustup and npm.
//!
//! Cargo tools go to `target/tools`, npm tools to `node_modules`: deleting the
//! two folders undoes everything but the wasm target, which belongs to rustup.
//! With all of it in place, looking takes a few milliseconds.

mod cargo_tool;
mod lockfile;
mod npm;
mod python;
mod wasm_target;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::tools::cargo_tool::CargoTool;
use crate::tools::npm::NodeModules;
pub(crate) use crate::tools::wasm_target::WASM;
use crate::workspace::Workspace;

const CARGO_DENY: &str = "0.20.2";
const WASM_PACK: &str = "0.15.1";

/// The tools, in place and of the right versions.
pub(crate) struct Tools {
    bin: PathBuf,
    npm: NodeModules,
}

/// Installs what is missing, telling what and why.
pub(crate) fn prepare(workspace: &Workspace) -> Result<Tools> {
    wasm_target::prepare()?;
    let wasm_bindgen = wasm_bindgen(workspace)?;
    let home = home(workspace);
    cargo_tool::install_missing(workspace, &home, &[wasm_bindgen])?;
    let npm = npm::prepare(workspace)?;
    Ok(Tools { bin: home.join("bin"), npm })
}

/// Installs the npm packages alone: the Node among them, and what it runs.
pub(crate) fn node(workspace: &Workspace) -> Result<PathBuf> {
    Ok(npm::prepare(workspace)?.node().to_path_buf())
}

/// Installs the npm packages that benches measure beside Tidegate; the Node that runs them.
pub(crate) fn peers(workspace: &Workspace) -> Result<PathBuf> {
    npm::peers(workspace)
}

/// Installs the validators of what is deployed, which only the tests need; the folder of their
/// programs.
pub(crate) fn validators(workspace: &Workspace) -> Result<PathBuf> {
    python::validators(workspace, &home(workspace))
}

/// Installs the checker of licences and sources, which only the tests need.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    single(
        workspace,
        CargoTool {
            package: "cargo-deny",
            binary: "cargo-deny",
            version: CARGO_DENY.to_owned(),
            why: "checks licences and sources against deny.toml",
        },
    )
}

/// Installs what builds the playground, which nothing else needs.
pub(crate) fn wasm_pack(workspace: &Workspace) -> Result<PathBuf> {
    single(
        workspace,
        CargoTool {
            package: "wasm-pack",
            binary: "wasm-pack",
            version: WASM_PACK.to_owned(),
            why: "builds the core for the page of the playground",
        },
    )
}

fn single(workspace: &Workspace, tool: CargoTool) -> Result<PathBuf> {
    let home = home(workspace);
    let binary = tool.path(&home);
    cargo_tool::install_missing(workspace, &home, &[tool])?;
    Ok(binary)
}

impl Tools {
    /// A cargo-installed tool, as a command.
    pub(crate) fn cargo_tool(&self, name: &str) -> Command {
        self.command(&self.bin.join(name))
    }

    /// A program that finds these tools, as a command.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.equip(&mut command);
        command
    }

    /// The Node that is new enough for wrangler, as a command.
    pub(crate) fn node(&self) -> Command {
        self.command(self.npm.node())
    }

    /// The optimizer of wasm, as a command.
    pub(crate) fn wasm_opt(&self) -> Command {
        let mut command = self.node();
        command.arg(self.npm.binary("wasm-opt"));
        command
    }

    /// Puts a module and all that it imports into one file, as a command.
    pub(crate) fn bundle(&self, from: &Path, to: &Path) -> Command {
        let mut command = self.node();
        command.arg(self.npm.binary("esbuild")).arg(from);
        command.args(["--bundle", "--format=esm", "--minify", "--log-level=warning"]);
        command.arg(format!("--outfile={}", to.display()));
        command
    }

    /// The runtime that wrangler brings along, as the program that it is.
    pub(crate) fn workerd(&self, workspace: &Workspace) -> Result<PathBuf> {
        let mut node = self.node();
        node.current_dir(workspace.root()).args(["-p", "require('workerd').default"]);
        let said = node.output().context("could not ask where workerd is")?;
        let path = PathBuf::from(String::from_utf8_lossy(&said.stdout).trim());
        ensure!(path.is_file(), "the npm package `workerd` has no program for this platform");
        Ok(path)
    }

    /// Wrangler, as a command: offline, silent about itself, and leaving its
    /// logs below `target`.
    pub(crate) fn wrangler(&self, workspace: &Workspace) -> Command {
        let mut command = self.node();
        command
            .arg(self.npm.wrangler())
            .current_dir(workspace.root())
            .env("WRANGLER_LOG_PATH", workspace.target().join("wrangler/logs"));
        command
    }

    /// The environment in which scripts find these tools and not others, and
    /// in which wrangler keeps to this machine.
    pub(crate) fn equip(&self, command: &mut Command) {
        command
            .env("PATH", self.search_path())
            .env("WASM_BINDGEN_BIN", self.bin.join("wasm-bindgen"))
            .env("WASM_OPT_BIN", self.npm.binary("wasm-opt"))
            .env("ESBUILD_BIN", self.npm.binary("esbuild"))
            .env("WRANGLER_SEND_METRICS", "false")
            // Miniflare would ask Cloudflare for a sample `request.cf` object.
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
    }

    /// What the built worker depends on besides its sources: the versions that
    /// wrote it.
    pub(crate) fn versions(&self, workspace: &Workspace) -> Result<String> {
        let wasm_bindgen = wasm_bindgen(workspace)?.version;
        let npm = self.npm.fingerprint();
        Ok(format!("wasm-bindgen {wasm_bindgen}, npm {npm}"))
    }

    fn search_path(&self) -> OsString {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let inherited = env::split_paths(&inherited);
        let first = [self.npm.bin().to_path_buf(), self.bin.clone()];
        // Only a folder whose name holds a `:` cannot be joined; without ours
        // on PATH the programs still start, from the absolute paths above.
        env::join_paths(first.into_iter().chain(inherited)).unwrap_or_default()
    }
}

/// The CLI must have exactly the version of the crate: the format between the
/// two is private and changes.
fn wasm_bindgen(workspace: &Workspace) -> Result<CargoTool> {
    let path = workspace.path("Cargo.lock");
    let lock =
        fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let version = lockfile::version_of("wasm-bindgen", &lock).with_context(|| {
        format!("{} names no wasm-bindgen: is edge-worker in the workspace?", path.display())
    })?;
    Ok(CargoTool {
        package: "wasm-bindgen-cli",
        binary: "wasm-bindgen",
        version: version.to_owned(),
        why: "binds the worker's wasm to JavaScript; the version Cargo.lock has",
    })
}

fn home(workspace: &Workspace) -> PathBuf {
    workspace.target().join("tools")
}

/// Whether a path exists; what cannot be looked at is treated as missing.
fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(false)
}
