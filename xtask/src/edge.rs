//! Building the worker: cargo, then worker-build, and nothing when nothing changed.
//!
//! Cargo alone knows what the wasm is made of (sources, features, environment,
//! the policy that the build script reads), so it always runs; it answers in
//! half a second when there is nothing to do. What follows it (wasm-bindgen,
//! wasm-opt, esbuild: three seconds and more) depends on the wasm and on the
//! versions of the tools, and is left out when a stamp says it was done.

mod compiler_output;
mod stamp;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::edge::compiler_output::CompilerOutput;
use crate::tools::{Tools, WASM};
use crate::workspace::Workspace;
use crate::{report, run};

/// The package in edge-worker/.
pub(crate) const PACKAGE: &str = "tidegate-edge";
/// What a build consists of, and wrangler uploads.
pub(crate) const MODULES: [&str; 2] = ["index.js", "index_bg.wasm"];
const PROFILE: &str = "release-edge";
/// Tells the worker's build script which policy to compile in.
const POLICY: &str = "TIDEGATE_POLICY";

/// How cargo begins what the worker's build script warns of.
const POLICY_WARNING: &str = "warning: tidegate-edge@";

/// What rustc and wasm-bindgen use of wasm, and workerd understands; as worker-build has it.
const WASM_FEATURES: [&str; 7] = [
    "--enable-mutable-globals",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-reference-types",
    "--enable-exception-handling",
];

/// Builds edge-worker/build from the sources and the policy.
pub(crate) fn build(workspace: &Workspace, tools: &Tools, policy: Option<&Path>) -> Result<()> {
    build_with(workspace, tools, policy, &[])
}

/// The same with these features of the package, which no build has that is deployed.
pub(crate) fn build_with(
    workspace: &Workspace,
    tools: &Tools,
    policy: Option<&Path>,
    features: &[&str],
) -> Result<()> {
    let policy = chosen_policy(policy)?;
    report::step("Building the worker", || {
        compile(workspace, policy.as_deref(), features)?;
        let output = workspace.path("edge-worker/build");
        let inputs = inputs(workspace, tools)?;
        if stamp::vouches_for(&output, &inputs) {
            return Ok(());
        }
        package(workspace, tools, policy.as_deref(), features)?;
        stamp::leave(&output, &inputs)
    })
}

/// The policy named by the flag, else by the environment, as an absolute path:
/// the build script runs in another folder. `None` leaves it to its default.
pub(crate) fn chosen_policy(flag: Option<&Path>) -> Result<Option<PathBuf>> {
    let Some(named) = flag.map(PathBuf::from).or_else(|| env::var_os(POLICY).map(PathBuf::from))
    else {
        return Ok(None);
    };
    ensure!(named.is_file(), "there is no policy file at {}", named.display());
    let absolute = std::path::absolute(&named)
        .with_context(|| format!("{} has no absolute path", named.display()))?;
    Ok(Some(absolute))
}

/// Names the policy to a build script below `command`.
pub(crate) fn hand_over_policy(command: &mut Command, policy: Option<&Path>) {
    if let Some(policy) = policy {
        command.env(POLICY, policy);
    }
}

fn compile(workspace: &Workspace, policy: Option<&Path>, features: &[&str]) -> Result<()> {
    let mut cargo = run::cargo(workspace);
    cargo.args(["build", "--package", PACKAGE, "--lib", "--profile", PROFILE, "--target", WASM]);
    cargo.args(with(features));
    if report::on_a_terminal() {
        cargo.env("CARGO_TERM_COLOR", "always");
    }
    hand_over_policy(&mut cargo, policy);
    as_worker_build_does(&mut cargo);
    let mut output = CompilerOutput::default();
    // Nobody mends a policy that is made for a test.
    let is_made = policy.is_some_and(|policy| policy.starts_with(workspace.target()));
    let heard = run::line_by_line(cargo, |line| {
        let is_hint = is_made && line.contains(POLICY_WARNING);
        if let Some(line) = output.pass_on(line).filter(|_| !is_hint) {
            report::say(&format!("    {line}"));
        }
    })?;
    if heard.success {
        return Ok(());
    }
    match output.build_script_error() {
        Some(error) => bail!("the worker was not built:\n\n{error}"),
        None => bail!("the worker does not compile"),
    }
}

fn with(features: &[&str]) -> Vec<String> {
    features.iter().map(|feature| format!("--features={feature}")).collect()
}

/// Has worker-build do what is left to do. It calls cargo once more; with the
/// same arguments and environment, that is a question answered at once.
fn package(
    workspace: &Workspace,
    tools: &Tools,
    policy: Option<&Path>,
    features: &[&str],
) -> Result<()> {
    let mut command = tools.cargo_tool("worker-build");
    command.current_dir(workspace.path("edge-worker"));
    command.args(["--profile", PROFILE]);
    command.args(with(features));
    command.env("CARGO_TARGET_DIR", workspace.target()).env("RUST_BACKTRACE", "0");
    hand_over_policy(&mut command, policy);
    as_worker_build_does(&mut command);
    run::forget_cargo_run(&mut command);
    run::in_the_background(command, &workspace.target().join("tools/worker-build.run.log"))?;
    drop_names(workspace, tools)
}

/// Takes the names of functions out of the wasm: an eighth of the upload, and of use to nobody who
/// has not built it. worker-build keeps them, whatever its own wasm-opt is told; looked over once
/// more, the wasm is a hundredth smaller.
fn drop_names(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let wasm = workspace.path("edge-worker/build/index_bg.wasm");
    let mut wasm_opt = tools.wasm_opt();
    wasm_opt
        .args(["-O", "--strip-debug", "--strip-producers"])
        .args(WASM_FEATURES)
        .arg(&wasm)
        .arg("-o")
        .arg(&wasm);
    run::visibly(wasm_opt)
}

/// worker-build sets this for wasm-bindgen's macro, which picks the futures
/// runtime of `js-sys` by it.
fn as_worker_build_does(command: &mut Command) {
    command.env("WASM_BINDGEN_USE_JS_SYS", "1");
}

/// All that worker-build's output depends on.
fn inputs(workspace: &Workspace, tools: &Tools) -> Result<Vec<u8>> {
    let wasm = workspace.target().join(WASM).join(PROFILE).join("tidegate_edge.wasm");
    let mut inputs =
        fs::read(&wasm).with_context(|| format!("could not read {}", wasm.display()))?;
    let manifest = workspace.path("edge-worker/Cargo.toml");
    inputs.extend(
        fs::read(&manifest).with_context(|| format!("could not read {}", manifest.display()))?,
    );
    inputs.extend(tools.versions(workspace)?.into_bytes());
    Ok(inputs)
}
