//! The core on its own, for wasm: no std in its whole tree of dependencies, and
//! not one import.
//!
//! An import would be a clock, a source of randomness or I/O come in through a
//! dependency: something that the core promises not to have. The linker keeps
//! only what is reachable, and nothing calls the core here; so it is told to
//! take the core as a whole and to drop nothing.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::run;
use crate::test::wasm;
use crate::tools::WASM;
use crate::workspace::Workspace;

/// A module of nothing but the core, an allocator and a panic handler. The
/// latter two exist once in a program: if a dependency brought std, and with
/// it its own, this would not compile.
const PACKAGE: &str = "tidegate-core-alone";

/// How the name of a function of the core begins, whichever mangling rustc
/// uses: the crate's name after its length.
const CORE_AS_MANGLED: &str = "13tidegate_core";

pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let output = workspace.target().join(WASM).join("debug");
    let mut core = run::cargo(workspace);
    core.args(["build", "--package", "tidegate-core", "--target", WASM]);
    run::visibly(core)?;
    let mut module = run::cargo(workspace);
    module.args(["rustc", "--package", PACKAGE, "--target", WASM, "--"]);
    // The core is among the inputs already, as a library to pick from; taken
    // whole as well, each of its functions is there twice.
    let library = output.join("libtidegate_core.rlib");
    let link_with = ["--allow-multiple-definition", "--no-gc-sections", "--whole-archive"];
    for argument in link_with.map(str::to_owned).into_iter().chain([library.display().to_string()])
    {
        module.args(["-C", &format!("link-arg={argument}")]);
    }
    run::visibly(module)?;

    let path = output.join("tidegate_core_alone.wasm");
    let bytes = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
    ensure!(
        wasm::names_mention(&bytes, CORE_AS_MANGLED)?,
        "{} holds no function of the core, so it proves nothing",
        path.display()
    );
    let imports = wasm::imports(&bytes)?;
    ensure!(
        imports.is_empty(),
        "the core's wasm must import nothing, and imports {}",
        imports.join(", ")
    );
    Ok(())
}
