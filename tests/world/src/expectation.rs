//! What a case expects, compared with what was seen, whoever was asked.
//!
//! A line of `gets` or `sees` is a status (`304`), a request line (`GET /a`), a body (`> text`;
//! `>` for none), a field with all its values (`Name: value`), one that must not be there
//! (`no Name`), or a part of one (`Name ~ text`, `Name !~ text`).

use serde::{Deserialize, Serialize};

use crate::case::Ask;
use crate::message::{Head, Request, Response, Terms};

/// What came of one question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Seen {
    /// What the client got.
    pub answer: Response,
    /// What the origin was asked, in order.
    pub asked: Vec<Request>,
}

/// How exactly time can be told.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// To the second.
    Virtual,
    /// As a real program on a busy machine tells it.
    Real,
}

impl Clock {
    fn agree(self, expected: &str, found: &str) -> bool {
        const SLACK: u64 = 3;
        match (self, expected.parse::<i64>(), found.parse::<i64>()) {
            (Self::Real, Ok(expected), Ok(found)) => expected.abs_diff(found) <= SLACK,
            _ => expected == found,
        }
    }
}

/// Everything in which `seen` differs from what `ask` expects, a line each.
pub fn differences(ask: &Ask, seen: &Seen, terms: &Terms, clock: Clock) -> Vec<String> {
    let mut found = Vec::new();
    let due = ask.times();
    if seen.asked.len() != due {
        found.push(format!("the origin was asked {} times, not {due}", seen.asked.len()));
    }
    if let Some(difference) = cache_status(&ask.then, &seen.answer.head, clock) {
        found.push(difference);
    }
    for line in &ask.gets {
        let Response { status, head, body } = &seen.answer;
        let first = status.to_string();
        found.extend(
            line_differs(&terms.fill(line), &first, head, body, clock)
                .map(|d| format!("client: {d}")),
        );
    }
    for (lines, asked) in [&ask.sees, &ask.sees_again].into_iter().zip(&seen.asked) {
        let Request { method, target, head, body } = asked;
        let first = format!("{method} {target}");
        for line in lines {
            found.extend(
                line_differs(&terms.fill(line), &first, head, body, clock)
                    .map(|d| format!("origin: {d}")),
            );
        }
    }
    found.extend(laws(&seen.answer));
    found
}

/// What holds for every answer, whatever a case says.
fn laws(answer: &Response) -> Option<String> {
    let bad = |(_, value): &&(String, String)| value.contains(['\r', '\n', '\0']);
    if let Some((name, value)) = answer.head.0.iter().find(bad) {
        return Some(format!("a field that splits: {name}: {value:?}"));
    }
    let is_hit = answer.head.joined("cache-status").is_some_and(|status| {
        status.rsplit(", ").next().is_some_and(|member| member.contains("; hit"))
    });
    // RFC 9111 §5.1.
    (is_hit && answer.head.joined("age").is_none())
        .then(|| "an answer from the cache without Age".to_owned())
}

fn line_differs(line: &str, first: &str, head: &Head, body: &str, clock: Clock) -> Option<String> {
    if let Some(expected) = line.strip_prefix('>') {
        let expected = expected.strip_prefix(' ').unwrap_or(expected);
        return (body != expected).then(|| format!("body {body:?}, not {expected:?}"));
    }
    if let Some(name) = line.strip_prefix("no ") {
        return head.joined(name).map(|value| format!("{name}: {value}, which must not be there"));
    }
    for (sign, wanted) in [(" !~ ", false), (" ~ ", true)] {
        if let Some((name, part)) = line.split_once(sign) {
            let value = head.joined(name).unwrap_or_default();
            return (value.contains(part) != wanted)
                .then(|| format!("{name}: {value}; expected {line}"));
        }
    }
    match line.split_once(':').filter(|(name, _)| !name.contains([' ', '/'])) {
        Some((name, expected)) => {
            let (found, expected) = (head.joined(name), expected.trim());
            let agree =
                found.as_deref().is_some_and(|found| match name.eq_ignore_ascii_case("age") {
                    true => clock.agree(expected, found),
                    false => expected == found,
                });
            (!agree).then(|| {
                format!("{name}: {}, not {expected}", found.as_deref().unwrap_or("(absent)"))
            })
        }
        None => (line != first).then(|| format!("{first}, not {line}")),
    }
}

/// Compares the last member of Cache-Status, which is this hop's.
fn cache_status(expected: &str, head: &Head, clock: Clock) -> Option<String> {
    let said = head.joined("cache-status").unwrap_or_default();
    let member = said.rsplit(", ").next().unwrap_or_default();
    let found: Vec<&str> = member.split(';').skip(1).map(str::trim).collect();
    let expected_parameters: Vec<&str> = expected.split(';').map(str::trim).collect();
    let value = |name: &str| found.iter().find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
    let holds = |parameter: &&str| match parameter.split_once('=') {
        _ if *parameter == "none" => {
            !said.is_empty() && !found.contains(&"hit") && value("fwd").is_none()
        }
        // A hit after the end of freshness.
        _ if *parameter == "stale" => {
            found.contains(&"hit")
                && value("ttl").is_some_and(|ttl| ttl.starts_with('-') || ttl == "0")
        }
        Some(("ttl", ttl)) => value("ttl").is_some_and(|found| clock.agree(ttl, found)),
        _ => found.contains(parameter),
    };
    let differs = !expected_parameters.iter().all(holds)
        || found.contains(&"stored") != expected_parameters.contains(&"stored");
    differs.then(|| format!("Cache-Status {member:?}, not {expected:?}"))
}
