//! Which requirements have a passing test.
//!
//! docs/requirements.md numbers them; tests carry the numbers in their names,
//! `c1_plugins_are_kept_for_a_day` in Rust, `C1 C6: plugins …` under node. Names
//! of tests that passed are the only evidence: a claim that nobody runs counts
//! for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, ensure};

use crate::report::bold;
use crate::workspace::Workspace;

const LEDGER: &str = "docs/requirements.md";

/// Prints how many requirements have a passing test, and which have none.
pub(super) fn print(workspace: &Workspace, passed_tests: &BTreeSet<String>) -> Result<()> {
    let path = workspace.path(LEDGER);
    let text =
        fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    let ids = requirement_ids(&text);
    ensure!(!ids.is_empty(), "{} lists no requirement", path.display());
    let tests = tests_by_requirement(&ids, passed_tests);
    let (with, without): (Vec<&&str>, Vec<&&str>) =
        ids.iter().partition(|id| tests.contains_key(**id));
    let with: Vec<String> = with.iter().map(|id| format!("{id} ({})", tests[**id])).collect();
    println!(
        "\n{}",
        bold(&format!("{} of {} requirements have a passing test", with.len(), ids.len()))
    );
    println!("  with (tests): {}", or_none(&with.join(", ")));
    println!("  none yet:     {}", or_none(&join(&without)));
    Ok(())
}

/// The ids in the first column of the ledger's tables, in their order.
fn requirement_ids(ledger: &str) -> Vec<&str> {
    let cells = ledger.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    cells.map(str::trim).filter(|cell| is_id(cell)).collect()
}

/// A capital, digits, and perhaps a letter: `C2`, `C2b`, `R10`.
fn is_id(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(|c: char| c.is_ascii_uppercase()) else { return false };
    let number = rest.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or(rest);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn tests_by_requirement<'a>(ids: &[&'a str], tests: &BTreeSet<String>) -> BTreeMap<&'a str, usize> {
    let mut count = BTreeMap::new();
    for test in tests {
        let words: BTreeSet<&str> = words(test).collect();
        for id in ids.iter().filter(|id| words.iter().any(|word| word.eq_ignore_ascii_case(id))) {
            *count.entry(*id).or_default() += 1;
        }
    }
    count
}

/// Where ids may stand: in a Rust test's own name, or before the colon of a
/// title.
fn words(test: &str) -> impl Iterator<Item = &str> {
    let place = match test.split_once(": ") {
        Some((before, _)) => before,
        None => test.rsplit("::").next().unwrap_or(test),
    };
    place.split(|c: char| !c.is_ascii_alphanumeric())
}

fn join(ids: &[&&str]) -> String {
    ids.iter().map(|id| **id).collect::<Vec<_>>().join(", ")
}

fn or_none(list: &str) -> &str {
    if list.is_empty() { "none" } else { list }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEDGER: &str = "
# Requirements
| id | requirement |
|---|---|
| C2 | the origin cache, see C1 |
| C2b | values from the environment |
| R1 | a hundred a minute |
";

    #[test]
    fn ids_are_the_first_column() {
        assert_eq!(requirement_ids(LEDGER), ["C2", "C2b", "R1"]);
    }

    #[test]
    fn tests_name_their_requirements_whole() {
        let tests = [
            "policy::tests::c2_c2b_lists_are_kept",
            "C2: kept at the shim",
            "R1 R7: the hundred-and-first is refused, as C2b says",
            "r1_suite::an_unnumbered_test",
            "tests::r10_is_another",
        ];
        let tests = tests.map(str::to_owned).into();
        assert_eq!(
            tests_by_requirement(&["C2", "C2b", "R1"], &tests),
            BTreeMap::from([("C2", 2), ("C2b", 1), ("R1", 1)])
        );
    }
}
