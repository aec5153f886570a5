//! Reading `Cache-Status` (RFC 9211) for assertions.
//!
//! Written from the RFC and not with the core's own code: what writes the field
//! must not be what checks it.

use std::{collections::BTreeMap, fmt};

use crate::wire::Response;

/// The hops a response passed, the one nearest to the origin first (§2).
#[derive(Debug, PartialEq)]
pub struct CacheStatus(Vec<Hop>);

/// What one cache says it did.
#[derive(Clone, PartialEq)]
pub struct Hop {
    /// The cache's name.
    pub name: String,
    parameters: BTreeMap<String, Option<String>>,
}

impl CacheStatus {
    /// The hops named by a response.
    ///
    /// # Panics
    /// If the field is not a list of items with parameters.
    #[track_caller]
    #[must_use]
    pub fn of(response: &Response) -> Self {
        Self::parse(&response.all("Cache-Status").collect::<Vec<_>>().join(", "))
    }

    /// The hops named by the value of a field.
    ///
    /// # Panics
    /// If it is not a list of items with parameters.
    #[track_caller]
    #[must_use]
    pub fn parse(field: &str) -> Self {
        let hops = split(field, ',').map(|member| {
            Hop::parse(member).unwrap_or_else(|| panic!("malformed Cache-Status: {field:?}"))
        });
        Self(hops.collect())
    }

    /// The names of the hops in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|hop| hop.name.as_str()).collect()
    }

    /// What the cache called `name` says.
    ///
    /// # Panics
    /// If it says nothing.
    #[track_caller]
    #[must_use]
    pub fn hop(&self, name: &str) -> &Hop {
        self.0
            .iter()
            .find(|hop| hop.name == name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

impl Hop {
    /// Whether the cache answered by itself (§2.1).
    #[must_use]
    pub fn hit(&self) -> bool {
        self.parameters.contains_key("hit")
    }

    /// Whether another request asked on its behalf (§2.6).
    #[must_use]
    pub fn collapsed(&self) -> bool {
        self.parameters.contains_key("collapsed")
    }

    /// Why the request went on (§2.2).
    #[must_use]
    pub fn fwd(&self) -> Option<&str> {
        self.value("fwd")
    }

    /// Whether the cache kept the response (§2.5).
    #[must_use]
    pub fn stored(&self) -> bool {
        self.parameters.contains_key("stored")
    }

    /// How many seconds the response is still fresh (§2.4).
    ///
    /// # Panics
    /// If that is not an integer.
    #[must_use]
    pub fn ttl(&self) -> Option<i64> {
        self.value("ttl").map(|ttl| ttl.parse().expect("an integer as ttl"))
    }

    /// Whether the response stays fresh for `seconds`, less what a busy machine
    /// takes to bring it here and what `Date` loses by counting whole seconds.
    #[must_use]
    pub fn is_fresh_for(&self, seconds: i64) -> bool {
        const SLACK: i64 = 20;
        self.ttl().is_some_and(|ttl| (seconds - SLACK..=seconds).contains(&ttl))
    }

    /// The same hop without what time changes.
    #[must_use]
    pub fn without_ttl(&self) -> Self {
        let mut timeless = self.clone();
        timeless.parameters.remove("ttl");
        timeless
    }

    /// The reason in the cache's own words (§2.8).
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.value("detail")
    }

    fn value(&self, parameter: &str) -> Option<&str> {
        self.parameters.get(parameter)?.as_deref()
    }

    fn parse(member: &str) -> Option<Self> {
        let mut parts = split(member, ';');
        let name = bare_item(parts.next()?)?;
        let parameters = parts.map(|part| match part.split_once('=') {
            None => Some((part.to_owned(), None)),
            Some((key, value)) => Some((key.to_owned(), Some(bare_item(value)?))),
        });
        Some(Self { name, parameters: parameters.collect::<Option<_>>()? })
    }
}

impl fmt::Debug for Hop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.name)?;
        self.parameters.iter().try_for_each(|(key, value)| match value {
            Some(value) => write!(out, "; {key}={value}"),
            None => write!(out, "; {key}"),
        })
    }
}

/// A string without its quotes, or a token or integer as it is.
fn bare_item(text: &str) -> Option<String> {
    match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').map(|s| s.replace("\\\"", "\"").replace("\\\\", "\\")),
        None => (!text.is_empty() && !text.contains([' ', '"'])).then(|| text.to_owned()),
    }
}

/// The trimmed, non-empty parts between separators that are not inside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |letter| {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return letter == separator && !quoted,
        }
        false
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_and_their_parameters_are_told_apart() {
        let lines = [
            "tidegate-origin; fwd=uri-miss; stored; ttl=300",
            "tidegate-edge;fwd=bypass;detail=\"a, \\\"b\\\"; c\", other;hit;ttl=-5",
        ];
        let headers = lines.map(|line| ("cache-status".to_owned(), line.to_owned())).to_vec();
        let status = CacheStatus::of(&Response { status: 200, headers, body: Vec::new() });

        assert_eq!(status.names(), ["tidegate-origin", "tidegate-edge", "other"]);
        let origin = status.hop("tidegate-origin");
        assert_eq!((origin.hit(), origin.fwd(), origin.stored()), (false, Some("uri-miss"), true));
        assert_eq!(origin.ttl(), Some(300));
        assert!(origin.is_fresh_for(301) && !origin.is_fresh_for(299));
        assert_eq!(status.hop("tidegate-edge").detail(), Some("a, \"b\"; c"));
        assert_eq!((status.hop("other").hit(), status.hop("other").ttl()), (true, Some(-5)));
    }
}
