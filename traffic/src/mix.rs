//! What people ask for, as data.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// Who comes, what there is, and which page asks for what.
#[derive(Clone, Debug)]
pub struct Mix {
    /// The host that is asked.
    pub host: String,
    /// Who comes.
    pub people: People,
    /// When they come.
    pub day: Day,
    /// What there is to ask for.
    pub endpoints: Vec<Endpoint>,
    /// Which page asks for what.
    pub pages: Vec<Page>,
}

/// Who comes, and how they behave.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Members of a team.
    pub team_size: u32,
    /// Zipf's exponent of how active teams are.
    pub team_exponent: f64,
    /// The share of teams whose members come from one address.
    pub same_office: f64,
    /// How many plugins there are.
    pub plugins: u32,
    /// Zipf's exponent of how plugins are liked.
    pub plugin_exponent: f64,
    /// Pages of a visit, on average.
    pub pages: f64,
    /// Seconds from one page to the next, on average.
    pub think_seconds: f64,
    /// The share of visits by a browser that was here before.
    pub returning: f64,
    /// How many hours ago that was, on average.
    pub absent_hours: f64,
}

/// How busy the hours of a day are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// From midnight on, in proportion to each other.
    pub hours: [f64; 24],
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The page of the app.
    Document,
    /// A file of the app that is named by its content.
    Asset,
    /// A file of a plugin.
    Bundle,
    /// Signing in, and whether one still is.
    Auth,
    /// An answer of the API that may be kept.
    Read,
    /// An answer of the API that nobody keeps.
    Uncached,
    /// What changes something.
    Write,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Document,
        Self::Asset,
        Self::Bundle,
        Self::Auth,
        Self::Read,
        Self::Uncached,
        Self::Write,
    ];

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Asset => "asset",
            Self::Bundle => "bundle",
            Self::Auth => "auth",
            Self::Read => "read",
            Self::Uncached => "uncached",
            Self::Write => "write",
        }
    }
}

/// Something to ask for, and what the origin's answer is like.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// By which pages call it.
    #[serde(skip)]
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// Path and query, in which `{team}`, `{plugin}` and `{item}` stand for what they name.
    pub target: String,
    /// What is asked for, one after the other, in place of `{item}`.
    #[serde(default)]
    pub items: Vec<String>,
    /// The body of a request, in which `{user}` and `{plugin}` stand for what they name.
    #[serde(default)]
    pub body: Option<String>,
    /// Whether a request says who asks.
    #[serde(default)]
    pub signed_in: bool,
    /// Whether it goes past the browser's copy.
    #[serde(default)]
    pub reload: bool,
    /// The status of an answer.
    #[serde(default = "ok")]
    pub status: u16,
    /// Bytes of a body, on average.
    pub bytes: u32,
    /// What the origin says of caching.
    #[serde(default)]
    pub cache_control: Option<String>,
    /// Whether the origin gives an entity tag.
    #[serde(default)]
    pub validator: bool,
    /// Seconds for which a browser keeps an answer, by the default policy.
    #[serde(default)]
    pub browser: u64,
    /// What an answer costs the database.
    #[serde(default)]
    pub queries: u32,
    /// What it costs the origin in all, in milliseconds.
    pub millis: u32,
}

/// A page, and what it asks for.
#[derive(Clone, Debug)]
pub struct Page {
    /// What it is called.
    pub name: String,
    /// How often a visit begins with it, beside the others.
    pub first: u32,
    /// How often another page leads to it, beside the others.
    pub weight: u32,
    /// Endpoints by their place, and how many of each.
    pub requests: Vec<(usize, u32)>,
}

/// A mix that cannot be used, in words for who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MixError(String);

impl Mix {
    /// That of a small team's platform: `mix.toml` beside this crate.
    ///
    /// # Panics
    /// Never: that file is read by tests.
    #[must_use]
    pub fn platform() -> Self {
        #[allow(clippy::expect_used, reason = "the file is compiled in, and read by tests")]
        Self::read(Self::PLATFORM).expect("the mix that is compiled in")
    }

    /// The text of [`Mix::platform`], to be copied and changed.
    pub const PLATFORM: &str = include_str!("../mix.toml");

    /// Reads a mix.
    ///
    /// # Errors
    /// With the line if it is not TOML or not a mix; with the page if it asks for what there is
    /// not; with the field if its value makes no sense.
    pub fn read(text: &str) -> Result<Self, MixError> {
        let written: Written =
            toml::from_str(text).map_err(|error| MixError(error.to_string().trim_end().into()))?;
        let mut endpoints = Vec::new();
        for (name, endpoint) in written.endpoints {
            endpoints.push(Endpoint { name, ..endpoint });
        }
        let mut pages = Vec::new();
        for page in written.pages {
            let requests = page.requests.iter().map(|said| mention(&page.name, said, &endpoints));
            let requests = requests.collect::<Result<_, _>>()?;
            pages.push(Page { name: page.name, first: page.first, weight: page.weight, requests });
        }
        let Written { host, people, day, .. } = written;
        let mix = Self { host, people, day, endpoints, pages };
        mix.judged()
    }

