//! A note in the output folder: made from these inputs, consisting of these files.
//!
//! It names both sides, so that neither a changed input nor an output that was
//! deleted, or overwritten by a hand-run worker-build, goes unnoticed.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use anyhow::{Context, Result};

use super::MODULES;

const STAMP: &str = ".made-from";

/// Whether the folder holds what these inputs gave.
pub(super) fn vouches_for(folder: &Path, inputs: &[u8]) -> bool {
    let found = fs::read_to_string(folder.join(STAMP)).ok();
    found.is_some() && found == text(folder, inputs).ok()
}

/// Notes that the folder's files were just made from these inputs.
pub(super) fn leave(folder: &Path, inputs: &[u8]) -> Result<()> {
    let stamp = folder.join(STAMP);
    fs::write(&stamp, text(folder, inputs)?)
        .with_context(|| format!("could not write {}", stamp.display()))
}

/// The hash may differ from one compiler's standard library to the next; that
/// costs one more run and nothing else.
fn text(folder: &Path, inputs: &[u8]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    hasher.write(inputs);
    for name in MODULES {
        let path = folder.join(name);
        let bytes =
            fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_input_or_output_voids_the_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in MODULES {
            fs::write(path.join(name), name).unwrap();
        }
        assert!(!vouches_for(path, b"sources"));
        leave(path, b"sources").unwrap();
        assert!(vouches_for(path, b"sources"));
        assert!(!vouches_for(path, b"other sources"));
        fs::write(path.join("index.js"), "edited").unwrap();
        assert!(!vouches_for(path, b"sources"));
    }
}
