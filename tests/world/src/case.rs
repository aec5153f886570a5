//! One case: a story of requests, answers and waiting, and what is expected of it.
//!
//! ```toml
//! [[case]]
//! id = "fresh-to-the-second"
//! section = "RFC 9111 §4.2"
//! kind = "required"
//! steps = [
//!   { ask = "GET /", origin = ["200", "Cache-Control: max-age=60"], then = "fwd=uri-miss; stored" },
//!   { wait = "59s" },
//!   { ask = "GET /", then = "hit", gets = ["Age: 59"] },
//!   { wait = "1s" },
//!   { ask = "GET /", origin = ["200"], then = "fwd=stale" },
//! ]
//! ```
//!
//! A step with `origin` says that the origin is asked, one with `again` that it is asked a second
//! time for the same question, one without either that it is not.
//! Lines may hold `<-10s>` (an HTTP-date, counted from the begin of the case), `<+60s rfc850>`
//! and `<+60s asctime>` (in the obsolete formats), `<host>` and `<other>` (the case's own hosts),
//! `<cache>` (how the tier calls itself), `<8000>` (so many letters) and `<long>` (one path segment longer than any target may be).

use serde::{Deserialize, Deserializer, Serialize};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its cases.
    pub case: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its name, unlike every other's; also the begin of the host that it asks for.
    pub id: String,
    /// What it shows, as `RFC 9111 §4.2.1`.
    pub section: String,
    /// How much depends on it.
    pub kind: Kind,
    /// What is in the braces of `origin = {…}` in its route's policy.
    #[serde(default = "respect", skip_serializing_if = "is_respect")]
    pub rule: String,
    /// Further lines of its route.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
    /// The tier that it is for, if it is not for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// How much depends on a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A MUST: whoever fails it is no HTTP cache, or one that breaks its policy.
    Required,
    /// Allowed, and what a good cache does.
    Optimal,
    /// Stricter than the RFC where that keeps answers from the wrong people.
    Safe,
}

/// The tier of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// The shim's.
    Origin,
    /// The worker's.
    Edge,
}

impl From<Tier> for tidegate_core::Tier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Origin => Self::Origin,
            Tier::Edge => Self::Edge,
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Step {
    /// Time passes: `59s`, `500ms`.
    Wait {
        /// How much.
        wait: String,
    },
    /// A client asks.
    Ask(Box<Ask>),
}

/// A client's question, and what is expected to come of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// `GET /path`, then field lines, then perhaps `> body`.
    #[serde(deserialize_with = "lines")]
    pub ask: Vec<String>,
    /// What the origin answers: `200`, field lines, `> body`; or `unreachable`, or `silent`.
    /// Nothing, if it is not to be asked.
    #[serde(default, deserialize_with = "lines", skip_serializing_if = "Vec::is_empty")]
    pub origin: Vec<String>,
    /// What it answers when it is asked once more for the same question; as `origin`.
    #[serde(default, deserialize_with = "lines", skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<String>,
    /// What this hop says of it in Cache-Status: `hit; ttl=5`, `fwd=stale; stored`, `none`.
    /// What is not named is not compared, but for `stored`.
    pub then: String,
    /// What the origin is to see; see [`crate::expectation`] for the lines.
    #[serde(default, deserialize_with = "lines", skip_serializing_if = "Vec::is_empty")]
    pub sees: Vec<String>,
    /// What it is to see when it is asked once more.
    #[serde(default, deserialize_with = "lines", skip_serializing_if = "Vec::is_empty")]
    pub sees_again: Vec<String>,
    /// What the client is to get.
    #[serde(default, deserialize_with = "lines", skip_serializing_if = "Vec::is_empty")]
    pub gets: Vec<String>,
}

impl Case {
    /// The host that its requests are for.
    pub fn host(&self) -> String {
        format!("{}.test", self.id)
    }

    /// Another host under the same policy.
    pub fn other_host(&self) -> String {
        format!("other.{}", self.host())
    }

    /// Why a real program on this tier cannot show it, if it cannot.
    pub fn unplayable_on(&self, tier: Tier) -> Option<&'static str> {
        let is_silent = |ask: &Ask| ask.origin.first().is_some_and(|first| first == "silent");
        if self.tier.is_some_and(|only| only != tier) {
            return Some("for the other tier");
        }
        if self.steps.iter().any(|step| matches!(step, Step::Wait { .. })) {
            return Some("needs time to pass, which only a virtual clock can hurry");
        }
        self.asks().any(is_silent).then_some("waits for an origin that never answers")
    }

    /// The questions, in their order.
    pub fn asks(&self) -> impl Iterator<Item = &Ask> {
        self.steps.iter().filter_map(|step| match step {
            Step::Ask(ask) => Some(&**ask),
            Step::Wait { .. } => None,
        })
    }
}

fn respect() -> String {
    r#"mode = "respect""#.into()
}

fn is_respect(rule: &str) -> bool {
    rule == respect()
}

/// A list of lines, or one alone.
fn lines<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Lines {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Lines::deserialize(from)? {
        Lines::One(line) => vec![line],
        Lines::Many(lines) => lines,
    })
}
