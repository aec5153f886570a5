//! `docs/rfc-coverage.md` agrees with cases and code: what it names is there, and it names all cases.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use tidegate_tests::cases;

/// A row of the document: the section it is about, and the words in back quotes that name code
/// and cases.
struct Row {
    section: String,
    code: Vec<String>,
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

#[test]
fn every_function_that_is_named_exists() {
    let mut missing = String::new();
    for row in rows() {
        let mut file = None;
        for name in &row.code {
            let exists = match (name.contains('/'), name.contains("::"), &file) {
                (true, ..) => {
                    file = fs::read_to_string(repository().join(name)).ok();
                    file.is_some()
                }
                // A word behind a file is one of its functions.
                (_, false, Some(text)) => defines(text, name),
                _ => is_in_the_core(name),
            };
            if !exists {
                missing += &format!("\n{}: `{name}`", row.section);
            }
        }
    }
    assert!(missing.is_empty(), "named, but not there:{missing}");
}

/// Whether `name` is a module of the core, or something in one: `partial`, `store::store`,
/// `key::CacheKey::of`.
fn is_in_the_core(name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    let source = repository().join("core/src");
    let is_module = |length: &usize| source.join(parts[..*length].join("/") + ".rs").exists();
    let Some(length) = (1..=parts.len()).rev().find(is_module) else { return false };
    let module = source.join(parts[..length].join("/"));
    let inner = fs::read_dir(&module).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = inner.chain([module.with_extension("rs")]);
    let text: String = files.map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
    parts[length..].iter().all(|part| defines(&text, part))
}

/// Whether Rust code defines something of this name.
fn defines(text: &str, name: &str) -> bool {
    ["fn", "struct", "enum", "trait", "const"].iter().any(|kind| {
        text.split(&format!("{kind} {name}"))
            .skip(1)
            .any(|behind| !behind.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    })
}

#[test]
fn a_name_that_is_not_there_is_noticed() {
    for name in ["store::store", "key::CacheKey::of", "policy::Policy::plan", "partial"] {
        assert!(is_in_the_core(name), "{name}");
    }
    for name in ["store::stor", "store::stores", "key::CacheKey::off", "parts", "store::store::x"] {
        assert!(!is_in_the_core(name), "{name}");
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rows() -> Vec<Row> {
    let path = repository().join("docs/rfc-coverage.md");
    let text = fs::read_to_string(path).expect("docs/rfc-coverage.md can be read");
    let mut rfc = "";
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            rfc = title.split(',').next().unwrap_or_default();
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [section, _, code, cases] = cells[..] else { continue };
        let section = match section.starts_with("RFC ") {
            true => section.to_owned(),
            false => format!("{rfc} §{section}"),
        };
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        rows.push(Row { section, code: quoted(code), names: quoted(cases) });
    }
    assert!(rows.len() > 100, "the tables of docs/rfc-coverage.md are not where they were");
    rows
}
