//! What `wrangler deploy` would upload, and how much of it there is.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::run;
use crate::tools::Tools;
use crate::workspace::Workspace;

/// Gzipped bytes. A third of what Cloudflare's smallest plan takes, because
/// start-up time grows with size.
const BUDGET: usize = 300_000;

/// The environments of wrangler.toml.
const ENVIRONMENTS: [&str; 2] = ["staging", "production"];

/// What wrangler calls the types of the worker's bindings, and of these.
const ENVIRONMENT_TYPES: [&str; 3] = ["__BaseEnv_Env", "StagingEnv", "ProductionEnv"];

/// What the worker is bound to in any case.
const BINDINGS: [&str; 3] = ["TIDEGATE_ORIGIN", "LIMITER", "PURGES"];

/// The configuration of the second Worker, behind Workers Cache.
const SECOND: &str = "wrangler.cached.toml";

/// Has wrangler prepare the upload of each environment, and of the second Worker.
pub(super) fn environments(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let named = ENVIRONMENTS.map(|name| ["--env", name]);
    for options in named.into_iter().chain([["--config", SECOND]]) {
        let folder = prepare(workspace, tools, &options)?;
        ensure!(!modules(&folder)?.is_empty(), "the upload of {options:?} holds no module");
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// Has wrangler write the types of what the worker is bound to: what is wrong with a binding it
/// says then, and what an environment has not has no type in it.
pub(super) fn types(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let file = workspace.target().join("worker-configuration.d.ts");
    let mut wrangler = tools.wrangler(workspace);
    wrangler.arg("types").arg(&file);
    wrangler.args(["--include-runtime=false", "--strict-vars=false", "--env", ""]);
    run::visibly(wrangler)?;
    let types = fs::read_to_string(&file)
        .with_context(|| format!("wrangler wrote no {}", file.display()))?;
    are_bound(&types)
}

/// Whether the worker itself and each of its environments has all bindings in these types.
fn are_bound(types: &str) -> Result<()> {
    for environment in ENVIRONMENT_TYPES {
        let begin = format!("interface {environment} {{");
        let rest = types.split_once(&begin).map(|(_, rest)| rest);
        let members = rest.and_then(|rest| rest.split_once('}')).map(|(members, _)| members);
        let members = members.with_context(|| format!("no `{environment}` in the types"))?;
        for binding in BINDINGS {
            ensure!(members.contains(binding), "`{environment}` has no `{binding}`");
        }
    }
    Ok(())
}

/// Has wrangler prepare an upload, and returns the folder it is in.
pub(super) fn dry_run(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    prepare(workspace, tools, &["--env", ""])
}

fn prepare(workspace: &Workspace, tools: &Tools, options: &[&str]) -> Result<PathBuf> {
    let folder = workspace.target().join("edge-upload");
    if folder.is_dir() {
        fs::remove_dir_all(&folder).map_err(|error| {
            anyhow!(error).context(format!("could not empty {}", folder.display()))
        })?;
    }
    let mut wrangler = tools.wrangler(workspace);
    wrangler.args(["deploy", "--dry-run"]).args(options).arg("--outdir").arg(&folder);
    run::forget_cargo_run(&mut wrangler);
    run::visibly(wrangler)?;
    Ok(folder)
}

/// Holds the upload to its budget, counting as Cloudflare does: all modules
/// together, gzipped.
pub(super) fn size(upload: &Path) -> Result<()> {
    let mut modules = modules(upload)?;
    modules.sort();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let mut plain = 0;
    for path in &modules {
        let bytes = fs::read(path).with_context(|| format!("could not read {}", path.display()))?;
        plain += bytes.len();
        encoder.write_all(&bytes)?;
    }
    let gzipped = encoder.finish()?.len();
    let share = gzipped * 100 / BUDGET;
    let count = modules.len();
    println!(
        "    {count} modules, {plain} bytes, {gzipped} gzipped: {share} % of the budget of {BUDGET}"
    );
    ensure!(plain > 0, "{} holds no module", upload.display());
    ensure!(gzipped <= BUDGET, "the upload is {} bytes over its budget", gzipped - BUDGET);
    Ok(())
}

/// Sees to it that no client can ask for a fault, as the builds for tests let them.
pub(super) fn without_faults(upload: &Path) -> Result<()> {
    /// The request field of edge-worker/src/faults.rs.
    const FIELD: &[u8] = b"tidegate-fault";
    for path in modules(upload)? {
        let bytes =
            fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        let has_it = bytes.windows(FIELD.len()).any(|window| window.eq_ignore_ascii_case(FIELD));
        ensure!(!has_it, "{} is a build for tests: it panics on demand", path.display());
    }
    Ok(())
}

/// The files that are code; wrangler adds a README and a source map.
fn modules(upload: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(upload).with_context(|| format!("could not list {}", upload.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let is_code = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["js", "mjs", "wasm"].iter().any(|code| extension == *code))
    };
    Ok(paths.into_iter().filter(is_code).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_that_panics_on_demand_fails() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("index.js"), "export default {}").unwrap();
        assert!(without_faults(folder.path()).is_ok());
        fs::write(folder.path().join("index_bg.wasm"), "\0asm tidegate-fault-at-").unwrap();
        assert!(without_faults(folder.path()).is_err());
    }

    #[test]
    fn an_environment_without_a_binding_fails() {
        let all = "TIDEGATE_ORIGIN: string;\nLIMITER: x;\nPURGES: x;\n";
        let types = |of: &str| format!("interface {of} {{\n{all}}}\n");
        let good: String = ENVIRONMENT_TYPES.iter().map(|of| types(of)).collect();
        assert!(are_bound(&good).is_ok());
        assert!(are_bound(&good.replace("ProductionEnv", "OtherEnv")).is_err());
        let (first, last) = good.split_at(good.len() - 20);
        assert!(are_bound(&format!("{first}{}", last.replace("PURGES", "OTHER"))).is_err());
    }

    #[test]
    fn an_upload_over_the_budget_fails() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("README.md"), vec![b'x'; 10]).unwrap();
        assert!(size(folder.path()).is_err(), "an upload without code");
        fs::write(folder.path().join("index.js"), "export default {}").unwrap();
        assert!(size(folder.path()).is_ok());
        // Noise does not compress.
        let mut state = 1u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        fs::write(folder.path().join("big.wasm"), noise.take(BUDGET + 1).collect::<Vec<u8>>())
            .unwrap();
        assert!(size(folder.path()).is_err(), "an upload too large");
    }
}
