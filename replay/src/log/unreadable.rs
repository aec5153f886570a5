//! Lines that could not be read: counted by reason, the first few shown.

use serde::Serialize;

/// Lines that are shown of each reason.
const SHOWN: usize = 3;
/// Characters of a line that are shown.
const SHOWN_LENGTH: usize = 120;

/// Why a line could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// There is nothing in it.
    Empty,
    /// It is longer than 64 KiB.
    TooLong,
    /// It ends too early, or something stands in it that its format does not have there.
    Malformed,
    /// It is no JSON object.
    Json,
    /// When the request came is missing, or no time.
    Time,
    /// There is no request in it: the client had sent none.
    Request,
    /// The status is missing, or none.
    Status,
    /// Bytes that are no UTF-8 stand where text is needed.
    Utf8,
    /// It says of itself that it is about something else than a request.
    NotARequest,
}

impl Why {
    const ALL: [Self; 9] = [
        Self::Empty,
        Self::TooLong,
        Self::Malformed,
        Self::Json,
        Self::Time,
        Self::Request,
        Self::Status,
        Self::Utf8,
        Self::NotARequest,
    ];

    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "longer than 64 KiB",
            Self::Malformed => "not of the log's format",
            Self::Json => "no JSON object",
            Self::Time => "no time that can be read",
            Self::Request => "no request",
            Self::Status => "no status",
            Self::Utf8 => "not UTF-8",
            Self::NotARequest => "about something else than a request",
        }
    }
}

/// The lines of all logs that could not be read.
#[derive(Clone, Debug, Default)]
pub struct Unreadable {
    /// Lines in all, those included that could be read.
    pub lines: u64,
    counts: [u64; Why::ALL.len()],
    shown: Vec<(Why, Shown)>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// `file:line`.
    pub place: String,
    /// Its begin.
    pub line: String,
}

/// A reason, and the lines with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Why they could not be read.
    pub why: &'static str,
    /// How many there were.
    pub lines: u64,
    /// The first of them.
    pub first: Vec<Shown>,
}

impl Unreadable {
    pub(super) fn note(&mut self, why: Why, name: &str, number: u64, line: &[u8]) {
        self.counts[why as usize] += 1;
        if self.counts[why as usize] <= SHOWN as u64 {
            let line = String::from_utf8_lossy(&line[..line.len().min(4 * SHOWN_LENGTH)]);
            let place = format!("{name}:{number}");
            let line = line.chars().take(SHOWN_LENGTH).collect();
            self.shown.push((why, Shown { place, line }));
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// By reason, the commonest first.
    pub fn told(&self) -> Vec<Reason> {
        let counted = Why::ALL.into_iter().zip(self.counts).filter(|(_, lines)| *lines > 0);
        let of = |why: Why| self.shown.iter().filter(move |(shown, _)| *shown == why);
        let mut told: Vec<Reason> = counted
            .map(|(why, lines)| Reason {
                why: why.as_str(),
                lines,
                first: of(why).map(|(_, shown)| shown.clone()).collect(),
            })
            .collect();
        told.sort_by_key(|reason| std::cmp::Reverse(reason.lines));
        told
    }
}
