//! The cases in `tests/cases/*.toml`, and what to do with those that fail.

pub mod play;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use tidegate_world::{
    Case,
    case::{File, Tier},
};

/// A case and the file it stands in.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The file's name without its ending.
    pub file: String,
    /// The case.
    pub case: Case,
}

/// All cases, by file and in the files' order.
///
/// # Panics
/// If a file cannot be read, or is no file of cases.
#[must_use]
pub fn all() -> Vec<Placed> {
    let mut cases = Vec::new();
    for path in files() {
        let text = fs::read_to_string(&path).expect("a file of cases can be read");
        let read: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        cases.extend(read.case.into_iter().map(|case| Placed { file: file.clone(), case }));
    }
    cases
}

/// The cases that a real program on `tier` can show. Prints how many there are, and why the
/// others are left out.
///
/// # Panics
/// If there are fewer than `at_least`: none may be lost on the way.
#[must_use]
#[allow(clippy::print_stdout, reason = "a runner tells what it runs")]
pub fn playable_on(tier: Tier, at_least: usize) -> Vec<Placed> {
    let mut left_out: BTreeMap<&str, usize> = BTreeMap::new();
    let mut cases = all();
    let of = cases.len();
    cases.retain(|placed| {
        let reason = placed.case.unplayable_on(tier);
        reason.map(|reason| *left_out.entry(reason).or_default() += 1).is_none()
    });
    println!("{} of {of} cases are played", cases.len());
    for (reason, count) in left_out {
        println!("{count} left out: {reason}");
    }
    assert!(cases.len() >= at_least, "{} cases where there were {at_least}", cases.len());
    cases
}

/// The folder of the cases.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// The cases that are known to fail somewhere, with the reason: a table of strings.
///
/// # Panics
/// If the file is something else.
#[must_use]
pub fn ledger(name: &str) -> BTreeMap<String, String> {
    let path = folder().join(name);
    let text = fs::read_to_string(&path).expect("a ledger can be read");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails unless exactly the cases of the ledger failed: it may only shrink.
///
/// # Panics
/// With every case that failed unexpectedly, and every one that did not.
pub fn settle(failed: &BTreeMap<String, Vec<String>>, ledger: &BTreeMap<String, String>) {
    let mut wrong = String::new();
    for (id, failures) in failed.iter().filter(|(id, _)| !ledger.contains_key(*id)) {
        wrong += &format!("\n{id}\n    {}", failures.join("\n    "));
    }
    for id in ledger.keys().filter(|id| !failed.contains_key(*id)) {
        wrong += &format!("\n{id} passes: take it off the ledger");
    }
    let count = wrong.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).count();
    assert!(wrong.is_empty(), "{count} cases:{wrong}");
}

fn files() -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder()).expect("tests/cases can be listed");
    let paths = entries.map(|entry| entry.expect("an entry of tests/cases").path());
    // Ledgers stand beside the cases.
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .filter(|path| !path.to_string_lossy().ends_with("-deviations.toml"))
        .collect()
}
