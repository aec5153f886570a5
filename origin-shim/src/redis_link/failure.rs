//! What can go wrong with Redis.

use std::fmt;
use std::time::Duration;

use redis::RedisError;

use super::link::Link;

/// Why Redis was no help. Displayed, it ends the sentence "Redis …".
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// It does not answer in time.
    TimedOut(Duration),
    /// It cannot be reached, or refuses.
    Refused(RedisError),
    /// What it answers means nothing.
    Nonsense,
    /// Some of a cluster's slots do not answer: so many of all.
    Part(usize, usize),
}

impl Failure {
    /// Whether it is the content of one key alone that is wrong.
    pub(crate) fn is_of_one_key(&self) -> bool {
        match self {
            Self::Nonsense => true,
            Self::Refused(error) => error.code() == Some("WRONGTYPE"),
            Self::TimedOut(_) | Self::Part(..) => false,
        }
    }

    /// Whether `link` is no use behind this. Of a cluster only a part is.
    pub(super) fn breaks(&self, link: &Link) -> bool {
        match (self, link) {
            (Self::Refused(error), Link::One(_)) => {
                // A master that became a replica stays one until somebody looks for the new one.
                error.is_unrecoverable_error() || error.code() == Some("READONLY")
            }
            _ => false,
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Refused(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(timeout) => write!(f, "does not answer within {timeout:?}"),
            Self::Refused(error) => write!(f, "does not do its work ({error})"),
            Self::Nonsense => write!(f, "answers what means nothing"),
            Self::Part(failing, all) => {
                write!(f, "does not answer for {failing} of {all} parts of the cluster")
            }
        }
    }
}
