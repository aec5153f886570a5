//! Tools from the crate registry, compiled here and kept under `target/tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow, ensure};

use crate::workspace::Workspace;
use crate::{report, run};

/// One program of one crate, at one version.
pub(super) struct CargoTool {
    pub(super) package: &'static str,
    pub(super) binary: &'static str,
    pub(super) version: String,
    pub(super) why: &'static str,
}

impl CargoTool {
    /// Where `cargo install` puts the program.
    pub(super) fn path(&self, home: &Path) -> PathBuf {
        home.join("bin").join(self.binary)
    }

    /// Whether the program is there and says it has the version; the program
    /// itself is the only stamp that cannot lie.
    pub(super) fn is_installed(&self, home: &Path) -> bool {
        run::answer(self.path(home), &["--version"])
            .is_some_and(|said| said.split_whitespace().any(|word| word == self.version))
    }

    fn install(&self, workspace: &Workspace, home: &Path, build: &Path) -> Result<()> {
        let log = home.join(format!("{}.log", self.package));
        let locked = self.install_command(workspace, home, build, true);
        let Err(error) = run::in_the_background(locked, &log) else { return Ok(()) };
        // A lock file may name a release that a registry mirror lacks. The
        // tool's own version stays exact, so its output does too.
        let unresolvable =
            fs::read_to_string(&log).is_ok_and(|text| text.contains("failed to select a version"));
        ensure!(unresolvable, error);
        report::note(format!(
            "this registry lacks a release that {}'s lock file names: resolving anew",
            self.package
        ));
        run::in_the_background(self.install_command(workspace, home, build, false), &log)
    }

    fn install_command(
        &self,
        workspace: &Workspace,
        home: &Path,
        build: &Path,
        locked: bool,
    ) -> Command {
        let mut command = run::cargo(workspace);
        command.arg("install").args(locked.then_some("--locked"));
        command.arg("--root").arg(home);
        command.args(["--force", "--version", &self.version, self.package]);
        command.env("CARGO_TARGET_DIR", build);
        // Each runs for a second or less; on two cores, compiling them with
        // optimisation costs minutes that never come back.
        for (setting, value) in
            [("OPT_LEVEL", "0"), ("LTO", "off"), ("DEBUG", "false"), ("CODEGEN_UNITS", "16")]
        {
            command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        command
    }
}

/// Installs those that are missing. They share one build folder, because they
/// share dependencies, and leave nothing of it behind.
pub(super) fn install_missing(
    workspace: &Workspace,
    home: &Path,
    tools: &[CargoTool],
) -> Result<()> {
    let build = home.join("build");
    for tool in tools.iter().filter(|tool| !tool.is_installed(home)) {
        let what = format!("Installing {} {}: {}", tool.package, tool.version, tool.why);
        report::step(&what, || {
            tool.install(workspace, home, &build)?;
            ensure!(tool.is_installed(home), "the installed {} does not run", tool.binary);
            Ok(())
        })?;
    }
    if super::exists(&build) {
        fs::remove_dir_all(&build).map_err(|error| {
            anyhow!(error).context(format!("could not remove {}", build.display()))
        })?;
    }
    Ok(())
}
