//! `docs/conformance.md`: written whole by the command, and the same again by
//! the next run if nothing changed, so that a diff is news.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::conformance::contradictions::{Contradiction, Contradictions};
use crate::conformance::suite::{Kind, Results};

/// A cache's title, and what the suite said of it.
pub(super) type Column = (String, Results);

const INTRODUCTION: &str = "\
# Conformance

The [public HTTP cache tests](https://cache-tests.fyi) (npm `http-cache-tests` 0.4.5), run through
`tidegate serve` and, beside it, through the nginx and the Varnish of Debian. This page is written
by the command that runs them:

```sh
cargo xtask conformance
```

- *required*: a cache that fails breaks the standard; *optimal*: it is slower than it could be;
  *check*: it merely differs from others.
- A case counts as passed when the suite says so for it alone, whether or not the cases it builds
  upon pass. A cache that keeps nothing therefore passes most that forbid reuse.
- Tidegate runs under [policy.toml](../tests/conformance/policy.toml): everything `respect`, that is,
  as the origin says; stale answers may stand in for failures, and answers that set a cookie may be
  kept. The peers run under [nginx.conf](../tests/conformance/nginx.conf) and
  [varnish.vcl](../tests/conformance/varnish.vcl), which say what is not their default, and why.
- `cargo xtask test` runs Tidegate's part and fails when a case falls back: a required or optimal one
  that fails and is not listed below, one listed below that passes, or a check case that passed
  before ([checks.txt](../tests/conformance/checks.txt)).
";

const CONTRADICTIONS: &str = "\
## Where the suite contradicts an RFC

Tidegate passes every required and every optimal case but these
([contradictions.toml](../tests/conformance/contradictions.toml)). Each is failed on purpose.
";

/// Writes the page, unless it says the same already.
pub(super) fn write(
    path: &Path,
    columns: &[Column],
    contradictions: &Contradictions,
) -> Result<()> {
    let text = page(columns, contradictions);
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

fn page(columns: &[Column], contradictions: &Contradictions) -> String {
    let mut page = format!("{INTRODUCTION}\n## Cases passed\n\n{}", totals(columns));
    for kind in Kind::ALL {
        page += &format!("\n### {}\n\n{}", heading(kind), by_group(columns, kind));
    }
    page += &format!("\n{CONTRADICTIONS}");
    for contradiction in contradictions.iter() {
        page += &section(contradiction);
    }
    page
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Required => "Required, by group",
        Kind::Optimal => "Optimal, by group",
        Kind::Check => "Checks, by group",
    }
}

fn totals(columns: &[Column]) -> String {
    let mut table = head("kind", columns);
    for kind in Kind::ALL {
        let counts = columns.iter().map(|(_, results)| results.count(kind));
        row(&mut table, kind.as_str(), counts);
    }
    table
}

/// The groups that have cases of a kind.
fn by_group(columns: &[Column], kind: Kind) -> String {
    let mut table = head("group", columns);
    let groups = columns.first().map(|(_, results)| results.groups()).unwrap_or_default();
    for group in groups {
        let counts: Vec<_> =
            columns.iter().map(|(_, results)| results.count_in(group, kind)).collect();
        if counts.iter().any(|(_, all)| *all > 0) {
            row(&mut table, group, counts);
        }
    }
    table
}

fn head(first: &str, columns: &[Column]) -> String {
    let titles: Vec<&str> = columns.iter().map(|(title, _)| title.as_str()).collect();
    let rule = "---:|".repeat(columns.len());
    format!("| {first} | of | {} |\n|---|---:|{rule}\n", titles.join(" | "))
}

/// The number of cases once, because it is one suite for all.
fn row(table: &mut String, first: &str, counts: impl IntoIterator<Item = (usize, usize)>) {
    let counts: Vec<(usize, usize)> = counts.into_iter().collect();
    let all = counts.first().map_or(0, |(_, all)| *all);
    let passed: Vec<String> = counts.iter().map(|(passed, _)| passed.to_string()).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(table, "| {first} | {all} | {} |", passed.join(" | "));
}

fn section(contradiction: &Contradiction) -> String {
    let Contradiction { section, says, why, kind, cases } = contradiction;
    let mut text = format!("\n### {section} ({kind})\n\n> {says}\n\n{why}\n\n");
    for case in cases {
        let _ = writeln!(text, "- `{}`: {}", case.id, case.why);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(title: &str, passed: bool) -> Column {
        let lines = format!(
            r#"{{"group":"Age","id":"a","kind":"required","passed":true,"reason":null}}
{{"group":"Age","id":"b","kind":"required","passed":{passed},"reason":null}}
{{"group":"Vary","id":"c","kind":"optimal","passed":{passed},"reason":null}}"#
        );
        (title.to_owned(), Results::parse(&lines).unwrap())
    }

    #[test]
    fn totals_are_by_kind() {
        let columns = [column("Tidegate", true), column("nginx 1.22.1", false)];
        let table = "\
| kind | of | Tidegate | nginx 1.22.1 |
|---|---:|---:|---:|
| required | 2 | 2 | 1 |
| optimal | 1 | 1 | 0 |
| check | 0 | 0 | 0 |
";
        assert_eq!(totals(&columns), table);
    }

    #[test]
    fn groups_without_a_case_of_the_kind_are_left_out() {
        let table = "\
| group | of | Tidegate |
|---|---:|---:|
| Vary | 1 | 1 |
";
        assert_eq!(by_group(&[column("Tidegate", true)], Kind::Optimal), table);
    }
}
