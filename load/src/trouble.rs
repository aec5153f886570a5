//! What can go wrong with a request.

use std::error::Error;
use std::io;

/// Why a request has no answer as it should be; a refusal by a limit (429) is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// No answer in time.
    TimeOut,
    /// Nobody listens.
    Refused,
    /// The connection ended, or the answer was cut short.
    Reset,
    /// Another failure of the connection.
    Broken,
    /// The server says that the request is wrong (4xx, but for 429).
    Status4xx,
    /// The server says that it failed.
    Status5xx,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::TimeOut, Self::Refused, Self::Reset, Self::Broken, Self::Status4xx, Self::Status5xx];

    /// In a word or two.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TimeOut => "time-out",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Broken => "broken",
            Self::Status4xx => "4xx",
            Self::Status5xx => "5xx",
        }
    }

    /// That of an answer with this status, if it is one.
    #[must_use]
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            429 => None,
            400..500 => Some(Self::Status4xx),
            500.. => Some(Self::Status5xx),
            _ => None,
        }
    }

    /// That of an exchange which failed.
    #[must_use]
    pub fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimeOut;
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                match error.kind() {
                    io::ErrorKind::ConnectionRefused => return Self::Refused,
                    io::ErrorKind::TimedOut => return Self::TimeOut,
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof => return Self::Reset,
                    _ => {}
                }
            }
            cause = error.source();
        }
        // What else ends a body or a head too early is said by no kind of I/O.
        if error.is_body() || error.is_decode() || error.is_request() {
            Self::Reset
        } else {
            Self::Broken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_a_limit_is_no_trouble() {
        assert_eq!(Trouble::of_status(429), None);
        assert_eq!(Trouble::of_status(304), None);
        assert_eq!(Trouble::of_status(404), Some(Trouble::Status4xx));
        assert_eq!(Trouble::of_status(504), Some(Trouble::Status5xx));
    }
}
