//! Building the worker: cargo, then wasm-bindgen, wasm-opt and esbuild, and nothing when nothing
//! changed.
//!
//! Cargo alone knows what the wasm is made of (sources, features, environment,
//! the policy that the build script reads), so it always runs; it answers in
//! half a second when there is nothing to do. What follows it takes three seconds
//! and more, depends on the wasm and on the versions of the tools, and is left out
//! when a stamp says it was done.

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
/// What wasm is built by that is sent to others.
pub(crate) const PROFILE: &str = "release-edge";
/// Tells the worker's build script which policy to compile in.
const POLICY: &str = "TIDEGATE_POLICY";

/// How cargo begins what the worker's build script warns of.
const POLICY_WARNING: &str = "warning: tidegate-edge@";

/// What rustc and wasm-bindgen use of wasm, and workerd understands.
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
        package(workspace, tools)?;
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
    with_futures_of_js_sys(&mut cargo);
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

/// Binds the wasm to JavaScript, makes it smaller, and puts the JavaScript into one file.
fn package(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let folder = workspace.path("edge-worker/build");
    let bound = workspace.target().join("edge-bindings");
    clear(&folder)?;
    clear(&bound)?;
    let mut bind = tools.cargo_tool("wasm-bindgen");
    bind.arg(wasm(workspace)).arg("--out-dir").arg(&bound);
    bind.args(["--target", "module", "--out-name", "index", "--no-typescript"]);
    // A panic is survived by a new instance (src/entry.js).
    bind.args(["--experimental-reset-state-function", "--force-enable-abort-handler"]);
    run::visibly(bind)?;

    let script = bound.join("index.js");
    let text = read(&script)?;
    // wrangler and workerd know the older way to import wasm alone.
    write(&script, &text.replace("import source ", "import "))?;
    let entry = bound.join("worker.js");
    write(
        &entry,
        &format!("export {{ default, Limiter, Purger }} from {:?};\n", entry_in(&text)?),
    )?;
    let mut bundle = tools.bundle(&entry, &folder.join(MODULES[0]));
    bundle.arg("--external:./index_bg.wasm");
    // wasm-bindgen names a module that several functions come from several times.
    bundle.arg("--log-override:duplicate-object-key=silent");
    run::visibly(bundle)?;

    run::visibly(shrink(tools, &bound.join(MODULES[1]), &folder.join(MODULES[1])))
}

/// Makes wasm smaller, as a command.
pub(crate) fn shrink(tools: &Tools, from: &Path, to: &Path) -> Command {
    let mut shrink = tools.wasm_opt();
    // Names of functions are an eighth of the upload, and of use to nobody who has not built it.
    shrink.args(["-O", "-O", "--strip-debug", "--strip-producers"]).args(WASM_FEATURES);
    shrink.arg(from).arg("-o").arg(to);
    shrink
}

/// Where wasm-bindgen has put the worker's own module, as its script imports it.
fn entry_in(script: &str) -> Result<&str> {
    let quoted = script.split('\'').find(|text| text.ends_with("/src/entry.js"));
    quoted.context("wasm-bindgen's script does not import src/entry.js")
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("could not empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

/// What cargo has built.
fn wasm(workspace: &Workspace) -> PathBuf {
    workspace.target().join(WASM).join(PROFILE).join("tidegate_edge.wasm")
}

/// wasm-bindgen's macro picks the futures runtime of `js-sys` by this, as `worker` wants it.
fn with_futures_of_js_sys(command: &mut Command) {
    command.env("WASM_BINDGEN_USE_JS_SYS", "1");
}

/// All that the output depends on.
fn inputs(workspace: &Workspace, tools: &Tools) -> Result<Vec<u8>> {
    let wasm = wasm(workspace);
    let mut inputs =
        fs::read(&wasm).with_context(|| format!("could not read {}", wasm.display()))?;
    inputs.extend(tools.versions(workspace)?.into_bytes());
    Ok(inputs)
}
