//! The policy a test runs with: the repository's own, or a changed copy.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// A policy file; a copy is removed when dropped.
#[derive(Debug)]
pub struct PolicyFile {
    path: PathBuf,
    // Held for its end: the folder is removed when the copy is dropped.
    _folder: Option<TempDir>,
}

impl PolicyFile {
    /// `tidegate.toml` at the root of the repository, as it is.
    #[must_use]
    pub fn of_the_repository() -> Self {
        Self::in_the_repository("tidegate.toml")
    }

    /// This file of the repository, as it is.
    ///
    /// # Panics
    /// Never: the workspace is around this crate.
    #[must_use]
    pub fn in_the_repository(file: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace around us");
        Self { path: root.join(file), _folder: None }
    }

    /// A new file with this text.
    ///
    /// # Panics
    /// If the temporary folder cannot be written.
    #[must_use]
    pub fn with_text(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tidegate.toml");
        fs::write(&path, text).expect("the temporary folder can be written");
        Self { path, _folder: Some(folder) }
    }

    /// A copy in which the only occurrence of `old` reads `new`.
    ///
    /// # Panics
    /// If `old` does not occur exactly once: then the edit is not the one the
    /// test speaks of.
    #[track_caller]
    #[must_use]
    pub fn replacing(&self, old: &str, new: &str) -> Self {
        let text = self.text();
        let occurrences = text.matches(old).count();
        assert_eq!(occurrences, 1, "{old:?} in {}", self.path.display());
        Self::with_text(&text.replacen(old, new, 1))
    }

    /// Puts another text into a file of [`Self::with_text`], at once as editors do.
    ///
    /// # Panics
    /// If the temporary folder cannot be written.
    #[track_caller]
    pub fn rewrite(&self, text: &str) {
        assert!(self._folder.is_some(), "the repository's own files stay as they are");
        let new = self.path.with_extension("new");
        fs::write(&new, text).expect("the temporary folder can be written");
        fs::rename(&new, &self.path).expect("the temporary folder can be written");
    }

    /// What is in the file.
    ///
    /// # Panics
    /// If it cannot be read.
    #[track_caller]
    #[must_use]
    pub fn text(&self) -> String {
        fs::read_to_string(&self.path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", self.path.display()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
