//! Building the playground: the core for the browser by wasm-pack, made smaller, and put with the
//! page that asks it into one file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::tools::{self, Tools};
use crate::workspace::Workspace;
use crate::{edge, report, run};

/// The package in playground/.
pub(crate) const CRATE: &str = "tidegate-playground";
/// Where wasm-pack leaves what it makes, and the page imports it from.
const PACKAGE: &str = "playground/pkg";
const NAME: &str = "tidegate_playground";

/// Builds playground/build/playground.html; where that is.
pub(crate) fn build(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    let wasm_pack = tools::wasm_pack(workspace)?;
    report::step("Building the playground", || {
        let mut pack = tools.command(&wasm_pack);
        pack.env("CARGO_TARGET_DIR", workspace.target());
        run::forget_cargo_run(&mut pack);
        pack.arg("build").arg(workspace.path("playground"));
        // With the tools of the worker, in their versions; the optimizer follows.
        pack.args(["--mode", "no-install", "--no-opt", "--no-pack", "--no-typescript"]);
        pack.args(["--target", "web", "--profile", edge::PROFILE, "--out-name", NAME]);
        run::visibly(pack)?;

        let package = workspace.path(PACKAGE);
        let wasm = package.join("small.wasm");
        let from = package.join(format!("{NAME}_bg.wasm"));
        run::visibly(edge::shrink(tools, &from, &wasm))?;
        let script = package.join("page.js");
        let mut bundle = tools.bundle(&workspace.path("playground/page/main.js"), &script);
        // What wasm-bindgen would load from beside the script, and this page has within.
        bundle.arg("--define:import.meta.url=\"\"");
        run::visibly(bundle)?;

        let folder = workspace.path("playground/build");
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
        let page = folder.join("playground.html");
        let mut assemble = tools.node();
        assemble.arg(workspace.path("playground/page/build.mjs"));
        assemble.args([&script, &wasm, &workspace.path("tidegate.toml"), &page]);
        run::visibly(assemble)?;
        Ok(page)
    })
}
