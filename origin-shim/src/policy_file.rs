//! Reads the policy file, with values from the process's environment.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tidegate_core::document::{self, Reading, Report};

/// Why there is no policy.
#[derive(Debug)]
pub enum PolicyError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file has errors; all of them are in the report.
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        report: Report,
    },
}

/// Reads the policy at `path`, with its warnings and the places of its values.
pub fn read(path: &Path) -> Result<Reading, PolicyError> {
    let source = std::fs::read_to_string(path)
        .map_err(|error| PolicyError::Unreadable { path: path.into(), error })?;
    document::read_closely(&source, &|name| std::env::var(name).ok())
        .map_err(|report| PolicyError::Wrong { path: path.into(), report })
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(
                f,
                "{}: {error}\n= hint: name the policy file with --policy, or run in its folder",
                path.display()
            ),
            Self::Wrong { path, report } => {
                write!(f, "{}", report.display(&path.display().to_string()))
            }
        }
    }
}

impl std::error::Error for PolicyError {}
