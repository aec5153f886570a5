//! Reads the policy file, with values from the process's environment.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tidegate_core::document::{self, Lint, Reading, Report};

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
    /// The page for maintenance that it names cannot be taken.
    Page {
        /// The policy file.
        path: PathBuf,
        /// The line that names the page.
        line: usize,
        /// The page's file.
        page: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Reads the policy at `path`, with its warnings and the places of its values.
pub fn read(path: &Path) -> Result<Reading, PolicyError> {
    let source = std::fs::read_to_string(path)
        .map_err(|error| PolicyError::Unreadable { path: path.into(), error })?;
    let reading = document::read_closely(&source, &|name| std::env::var(name).ok())
        .map_err(|report| PolicyError::Wrong { path: path.into(), report })?;
    let reading = warned_of_folders(reading, path);
    match reading.policy.page_file().map(|file| path.with_file_name(file)) {
        Some(page) => with_page(reading, path, page),
        None => Ok(reading),
    }
}

/// With a warning of each folder of files that is not there: it may come later, with the app.
fn warned_of_folders(mut reading: Reading, path: &Path) -> Reading {
    for (name, folder) in reading.policy.model().folders.clone() {
        let at = path.with_file_name(&folder.path);
        if !at.is_dir() {
            let message = format!("{} is no folder", at.display());
            let hint = "put the files there, or name another folder: it is beside the policy file \
                        unless it begins with `/`";
            reading.warn(Lint::NoFolder, &format!("upstreams.{name}.files"), message, hint);
        }
    }
    reading
}

/// With the text of the page for maintenance in place of its name.
fn with_page(reading: Reading, path: &Path, page: PathBuf) -> Result<Reading, PolicyError> {
    let place = reading.places.get("maintenance.page.file");
    let error = |error| PolicyError::Page {
        path: path.into(),
        line: place.map_or(1, |place| place.line),
        page: page.clone(),
        error,
    };
    let html = std::fs::read_to_string(&page).map_err(error)?;
    let too_long = || error(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 64 KiB"));
    let Reading { policy, warnings, places, source } = reading;
    let policy = policy.with_page(html).ok_or_else(too_long)?;
    Ok(Reading { policy, warnings, places, source })
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(
                f,
                "{}: {error}\n= hint: name the policy file with --policy, or run in its folder",
                path.display()
            ),
            Self::Page { path, line, page, error } => write!(
                f,
                "{}:{line}: the page {}: {error}\n= hint: name a file of at most 64 KiB beside \
                 the policy, or leave `page` out",
                path.display(),
                page.display()
            ),
            Self::Wrong { path, report } => {
                write!(f, "{}", report.display(&path.display().to_string()))
            }
        }
    }
}

impl std::error::Error for PolicyError {}
