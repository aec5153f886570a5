//! `cargo xtask fuzz`: the fuzz targets of `fuzz/`, on stable Rust.
//!
//! libFuzzer needs no more than code that counts its branches, which the compiler makes with
//! the flags below; `cargo fuzz` would ask for a nightly compiler and add a sanitizer, which
//! finds nothing where no code is unsafe.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::workspace::Workspace;
use crate::{report, run};

/// What to fuzz, and for how long.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// The target, or `all`: one file each in fuzz/fuzz_targets
    target: String,
    /// For how long
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Inputs that a target gets among the tests. The seed is fixed: the same code always gets the
/// same inputs, so a test run never depends on luck. Luck is for `cargo xtask fuzz`.
const AMONG_TESTS: [&str; 2] = ["-seed=1", "-runs=20000"];

/// Where inputs found among the tests go.
const FRESH: &str = "corpus-among-tests";

const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// What `cargo fuzz` passes too.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Fuzzes; an error with the input's place if one breaks something.
pub(crate) fn run(workspace: &Workspace, fuzz: &Fuzz) -> Result<()> {
    let known = targets(workspace)?;
    let chosen: Vec<&String> =
        known.iter().filter(|name| fuzz.target == "all" || **name == fuzz.target).collect();
    if chosen.is_empty() {
        bail!("there is no target `{}`; there are all, {}", fuzz.target, known.join(", "));
    }
    build(workspace)?;
    chosen.into_iter().try_for_each(|target| {
        let what = format!("Fuzzing {target} for {} s", fuzz.seconds);
        let time = format!("-max_total_time={}", fuzz.seconds);
        report::step(&what, || run::visibly(one(workspace, target, "corpus", &[&time])?))
    })
}

/// Every target for a moment, as a test.
pub(crate) fn briefly(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    for target in targets(workspace)? {
        let log = workspace.target().join(format!("fuzz/{target}.log"));
        // What another run found would be other inputs.
        let found = workspace.target().join("fuzz").join(FRESH);
        if found.exists() {
            fs::remove_dir_all(&found)
                .with_context(|| format!("could not empty {}", found.display()))?;
        }
        run::in_the_background(one(workspace, &target, FRESH, &AMONG_TESTS)?, &log)?;
    }
    Ok(())
}

/// The names of all targets.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.path("fuzz/fuzz_targets");
    let files =
        fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut names = Vec::new();
    for file in files {
        let path = file?.path();
        names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// The platform is named, so that build scripts are compiled without the flags.
fn build(workspace: &Workspace) -> Result<()> {
    let mut command = run::cargo(workspace);
    command.args(["build", "--release", "--locked", "--target", PLATFORM, "--manifest-path"]);
    command.arg(workspace.path("fuzz/Cargo.toml"));
    command.env("CARGO_TARGET_DIR", workspace.target().join("fuzz")).env("RUSTFLAGS", INSTRUMENTED);
    run::visibly(command)
}

/// One target, for as long as `extent` says. What it finds worth keeping stays under `target`; what is in
/// `fuzz/corpus` is where it starts from.
fn one(workspace: &Workspace, target: &str, keep: &str, extent: &[&str]) -> Result<Command> {
    let home = workspace.target().join("fuzz");
    let found = home.join(keep).join(target);
    fs::create_dir_all(&found).with_context(|| format!("could not create {}", found.display()))?;
    let program: PathBuf = home.join(PLATFORM).join("release").join(target);
    ensure!(program.exists(), "{} was not built", program.display());
    let mut command = Command::new(program);
    command.current_dir(workspace.root());
    command.args(extent);
    command.arg(format!("-artifact_prefix={}/broken-{target}-", home.display()));
    command.args(["-timeout=10", "-print_final_stats=0"]).arg(found);
    let seeds = workspace.path("fuzz/corpus").join(target);
    command.args(seeds.exists().then_some(seeds));
    Ok(command)
}
