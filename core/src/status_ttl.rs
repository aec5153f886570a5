//! Times to live by status: `404` for a minute, `5xx` not at all.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::policy::Malformed;
use crate::sort::sort_by;
use crate::time::as_millis;

/// Times to live by status, the more specific first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatusTtls(Vec<StatusTtl>);

/// The time to live of some statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusTtl {
    /// Which statuses.
    pub status: Statuses,
    /// For how long their answers are fresh by our word. Zero: they are not kept by it.
    #[serde(with = "as_millis")]
    pub ttl: Duration,
}

/// One status, or a class of them. One alone is the more specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Statuses {
    /// `404`.
    One(u16),
    /// `5xx`, by its first digit.
    Class(u16),
}

impl StatusTtls {
    /// Puts them in their order.
    pub fn new(ttls: impl IntoIterator<Item = StatusTtl>) -> Self {
        let mut ttls: Vec<_> = ttls.into_iter().collect();
        sort_by(&mut ttls, |one, other| one < other);
        Self(ttls)
    }

    /// The time to live of answers with this status, if one is set.
    pub fn of(&self, status: u16) -> Option<Duration> {
        self.0.iter().find(|entry| entry.status.contain(status)).map(|entry| entry.ttl)
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, the more specific first.
    pub fn iter(&self) -> impl Iterator<Item = &StatusTtl> {
        self.0.iter()
    }
}

impl Statuses {
    /// Reads `404` or `5xx`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let bad = |message: String| {
            Malformed::new(message, "write a status from 200 on like `404`, or a class like `5xx`")
        };
        let status = match text.strip_suffix("xx") {
            Some(class) => class.parse().ok().filter(|c| (2..=5).contains(c)).map(Self::Class),
            None => text.parse().ok().filter(|s| (200..=599).contains(s)).map(Self::One),
        };
        match status {
            Some(Self::One(206)) => Err(bad("206 is a part, and as fresh as its whole".into())),
            Some(Self::One(304)) => Err(bad("304 confirms a stored answer, and is none".into())),
            Some(status) => Ok(status),
            None => Err(bad(format!("`{text}` is no status that could be stored"))),
        }
    }

    /// Whether `status` is meant.
    pub const fn contain(self, status: u16) -> bool {
        match self {
            Self::One(one) => one == status,
            Self::Class(class) => class == status / 100,
        }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(status) => write!(f, "{status}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl TryFrom<String> for Statuses {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<Statuses> for String {
    fn from(statuses: Statuses) -> Self {
        statuses.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_status_wins_over_its_class() {
        let ttl = |status, seconds| StatusTtl {
            status: Statuses::parse(status).unwrap(),
            ttl: Duration::from_secs(seconds),
        };
        let ttls = StatusTtls::new([ttl("5xx", 0), ttl("404", 60), ttl("503", 5)]);
        let seconds = |status| ttls.of(status).map(|ttl| ttl.as_secs());
        assert_eq!(seconds(404), Some(60));
        assert_eq!(seconds(503), Some(5));
        assert_eq!(seconds(500), Some(0));
        assert_eq!(seconds(200), None);
    }

    #[test]
    fn what_is_never_stored_is_refused() {
        for text in ["100", "1xx", "206", "304", "600", "6xx", "xx", "5XX", "404 ", "", "-404"] {
            assert!(Statuses::parse(text).is_err(), "{text}");
        }
    }
}