    /// How long a visitor thinks between pages, on average.
    #[must_use]
    pub fn think(&self) -> Duration {
        Duration::from_secs_f64(self.people.think_seconds)
    }

    fn judged(self) -> Result<Self, MixError> {
        let People {
            team_size,
            team_exponent,
            same_office,
            plugins,
            plugin_exponent,
            pages,
            think_seconds,
            returning,
            absent_hours,
        } = self.people;
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        let is_some = |value: f64| value > 0.0 && value.is_finite();
        let laws = [
            (team_size > 0, "people.team_size", "at least 1"),
            (is_some(team_exponent), "people.team_exponent", "above 0"),
            (is_share(same_office), "people.same_office", "from 0 to 1"),
            (plugins > 0, "people.plugins", "at least 1"),
            (is_some(plugin_exponent), "people.plugin_exponent", "above 0"),
            (pages >= 1.0 && pages.is_finite(), "people.pages", "at least 1"),
            (is_some(think_seconds), "people.think_seconds", "above 0"),
            (is_share(returning), "people.returning", "from 0 to 1"),
            (is_some(absent_hours), "people.absent_hours", "above 0"),
            (
                self.day.hours.iter().all(|hour| *hour >= 0.0 && hour.is_finite())
                    && self.day.hours.iter().any(|hour| *hour > 0.0),
                "day.hours",
                "24 numbers of which none is negative and one is above 0",
            ),
            (
                self.pages.iter().map(|page| u64::from(page.first)).sum::<u64>() > 0,
                "pages",
                "such that one has a `first` above 0: no visit could begin",
            ),
            (
                self.pages.iter().map(|page| u64::from(page.weight)).sum::<u64>() > 0
                    || pages <= 1.0,
                "pages",
                "such that one has a `weight` above 0: no visit could go on",
            ),
            (
                self.pages.iter().all(|page| page.first <= HEAVIEST && page.weight <= HEAVIEST),
                "pages",
                "such that `first` and `weight` are at most 1000000",
            ),
        ];
        match laws.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, law)) => Err(MixError(format!("{field} must be {law}"))),
            None => Ok(self),
        }
    }
}

/// Of pages, so that sums stay within 32 bits.
const HEAVIEST: u32 = 1_000_000;

/// An endpoint as pages call it: `name`, or `name*8`.
fn mention(page: &str, said: &str, endpoints: &[Endpoint]) -> Result<(usize, u32), MixError> {
    let (name, times) = said.split_once('*').unwrap_or((said, "1"));
    let Some(place) = endpoints.iter().position(|endpoint| endpoint.name == name) else {
        let names: Vec<&str> = endpoints.iter().map(|endpoint| &*endpoint.name).collect();
        return Err(MixError(format!(
            "page \"{page}\" asks for \"{said}\", and there is no [endpoints.{name}]: \
             there are {}",
            names.join(", ")
        )));
    };
    match times.parse::<u32>() {
        Ok(times @ 1..=100) => Ok((place, times)),
        _ => Err(MixError(format!(
            "page \"{page}\" asks for \"{said}\": behind the `*` stands a number from 1 to 100"
        ))),
    }
}

fn get() -> String {
    "GET".into()
}

const fn ok() -> u16 {
    200
}

impl fmt::Display for MixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MixError {}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    host: String,
    people: People,
    day: Day,
    endpoints: BTreeMap<String, Endpoint>,
    pages: Vec<WrittenPage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPage {
    name: String,
    #[serde(default)]
    first: u32,
    #[serde(default)]
    weight: u32,
    requests: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(from: &str, to: &str) -> String {
        assert!(Mix::PLATFORM.contains(from), "{from}");
        Mix::read(&Mix::PLATFORM.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn the_mix_that_is_compiled_in_has_the_endpoints_of_a_platform() {
        let mix = Mix::platform();
        let kinds: std::collections::BTreeSet<Kind> =
            mix.endpoints.iter().map(|endpoint| endpoint.kind).collect();
        assert_eq!(kinds, Kind::ALL.into());
    }

    #[test]
    fn a_page_that_asks_for_what_is_not_there_is_named() {
        let text = refused("\"document\", \"asset\", \"session\"", "\"dokument\"");
        assert!(text.starts_with("page \"open\" asks for \"dokument\""), "{text}");
        assert!(text.contains("no [endpoints.dokument]: there are asset, bundle,"), "{text}");
        let text = refused("bundle-icon*12", "bundle-icon*0");
        assert_eq!(
            text,
            "page \"marketplace\" asks for \"bundle-icon*0\": behind the `*` stands a number from 1 to 100"
        );
    }

    #[test]
    fn values_that_make_no_sense_are_named_with_what_they_must_be() {
        assert_eq!(
            refused("team_size = 8", "team_size = 0"),
            "people.team_size must be at least 1"
        );
        assert_eq!(
            refused("returning = 0.6", "returning = 60.0"),
            "people.returning must be from 0 to 1"
        );
    }

    #[test]
    fn what_is_not_a_mix_is_named_with_its_line() {
        let text = refused("team_size = 8", "team_sise = 8");
        assert!(text.contains("line") && text.contains("team_sise"), "{text}");
    }
}
