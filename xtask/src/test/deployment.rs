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

/// Has wrangler prepare an upload, and returns the folder it is in.
pub(super) fn dry_run(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    let folder = workspace.target().join("edge-upload");
    if folder.is_dir() {
        fs::remove_dir_all(&folder).map_err(|error| {
            anyhow!(error).context(format!("could not empty {}", folder.display()))
        })?;
    }
    let mut wrangler = tools.wrangler(workspace);
    wrangler.args(["deploy", "--dry-run", "--outdir"]).arg(&folder);
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
