//! Messages as the lines of a case spell them.

use serde::{Deserialize, Serialize};
use tidegate_core::headers::FieldsMut;
use tidegate_core::headers::http_date::HttpDate;
use tidegate_core::{Fields, Timestamp};

use crate::case::{Ask, Case, Tier};

/// A header section: lower-case names with their values, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Head(pub Vec<(String, String)>);

/// A request, as a client sends it or an origin sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The header section.
    pub head: Head,
    /// The body.
    pub body: String,
}

/// An answer, as an origin gives it or a client gets it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header section.
    pub head: Head,
    /// The body.
    pub body: String,
}

/// What an origin does with a question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Script {
    /// It answers.
    Answers(Response),
    /// Nobody is there.
    Unreachable,
    /// It takes the question and never answers.
    Silent,
}

/// What the placeholders in a case's lines stand for.
#[derive(Clone, Debug)]
pub struct Terms {
    host: String,
    other: String,
    cache: &'static str,
    start: Timestamp,
}

impl Terms {
    /// Those of `case` on `tier`, when it begins at `start`, in seconds since the epoch.
    pub fn of(case: &Case, tier: Tier, start: u64) -> Self {
        let (start, tier) = (Timestamp::from_secs(start), tidegate_core::Tier::from(tier));
        Self { host: case.host(), other: case.other_host(), cache: tier.cache_name(), start }
    }

    /// The line with its placeholders filled in.
    pub fn fill(&self, line: &str) -> String {
        let mut filled = String::new();
        let mut rest = line;
        while let Some((before, behind)) = rest.split_once('<') {
            filled.push_str(before);
            let known =
                behind.split_once('>').and_then(|(name, rest)| Some((self.term(name)?, rest)));
            match known {
                Some((text, behind)) => {
                    filled.push_str(&text);
                    rest = behind;
                }
                None => {
                    filled.push('<');
                    rest = behind;
                }
            }
        }
        filled + rest
    }

    fn term(&self, name: &str) -> Option<String> {
        match name {
            "host" => return Some(self.host.clone()),
            "HOST" => return Some(self.host.to_ascii_uppercase()),
            "other" => return Some(self.other.clone()),
            "cache" => return Some(self.cache.to_owned()),
            "8000" => return Some("x".repeat(8000)),
            "long" => return Some("x".repeat(tidegate_core::target::MAX_LEN)),
            _ => {}
        }
        let (offset, format) = name.split_once(' ').unwrap_or((name, "imf"));
        let seconds: i64 = offset.strip_suffix('s')?.parse().ok()?;
        let at = self.start.as_secs().saturating_add_signed(seconds);
        date(Timestamp::from_secs(at), format)
    }
}

/// A date in one of the formats of RFC 9110 §5.6.7.
fn date(at: Timestamp, format: &str) -> Option<String> {
    let imf = HttpDate(at).to_string();
    let parts: Vec<&str> = imf.split([' ', ',']).filter(|part| !part.is_empty()).collect();
    let [weekday, day, month, year, clock, _] = parts[..] else { return None };
    match format {
        "imf" => Some(imf),
        "rfc850" => {
            const DAYS: [&str; 7] =
                ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
            let long = DAYS.into_iter().find(|long| long.starts_with(weekday))?;
            Some(format!("{long}, {day}-{month}-{} {clock} GMT", &year[2..]))
        }
        "asctime" => {
            let day = day.trim_start_matches('0');
            Some(format!("{weekday} {month} {day:>2} {clock} {year}"))
        }
        _ => None,
    }
}

impl Ask {
    /// The request.
    pub fn request(&self, terms: &Terms) -> Request {
        let mut lines = self.ask.iter();
        let first = lines.next().map(|line| terms.fill(line)).unwrap_or_default();
        let (method, target) = first.split_once(' ').unwrap_or((&first, "/"));
        let (mut head, body) = read(lines, terms);
        if head.first("host").is_none() {
            head.0.insert(0, ("host".into(), terms.host.clone()));
        }
        if !body.is_empty() && head.first("content-length").is_none() {
            head.0.push(("content-length".into(), body.len().to_string()));
        }
        Request { method: method.into(), target: target.into(), head, body }
    }

    /// What the origin does, time by time.
    pub fn script(&self, terms: &Terms) -> Vec<Script> {
        [&self.origin, &self.again].into_iter().filter_map(|lines| script(lines, terms)).collect()
    }

    /// How many times the origin is to be asked.
    pub fn times(&self) -> usize {
        usize::from(!self.origin.is_empty()) + usize::from(!self.again.is_empty())
    }
}

fn script(lines: &[String], terms: &Terms) -> Option<Script> {
    let mut lines = lines.iter().peekable();
    match lines.peek()?.as_str() {
        "unreachable" => return Some(Script::Unreachable),
        "silent" => return Some(Script::Silent),
        _ => {}
    }
    let status = match lines.peek().and_then(|line| line.parse().ok()) {
        Some(status) => {
            lines.next();
            status
        }
        None => 200,
    };
    let (head, body) = read(lines, terms);
    Some(Script::Answers(Response { status, head, body }))
}

fn read<'a>(lines: impl Iterator<Item = &'a String>, terms: &Terms) -> (Head, String) {
    let (mut head, mut body) = (Head::default(), String::new());
    for line in lines {
        let line = terms.fill(line);
        match (line.strip_prefix("> "), line.split_once(':')) {
            (Some(text), _) => body.push_str(text),
            (None, Some((name, value))) => {
                head.0.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).into()));
            }
            (None, None) => head.0.push((line.to_ascii_lowercase(), String::new())),
        }
    }
    (head, body)
}

impl Head {
    /// All values of a field, joined; `None` when it is not there.
    pub fn joined(&self, name: &str) -> Option<String> {
        let name = name.to_ascii_lowercase();
        let values: Vec<&str> =
            self.0.iter().filter(|(n, _)| *n == name).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Puts the lines of `update` in place of their namesakes.
    pub(crate) fn overwrite(&mut self, update: &Self, but: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| but(name) || update.first(name).is_none());
        self.0.extend(update.0.iter().filter(|(name, _)| !but(name)).cloned());
    }
}

impl Fields for Head {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.lines()
    }
}

impl FieldsMut for Head {
    fn set(&mut self, name: &'static str, value: &str) {
        self.set_named(name, value);
    }

    fn set_named(&mut self, name: &str, value: &str) {
        self.0.retain(|(n, _)| n != name);
        self.0.push((name.into(), value.into()));
    }

    fn append(&mut self, name: &'static str, value: &str) {
        self.0.push((name.into(), value.into()));
    }

    fn remove(&mut self, name: &'static str) {
        self.0.retain(|(n, _)| n != name);
    }
}
