//! The ledger of cases that contradict an RFC: `contradictions.toml`.

use std::fs;

use anyhow::{Context, Result, ensure};
use toml::de::{DeTable, DeValue};

use crate::conformance::FOLDER;
use crate::conformance::suite::Kind;
use crate::workspace::Workspace;

const FILE: &str = "contradictions.toml";

/// The ledger, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contradictions(Vec<Contradiction>);

/// One sentence of an RFC, and the cases that it stands against.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contradiction {
    pub(super) section: String,
    pub(super) says: String,
    pub(super) why: String,
    /// The kind of its cases: one that is required asks for another look than
    /// one that is optimal.
    pub(super) kind: Kind,
    pub(super) cases: Vec<Refused>,
}

/// A case that is not passed on purpose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) id: String,
    pub(super) why: String,
}

impl Contradictions {
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let path = workspace.path(FOLDER).join(FILE);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("could not read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not as it should be", path.display()))
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let table = DeTable::parse(text)?;
        let entries =
            table.get_ref().get("contradiction").and_then(|list| list.get_ref().as_array());
        let entries = entries.context("there is no [[contradiction]]")?;
        let entry = |value: &toml::Spanned<DeValue<'_>>| {
            let table = value.get_ref().as_table().context("a contradiction is a table")?;
            Contradiction::parse(table)
        };
        Ok(Self(entries.iter().map(entry).collect::<Result<_>>()?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Contradiction> {
        self.0.iter()
    }

    /// Each case, with the kind that its entry says.
    pub(super) fn cases(&self) -> impl Iterator<Item = (&Refused, Kind)> {
        self.iter().flat_map(|entry| entry.cases.iter().map(|case| (case, entry.kind)))
    }

    /// Whether this case is one of them.
    pub(super) fn name(&self, id: &str) -> bool {
        self.cases().any(|(case, _)| case.id == id)
    }
}

impl Contradiction {
    fn parse(table: &DeTable<'_>) -> Result<Self> {
        let section = text(table, "section")?;
        let cases = table.get("cases").and_then(|cases| cases.get_ref().as_table());
        let cases = cases.with_context(|| format!("{section}: there are no cases"))?;
        let refused = |id: &str| {
            let why = text(cases, id).with_context(|| format!("{section}: {id}"))?;
            Ok(Refused { id: id.to_owned(), why })
        };
        let cases = cases.keys().map(|id| refused(id.get_ref())).collect::<Result<Vec<_>>>()?;
        ensure!(!cases.is_empty(), "{section}: there are no cases");
        Ok(Self {
            says: text(table, "says")?,
            why: text(table, "why")?,
            kind: kind(table)?,
            section,
            cases,
        })
    }
}

fn kind(table: &DeTable<'_>) -> Result<Kind> {
    let word = text(table, "kind")?;
    // A check case cannot contradict anything: it only asks what a cache does.
    [Kind::Required, Kind::Optimal]
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .with_context(|| format!("`{word}` is no kind: required or optimal"))
}

fn text(table: &DeTable<'_>, field: &str) -> Result<String> {
    let value = table.get(field).with_context(|| format!("`{field}` is missing"))?;
    let text = value.get_ref().as_str().with_context(|| format!("`{field}` is no text"))?.trim();
    ensure!(!text.is_empty(), "`{field}` is empty");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"
[[contradiction]]
section = "RFC 9111, section 5.1"
says = "a cache SHOULD ignore the field"
why = "it wants the opposite"
kind = "required"
[contradiction.cases]
age-parse-float = "`7200.0` is ignored"
"#;

    #[test]
    fn an_entry_has_a_sentence_and_cases() {
        let entry = Contradiction {
            section: "RFC 9111, section 5.1".to_owned(),
            says: "a cache SHOULD ignore the field".to_owned(),
            why: "it wants the opposite".to_owned(),
            kind: Kind::Required,
            cases: vec![Refused {
                id: "age-parse-float".to_owned(),
                why: "`7200.0` is ignored".to_owned(),
            }],
        };
        assert_eq!(Contradictions::parse(ENTRY).unwrap(), Contradictions(vec![entry]));
    }

    #[test]
    fn an_entry_without_a_reason_is_refused() {
        for (whole, part) in [
            ("says = \"a cache SHOULD ignore the field\"", ""),
            ("\"it wants the opposite\"", "\"\""),
            ("\"required\"", "\"check\""),
            ("age-parse-float = \"`7200.0` is ignored\"", ""),
        ] {
            let text = ENTRY.replace(whole, part);
            assert!(Contradictions::parse(&text).is_err(), "{text}");
        }
    }
}
