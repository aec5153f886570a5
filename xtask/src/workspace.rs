//! Where things are: the repository and its ignored folders.

use std::env;
use std::path::{Path, PathBuf};

/// The repository this task runner was built in.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Takes the place from the build: cargo rebuilds xtask when the
    /// repository moves, so the answer holds from any working directory.
    pub(crate) fn find() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().unwrap_or(manifest).to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR")
            .and_then(|dir| std::path::absolute(dir).ok())
            .unwrap_or_else(|| root.join("target"));
        Self { root, target }
    }

    /// The repository's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder named from the root.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Cargo's output folder; everything xtask produces stays below it, but
    /// for `node_modules` and `edge-worker/build`, whose places others fix.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A native program built with the dev profile.
    pub(crate) fn debug_binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}
