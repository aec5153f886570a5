//! What the process says of itself: that it starts, that a policy is refused, that a server is down.
//! Lines for people, or of JSON for whatever collects them, on standard error; that it listens, on
//! standard output.
//!
//! Requests have a log of their own, and so have changes by whoever operates the shim; both are
//! JSON always.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the log")]

use std::fmt::{self, Display};
use std::panic;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value, json};
use tidegate_core::Timestamp;
use tidegate_core::time::rfc3339::Rfc3339;

use crate::clock;

/// Whether lines are of JSON: of the process, like its standard error.
static JSON: AtomicBool = AtomicBool::new(false);

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: `tidegate: …`.
    #[default]
    Text,
    /// An object of JSON in each line.
    Json,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Info,
    /// It goes on, and somebody should look.
    Warning,
    /// Something that was asked for does not happen.
    Error,
}

/// More that a line of JSON says: what people read in the message.
pub type Field<'a> = (&'static str, &'a dyn Display);

/// Writes lines in this format from now on, and what a thread says that panics, too.
pub fn write_as(format: Format) {
    JSON.store(format == Format::Json, Ordering::Relaxed);
    if format == Format::Json {
        panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let why = panic.payload_as_str().unwrap_or("a panic");
            error(why, &[("place", &place)]);
        }));
    }
}

/// Says that something is as it should be.
pub fn info(message: impl Display, fields: &[Field<'_>]) {
    say(Level::Info, message, fields);
}

/// Says that somebody should look.
pub fn warning(message: impl Display, fields: &[Field<'_>]) {
    say(Level::Warning, message, fields);
}

/// Says that something that was asked for does not happen.
pub fn error(message: impl Display, fields: &[Field<'_>]) {
    say(Level::Error, message, fields);
}

/// Passes on what has been put into words for people already: lines, or nothing.
pub fn report(level: Level, lines: impl Display) {
    let lines = lines.to_string();
    match (lines.trim_end(), is_json()) {
        ("", _) => {}
        (lines, false) => eprintln!("{lines}"),
        (lines, true) => eprintln!("{}", line(clock::now(), level, lines, &[])),
    }
}

/// Says on standard output where it listens: whoever started it may wait for that.
pub fn listening(message: impl Display, fields: &[Field<'_>]) {
    match is_json() {
        false => println!("tidegate: {message}"),
        true => println!("{}", line(clock::now(), Level::Info, &message.to_string(), fields)),
    }
}

fn say(level: Level, message: impl Display, fields: &[Field<'_>]) {
    match is_json() {
        false => eprintln!("tidegate: {message}"),
        true => eprintln!("{}", line(clock::now(), level, &message.to_string(), fields)),
    }
}

fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

fn line(at: Timestamp, level: Level, message: &str, fields: &[Field<'_>]) -> Value {
    let more = fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value.to_string())));
    let mut line: Map<String, Value> = more.collect();
    line.insert("log".into(), json!("process"));
    line.insert("time".into(), json!(Rfc3339(at).to_string()));
    line.insert("level".into(), json!(level.as_str()));
    // What people are told begins with the name of the program.
    let message = message.strip_prefix("tidegate: ").unwrap_or(message);
    line.insert("message".into(), json!(message.replace("\ntidegate: ", "\n")));
    Value::Object(line)
}

impl Level {
    /// The word in a line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFormat),
        }
    }
}

/// A word that is none of the formats'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownFormat;

impl Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is `text` or `json`")
    }
}

impl std::error::Error for UnknownFormat {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_a_line_is_one_object_whatever_is_in_it() {
        let at = Timestamp::from_secs(1_795_000_000);
        let message = "tidegate: \"a\"\n= hint: b\ntidegate: the policy in force stays\u{1}";
        let line = line(at, Level::Error, message, &[("server", &"[::1]:1"), ("level", &"none")]);
        assert_eq!(line.to_string().lines().count(), 1);
        let read: Value = serde_json::from_str(&line.to_string()).unwrap();
        let expected = json!({
            "log": "process",
            "time": "2026-11-18T11:06:40Z",
            "level": "error",
            "message": "\"a\"\n= hint: b\nthe policy in force stays\u{1}",
            "server": "[::1]:1",
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn a_format_is_one_of_two() {
        assert_eq!("text".parse(), Ok(Format::Text));
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("JSON".parse::<Format>(), Err(UnknownFormat));
    }
}
