//! What can go wrong with a store of limits.

use std::fmt;
use std::time::Duration;

use worker::js_sys::Promise;

use crate::task::Settled;

/// So long a request waits for a store at most. A Durable Object that is new, on another
/// continent, takes a few hundred milliseconds.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

/// Why a store was no help. Displayed, it ends the sentence "The store …".
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It does not answer in time.
    TimedOut,
    /// One object has too much to do, by the requests of its own client: no other is
    /// concerned.
    Overloaded,
    /// It throws.
    Threw(String),
    /// What it answers means nothing.
    Nonsense,
}

impl Failure {
    /// What a question of `platform.js` to a store comes to; it is never rejected.
    pub(crate) async fn or_said(asking: Promise) -> Result<String, Self> {
        let answer = Settled::from(asking).await.ok().and_then(|answer| answer.as_string());
        Self::or(&answer.unwrap_or_default()).map(String::from)
    }

    /// The answer of `platform.js` without its mark, if it is no failure.
    fn or(answer: &str) -> Result<&str, Self> {
        match answer.split_at_checked(1) {
            Some(("=", said)) => Ok(said),
            Some(("!", "late")) => Err(Self::TimedOut),
            Some(("!", "overloaded")) => Err(Self::Overloaded),
            Some(("!", why)) => Err(Self::Threw(why.into())),
            _ => Err(Self::Nonsense),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => write!(f, "does not answer within {} s", TIMEOUT.as_secs()),
            Self::Overloaded => f.write_str("has too much to do for one client"),
            Self::Threw(why) => write!(f, "does not do its work ({why})"),
            Self::Nonsense => f.write_str("answers what means nothing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_what_is_no_answer_is_a_failure() {
        assert_eq!(Failure::or("=yes"), Ok("yes"));
        assert_eq!(Failure::or("="), Ok(""));
        assert_eq!(Failure::or("!late"), Err(Failure::TimedOut));
        assert_eq!(Failure::or("!overloaded"), Err(Failure::Overloaded));
        assert_eq!(Failure::or("!é"), Err(Failure::Threw("é".into())));
        assert_eq!(Failure::or(""), Err(Failure::Nonsense));
        assert_eq!(Failure::or("é"), Err(Failure::Nonsense));
    }
}
