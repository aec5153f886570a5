//! Where in the file each value stands, beside the policy and not in it: the canonical form
//! is the same however a file is laid out.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Place;

/// Places by path, like `routes.3.origin.ttl`; routes count from 0 as in the
/// [`Model`](crate::policy::Model).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    spans: BTreeMap<String, Range<usize>>,
    source: String,
}

impl Places {
    pub(super) fn of(source: &str, table: &DeTable<'_>) -> Self {
        let mut places = Self { spans: BTreeMap::new(), source: source.into() };
        places.add_table("", table);
        places
    }

    /// The place of the value at `path`; `None` where the file says nothing, so that a default
    /// holds.
    pub fn get(&self, path: &str) -> Option<Place> {
        // Field names have no case, and the policy has them in lower case.
        let in_any_case = || self.spans.iter().find(|(known, _)| known.eq_ignore_ascii_case(path));
        let span = self.spans.get(path).or_else(|| in_any_case().map(|(_, span)| span))?;
        Some(Place::of(&self.source, span.start))
    }

    /// The bytes of the value at `path`, or of the nearest that is around it.
    pub(super) fn span(&self, path: &str) -> Range<usize> {
        let around = core::iter::successors(Some(path), |path| Some(path.rsplit_once('.')?.0));
        around.into_iter().find_map(|path| self.spans.get(path)).cloned().unwrap_or(0..0)
    }

    fn add_table(&mut self, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            self.add(join(path, key.get_ref()), value);
        }
    }

    fn add(&mut self, path: String, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.add_table(&path, table),
            DeValue::Array(members) => {
                for (at, member) in members.iter().enumerate() {
                    self.add(join(&path, &at.to_string()), member);
                }
            }
            _ => {}
        }
        self.spans.insert(path, value.span());
    }
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_string(),
        path => format!("{path}.{key}"),
    }
}
