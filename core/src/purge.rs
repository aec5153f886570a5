//! Is this stored answer void? What was purged, and when: one document for all places that keep
//! answers, which tells by what an answer goes by and by when it was asked for.
//!
//! It is bounded, and forgets in one direction alone: too much is purged rather than too little.
//!
//! ```
//! use tidegate_core::purge::{Purge, Purges};
//! use tidegate_core::{Host, Scheme, Target, Timestamp};
//!
//! let (host, target) = (Host::parse("a.example", Scheme::Https)?, Target::parse("/plugins/x.js")?);
//! let mut purges = Purges::default();
//! let at = Timestamp::from_secs(1_795_000_000);
//! purges.add(&Purge::prefix("https://a.example/plugins/")?, at);
//!
//! let no_names: [&str; 0] = [];
//! let is_void = |asked_at| purges.void(&host, &target, no_names, asked_at);
//! assert!(is_void(at) && !is_void(Timestamp::from_secs(1_795_000_001)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod order;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::host::{Host, Scheme};
use crate::policy::Malformed;
use crate::target::Target;
use crate::time::Timestamp;

/// Purges remembered one by one. Of more the oldest become a purge of everything before it.
pub const REMEMBERED_MAX: usize = 1024;

/// Bytes of a URL that are remembered; of a longer one, everything is purged that begins like it.
const URL_MAX: usize = 512;

/// What to purge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    kind: Kind,
    text: String,
}

/// By what an answer is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Everything,
    /// A name that stored answers go by, as the shell writes it.
    Name,
    /// The URL that is asked for.
    Url,
    /// The begin of that.
    Prefix,
}

/// What was purged, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purges {
    /// Sorted by what they mean, which each means alone; never [`Kind::Everything`].
    lines: Vec<(Purge, Timestamp)>,
    everything: Option<Timestamp>,
    /// The latest of all: what was asked for later needs no closer look.
    last: Option<Timestamp>,
}

/// A document that [`Purges::to_text`] has not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPurges {
    /// The first line that is wrong, from one on.
    pub line: usize,
}

impl Purge {
    /// Everything.
    pub const fn everything() -> Self {
        Self { kind: Kind::Everything, text: String::new() }
    }

    /// The answers that go by `name`, which is one word: see [`Purges::void`].
    pub fn name(name: &str) -> Self {
        Self { kind: Kind::Name, text: name.into() }
    }

    /// The answers to requests for a URL, by either scheme; for a path like `/a?b` alone, on all
    /// hosts.
    pub fn url(text: &str) -> Result<Self, Malformed> {
        Ok(Self::bounded(Kind::Url, normal(text)?))
    }

    /// The answers to requests for what begins like this URL, or like this path on all hosts.
    pub fn prefix(text: &str) -> Result<Self, Malformed> {
        Ok(Self::bounded(Kind::Prefix, normal(text)?))
    }

    fn bounded(kind: Kind, mut text: String) -> Self {
        if text.len() <= URL_MAX {
            return Self { kind, text };
        }
        let end = (0..=URL_MAX).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        Self { kind: Kind::Prefix, text }
    }
}

/// A URL as [`Purges::void`] compares it: without its scheme, its path normalised.
fn normal(text: &str) -> Result<String, Malformed> {
    let bad = |why: &dyn fmt::Display| {
        Malformed::new(
            format!("`{}` cannot be asked for: {why}", text.escape_debug()),
            "write a URL like `https://www.example.com/plugins/app.js`, or a path like `/plugins/` \
             for all hosts",
        )
    };
    let text = text.split('#').next().unwrap_or_default();
    let (scheme, rest) = match text.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        _ if text.starts_with('/') && !text.starts_with("//") => {
            return Ok(Target::parse(text).map_err(|error| bad(&error))?.to_string());
        }
        _ => return Err(bad(&"it is neither a URL of http or https nor a path")),
    };
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = Host::parse(authority, scheme).map_err(|error| bad(&error))?;
    let slash = if target.starts_with('/') { "" } else { "/" };
    let target = format!("{slash}{target}");
    let target = Target::parse(&target).map_err(|error| bad(&error))?;
    Ok(format!("//{}{target}", host.as_str()))
}

