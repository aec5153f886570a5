//! `docs/rfc-coverage.md` and the cases agree: each names what the other has.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
};

use tidegate_tests::cases;

/// A row of the document: the section it is about, and the words in back quotes.
struct Row {
    section: String,
    names: Vec<String>,
}

#[test]
fn every_case_that_is_named_exists() {
    let ids: BTreeSet<String> = cases::all().into_iter().map(|placed| placed.case.id).collect();
    for row in rows() {
        for name in row.names.iter().filter(|name| name.contains('-')) {
            assert!(ids.contains(name), "{}: there is no case `{name}`", row.section);
        }
    }
}

#[test]
fn every_section_that_a_case_cites_has_a_row_that_names_it() {
    let mut named: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows() {
        named.entry(row.section).or_default().extend(row.names);
    }
    let mut missing = String::new();
    for placed in cases::all() {
        let names = named.get(&placed.case.section);
        if !names.is_some_and(|names| names.contains(&placed.case.id)) {
            missing += &format!("\n{}: `{}`", placed.case.section, placed.case.id);
        }
    }
    assert!(missing.is_empty(), "without a row:{missing}");
}

fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rfc-coverage.md");
    let text = fs::read_to_string(path).expect("docs/rfc-coverage.md can be read");
    let mut rfc = "";
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            rfc = title.split(',').next().unwrap_or_default();
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [section, _, _, cases] = cells[..] else { continue };
        let section = match section.starts_with("RFC ") || section.starts_with("draft-") {
            true => section.to_owned(),
            false => format!("{rfc} §{section}"),
        };
        let names = cases.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        rows.push(Row { section, names });
    }
    assert!(rows.len() > 100, "the tables of docs/rfc-coverage.md are not where they were");
    rows
}
