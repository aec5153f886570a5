//! Access logs, line by line: whatever format, plain or compressed, each line read in place.

mod clf;
mod format;
mod json;
mod lines;
mod source;
mod time;
mod unreadable;

use std::io::Read;

pub use format::{Format, UnknownFormat};
pub use source::{Source, open};
pub use unreadable::{Reason, Shown, Unreadable, Why};

use crate::asked::Asked;
use lines::{Line, Lines};

/// Why a log could not be read to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogError {
    /// The source failed.
    Io(std::io::Error),
    /// It has a format that nobody knows here.
    UnknownFormat(UnknownFormat),
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::UnknownFormat(unknown) => write!(f, "{unknown}"),
        }
    }
}

impl std::error::Error for LogError {}

impl From<std::io::Error> for LogError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads one line of a log of this format, and hands on what it says.
pub fn parse<T>(format: Format, line: &[u8], then: impl FnOnce(&Asked<'_>) -> T) -> Result<T, Why> {
    match format {
        Format::Common | Format::Combined => clf::parse(line, then),
        Format::Nginx | Format::Caddy | Format::Cloudflare => json::parse(format, line, then),
    }
}

/// Reads a log to its end and hands on each request; `name` is what the log is called where a line of it
/// cannot be read. Its format is found out by its first lines, unless it is given.
pub fn read(
    source: impl Read,
    name: &str,
    format: Option<Format>,
    unreadable: &mut Unreadable,
    mut then: impl FnMut(&Asked<'_>),
) -> Result<(), LogError> {
    let mut lines = Lines::new(source);
    let format = match format {
        Some(format) => format,
        None => match Format::detect(lines.first()?) {
            Ok(Some(format)) => format,
            // Not a line in it.
            Ok(None) => return Ok(()),
            Err(unknown) => return Err(LogError::UnknownFormat(unknown)),
        },
    };
    let mut number = 0;
    while let Some(line) = lines.next()? {
        number += 1;
        let (line, read) = match line {
            Line::Whole(line) => (line, parse_line(format, line, &mut then)),
            Line::TooLong(begin) => (begin, Err(Why::TooLong)),
        };
        match read {
            Ok(()) => unreadable.lines += 1,
            Err(why) => {
                unreadable.lines += 1;
                unreadable.note(why, name, number, line);
            }
        }
    }
    Ok(())
}

fn parse_line(format: Format, line: &[u8], then: &mut impl FnMut(&Asked<'_>)) -> Result<(), Why> {
    match line.trim_ascii().is_empty() {
        true => Err(Why::Empty),
        false => parse(format, line, then),
    }
}