impl Purges {
    /// Whether nothing was purged.
    pub const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Whether a stored answer is void: to a request for `target` on `host`, by names that the
    /// shell gave it, and asked for at `asked_at`, or last confirmed by a question of then.
    ///
    /// An answer that was on its way when it was purged is void, too. What was asked for after
    /// the last purge costs one comparison; else it is logarithmic in the number of purges for
    /// each name, and linear in that of prefixes.
    pub fn void<'n>(
        &self,
        host: &Host<'_>,
        target: &Target<'_>,
        names: impl IntoIterator<Item = &'n str>,
        asked_at: Timestamp,
    ) -> bool {
        if !self.any_since(asked_at) {
            return false;
        }
        let is_since = |at: Option<Timestamp>| at.is_some_and(|at| asked_at <= at);
        if is_since(self.everything) {
            return true;
        }
        if names.into_iter().any(|name| is_since(self.at(Kind::Name, name))) {
            return true;
        }
        let url = format!("//{}{target}", host.as_str());
        let target = url.get(host.as_str().len() + 2..).unwrap_or_default();
        if [&*url, target].into_iter().any(|url| is_since(self.at(Kind::Url, url))) {
            return true;
        }
        let first = self.lines.partition_point(|(purge, _)| purge.kind < Kind::Prefix);
        self.lines.iter().skip(first).any(|(purge, at)| {
            let of = if purge.text.starts_with("//") { &url } else { target };
            is_since(Some(*at)) && of.starts_with(&*purge.text)
        })
    }

    /// Whether anything was purged since then, so that not all that was asked for by then is good.
    pub fn any_since(&self, asked_at: Timestamp) -> bool {
        self.last.is_some_and(|last| asked_at <= last)
    }

    fn at(&self, kind: Kind, text: &str) -> Option<Timestamp> {
        let at = self.find(kind, text).ok()?;
        self.lines.get(at).map(|(_, at)| *at)
    }

    fn find(&self, kind: Kind, text: &str) -> Result<usize, usize> {
        self.lines.binary_search_by(|(purge, _)| (purge.kind, &*purge.text).cmp(&(kind, text)))
    }

    /// Remembers that this was purged at `at`.
    pub fn add(&mut self, purge: &Purge, at: Timestamp) {
        self.last = self.last.max(Some(at));
        if purge.kind == Kind::Everything {
            return self.forget(at);
        }
        if self.everything.is_some_and(|everything| at <= everything) {
            return;
        }
        match self.find(purge.kind, &purge.text) {
            Ok(place) => {
                if let Some((_, known)) = self.lines.get_mut(place) {
                    *known = at.max(*known);
                }
            }
            Err(place) => self.lines.insert(place, (purge.clone(), at)),
        }
        if self.lines.len() > REMEMBERED_MAX
            && let Some(oldest) = self.lines.iter().map(|(_, at)| *at).min()
        {
            self.forget(oldest);
        }
    }

    /// Remembers what `others` do, too.
    pub fn extend(&mut self, others: &Self) {
        for (purge, at) in &others.lines {
            self.add(purge, *at);
        }
        if let Some(at) = others.everything {
            self.add(&Purge::everything(), at);
        }
    }

    /// Everything until then is void, whatever was purged of it.
    fn forget(&mut self, until: Timestamp) {
        self.everything = self.everything.max(Some(until));
        self.lines.retain(|(_, at)| *at > until);
    }

    /// Writes the document: a line for each purge, `MILLISECONDS KIND TEXT`.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |at: &Timestamp, kind: Kind, what: &str| {
            for part in [&*at.as_millis().to_string(), " ", kind.as_str(), " ", what, "\n"] {
                text.push_str(part);
            }
        };
        if let Some(at) = &self.everything {
            line(at, Kind::Everything, "");
        }
        for (purge, at) in &self.lines {
            line(at, purge.kind, &purge.text);
        }
        text
    }

    /// Reads the document. A program writes it, so it is refused for the first thing that is
    /// wrong.
    pub fn from_text(text: &str) -> Result<Self, BadPurges> {
        let mut purges = Self::default();
        for (at, line) in text.lines().enumerate() {
            purges.read(line).ok_or(BadPurges { line: at + 1 })?;
        }
        Ok(purges)
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let (at, rest) = line.split_once(' ')?;
        let (kind, text) = rest.split_once(' ')?;
        let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let fits = match kind {
            Kind::Everything => text.is_empty(),
            Kind::Name => (1..=URL_MAX).contains(&text.len()) && !text.contains(' '),
            Kind::Url | Kind::Prefix => text.starts_with('/') && text.len() <= URL_MAX,
        };
        let at = Timestamp::from_millis(at.parse().ok().filter(|_| fits)?);
        self.add(&Purge { kind, text: text.into() }, at);
        Some(())
    }
}

