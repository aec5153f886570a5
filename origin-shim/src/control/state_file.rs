//! The file that keeps overrides over a restart.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tidegate_core::policy::Overrides;
use tidegate_core::policy::overrides::Objection;

/// Why the overrides of a file are no use.
#[derive(Debug)]
pub struct StateError {
    path: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Unreadable(io::Error),
    Wrong(Vec<Objection>),
}

/// Reads it; none if it is not there.
pub(super) fn read(path: &Path) -> Result<Overrides, StateError> {
    let error = |why| StateError { path: path.into(), why };
    match fs::read_to_string(path) {
        Ok(json) => Overrides::from_json(&json).map_err(|wrong| error(Why::Wrong(wrong))),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => Ok(Overrides::default()),
        Err(unreadable) => Err(error(Why::Unreadable(unreadable))),
    }
}

/// Writes it whole or not at all.
pub(super) fn write(path: &Path, overrides: &Overrides) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, overrides.to_json() + "\n")?;
    fs::File::open(&new)?.sync_all()?;
    fs::rename(&new, path)
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.why {
            Why::Unreadable(error) => writeln!(f, "{path}: {error}")?,
            Why::Wrong(wrong) => {
                wrong.iter().try_for_each(|wrong| writeln!(f, "{path}: {wrong}"))?
            }
        }
        f.write_str(
            "= hint: this is what `[admin] state` names; remove it to start with the policy alone",
        )
    }
}

impl std::error::Error for StateError {}