impl Kind {
    const ALL: [Self; 4] = [Self::Everything, Self::Name, Self::Url, Self::Prefix];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Name => "name",
            Self::Url => "url",
            Self::Prefix => "prefix",
        }
    }
}

impl fmt::Display for BadPurges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: this is not as Tidegate writes it", self.line)
    }
}

impl core::error::Error for BadPurges {}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const MS: Duration = Duration::from_millis(1);

    fn is_void(purges: &Purges, url: &str, names: &[&str], asked_at: Timestamp) -> bool {
        let (host, target) = url.split_at(url.find('/').unwrap());
        let (host, target) = (Host::parse(host, Scheme::Https), Target::parse(target));
        purges.void(&host.unwrap(), &target.unwrap(), names.iter().copied(), asked_at)
    }

    fn after(purge: Purge) -> Purges {
        let mut purges = Purges::default();
        purges.add(&purge, NOW);
        purges
    }

    #[test]
    fn c4_a_url_voids_its_answers_by_either_scheme_and_no_others() {
        for url in
            ["https://a.example/x/y?z", "http://A.example:80/x/./y?z", "https://a.example/x/y?z#f"]
        {
            let purges = after(Purge::url(url).unwrap());
            assert!(is_void(&purges, "a.example/x/y?z", &[], NOW), "{url}");
            for other in ["a.example/x/y", "a.example/x/y?z1", "a.example/x", "b.example/x/y?z"] {
                assert!(!is_void(&purges, other, &[], NOW), "{other}");
            }
        }
        let purges = after(Purge::url("/x/y?z").unwrap());
        assert!(
            ["a.example", "b.example:81"]
                .iter()
                .all(|host| { is_void(&purges, &format!("{host}/x/y?z"), &[], NOW) })
        );
        assert!(!is_void(&purges, "a.example/x/y", &[], NOW));
    }

    #[test]
    fn c4_a_prefix_voids_what_begins_like_it() {
        let purges = after(Purge::prefix("https://a.example/x/").unwrap());
        assert!(is_void(&purges, "a.example/x/y?z", &[], NOW));
        assert!(!is_void(&purges, "a.example/x", &[], NOW));
        assert!(!is_void(&purges, "b.example/x/y", &[], NOW));
        let on_all_hosts = after(Purge::prefix("/x/").unwrap());
        assert!(is_void(&on_all_hosts, "b.example/x/y", &[], NOW));
        assert!(!is_void(&on_all_hosts, "b.example/y/x/", &[], NOW));
        let of_a_host = after(Purge::prefix("https://a.example").unwrap());
        assert!(is_void(&of_a_host, "a.example/x", &[], NOW));
    }

    #[test]
    fn c4_a_name_voids_all_that_go_by_it_and_everything_voids_all() {
        let purges = after(Purge::name("0a"));
        assert!(is_void(&purges, "a.example/", &["ff", "0a"], NOW));
        assert!(!is_void(&purges, "a.example/", &["0b"], NOW));
        assert!(purges.any_since(NOW) && !purges.any_since(NOW + MS));
        assert!(is_void(&after(Purge::everything()), "a.example/", &[], NOW));
    }

    #[test]
    fn c4_what_was_asked_for_later_is_good_and_what_was_on_its_way_is_void() {
        for purge in [Purge::everything(), Purge::name("0a"), Purge::url("/").unwrap()] {
            let purges = after(purge);
            assert!(is_void(&purges, "a.example/", &["0a"], NOW));
            assert!(!is_void(&purges, "a.example/", &["0a"], NOW + MS));
        }
    }

    #[test]
    fn a_longer_url_than_is_remembered_purges_what_begins_like_it() {
        let long = format!("/{}", "x".repeat(URL_MAX));
        let purges = after(Purge::url(&long).unwrap());
        assert!(is_void(&purges, &format!("a.example{long}"), &[], NOW));
        assert!(is_void(&purges, &format!("a.example{long}?y"), &[], NOW), "rather too much");
        assert!(purges.to_text().len() < URL_MAX + 40);
    }

    #[test]
    fn what_nobody_can_ask_for_is_an_error_with_a_hint() {
        for text in ["", "plugins", "//a.example/", "ftp://a.example/", "https://", "/a b", "/%zz"]
        {
            let bad = Purge::url(text).unwrap_err();
            assert!(bad.message.contains("cannot be asked for: "), "{text}");
            assert!(bad.hint.contains("for all hosts"), "{text}");
        }
    }

    #[test]
    fn the_document_survives_and_anything_else_is_refused() {
        let mut purges = after(Purge::everything());
        let later = NOW + MS;
        for purge in [
            Purge::name("0a1b"),
            Purge::url("https://a.example/x?y").unwrap(),
            Purge::prefix("/x").unwrap(),
        ] {
            purges.add(&purge, later);
        }
        let text = "1795000000000 everything \n1795000000001 name 0a1b\n\
            1795000000001 url //a.example/x?y\n1795000000001 prefix /x\n";
        assert_eq!(purges.to_text(), text);
        assert_eq!(Purges::from_text(text).as_ref(), Ok(&purges));
        assert_eq!(Purges::from_text("").as_ref(), Ok(&Purges::default()));
        for bad in ["x", "1 name", "1 name ", "1 everything x", "1 url x", "-1 name a", "1 other a"]
        {
            let text = format!("{text}{bad}\n");
            assert_eq!(Purges::from_text(&text), Err(BadPurges { line: 5 }), "{bad}");
        }
    }

    #[test]
    fn whoever_takes_over_what_others_know_forgets_nothing() {
        let (mut one, mut other) = (after(Purge::name("a")), after(Purge::name("b")));
        other.add(&Purge::name("a"), NOW + MS);
        let before = one.clone();
        one.extend(&other);
        for (names, at) in [("a", NOW + MS), ("b", NOW)] {
            assert!(is_void(&one, "h/", &[names], at));
        }
        other.extend(&before);
        assert_eq!(one, other);
    }

    #[test]
    fn memory_is_bounded_and_nothing_purged_comes_back() {
        let mut purges = Purges::default();
        let at = |number: usize| NOW + MS * u32::try_from(number).unwrap();
        let all = REMEMBERED_MAX * 2;
        for number in 0..all {
            purges.add(&Purge::name(&number.to_string()), at(number));
        }
        assert_eq!(purges.lines.len(), REMEMBERED_MAX);
        for number in 0..all {
            assert!(is_void(&purges, "h/", &[&number.to_string()], at(number)), "{number}");
        }
        assert!(!is_void(&purges, "h/", &["other"], at(REMEMBERED_MAX)), "no more than needed");
        let again = Purges::from_text(&purges.to_text()).unwrap();
        assert_eq!(again, purges);
    }
}
