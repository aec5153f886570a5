//! What a store keeps for a key between two requests: a few bytes, the same in every store.

use core::time::Duration;

use super::sliding_window::{self, Buckets, LOG_MAX, Log};
use super::{Algorithm, Limit};
use crate::time::Timestamp;

/// The state of one key under one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// [`super::fixed_window`]: counting since the first request of a window.
    Counting {
        /// When the window started.
        since: Timestamp,
        /// Requests allowed in it so far.
        used: u32,
    },
    /// [`super::sliding_window`] with a small quota.
    Log(Log),
    /// [`super::sliding_window`] with a large quota.
    Buckets(Buckets),
    /// [`super::gcra`]: when an even pace would allow the next request.
    Paced {
        /// Nanoseconds since the Unix epoch.
        until: u64,
    },
    /// The quota was exceeded, and nothing is allowed before this time.
    Blocked {
        /// When the block ends.
        until: Timestamp,
    },
}

/// The longest encoded form: a full log.
pub const ENCODED_MAX: usize = 1 + 1 + 8 + 4 * (LOG_MAX - 1);

/// The encoded form of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    bytes: [u8; ENCODED_MAX],
    len: usize,
}

// The tag is also the version of what follows.
const COUNTING_V1: u8 = 1;
const BLOCKED_V1: u8 = 2;
const LOG_V1: u8 = 3;
const BUCKETS_V1: u8 = 4;
const PACED_V1: u8 = 5;

impl State {
    /// What says as little of a client as no state: a block that ended long ago.
    pub const NOTHING: Self = Self::Blocked { until: Timestamp::EPOCH };

    /// The bytes to store: a tag, then big-endian numbers.
    pub fn encode(&self) -> Encoded {
        let mut bytes = [0; ENCODED_MAX];
        let len = self.encode_to(&mut bytes).unwrap_or_default();
        Encoded { bytes, len }
    }

    /// Writes the same bytes to the begin of `place`, and says how many; `None` if there are
    /// more, and then nothing is said of what stands there.
    pub fn encode_to(&self, place: &mut [u8]) -> Option<usize> {
        let mut left = place;
        let room = left.len();
        let mut fits = true;
        let mut put =
            |bytes: &[u8]| match core::mem::take(&mut left).split_at_mut_checked(bytes.len()) {
                Some((begin, rest)) => {
                    begin.copy_from_slice(bytes);
                    left = rest;
                }
                None => fits = false,
            };
        match self {
            Self::Counting { since, used } => {
                put(&[COUNTING_V1]);
                put(&since.as_millis().to_be_bytes());
                put(&used.to_be_bytes());
            }
            Self::Blocked { until } => {
                put(&[BLOCKED_V1]);
                put(&until.as_millis().to_be_bytes());
            }
            Self::Log(log) => {
                put(&[LOG_V1]);
                log.encode(put);
            }
            Self::Buckets(buckets) => {
                put(&[BUCKETS_V1]);
                buckets.encode(put);
            }
            Self::Paced { until } => {
                put(&[PACED_V1]);
                put(&until.to_be_bytes());
            }
        }
        fits.then_some(room - left.len())
    }

    /// Reads stored bytes. `None` for what no known version wrote: a store's nonsense is
    /// the shell's to report, never a verdict.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (state, rest) = Self::read(bytes)?;
        rest.is_empty().then_some(state)
    }

    /// The same for bytes that a state begins, whatever stands behind it.
    pub fn decode_first(bytes: &[u8]) -> Option<Self> {
        Self::read(bytes).map(|(state, _)| state)
    }

    fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&tag, rest) = bytes.split_first()?;
        if tag == LOG_V1 {
            return Log::read(rest).map(|(log, rest)| (Self::Log(log), rest));
        }
        let (number, rest) = rest.split_first_chunk()?;
        let number = u64::from_be_bytes(*number);
        match tag {
            COUNTING_V1 => {
                let (used, rest) = rest.split_first_chunk()?;
                let (since, used) = (Timestamp::from_millis(number), u32::from_be_bytes(*used));
                Some((Self::Counting { since, used }, rest))
            }
            BLOCKED_V1 => Some((Self::Blocked { until: Timestamp::from_millis(number) }, rest)),
            BUCKETS_V1 => {
                let since = Timestamp::from_millis(number);
                Buckets::read_counts(since, rest).map(|(kept, rest)| (Self::Buckets(kept), rest))
            }
            PACED_V1 => Some((Self::Paced { until: number }, rest)),
            _ => None,
        }
    }

    /// The length of the longest that `limit` leads to, encoded.
    pub fn longest(limit: &Limit) -> usize {
        match limit.algorithm {
            Algorithm::FixedWindow => 1 + 8 + 4,
            Algorithm::Gcra => 1 + 8,
            Algorithm::SlidingWindow => match sliding_window::logged(limit) {
                Some(requests) => 1 + 1 + 8 + 4 * (requests - 1),
                None => 1 + 8 + 4 + 4,
            },
        }
    }

    /// Since when it tells something: of a block, when that began. Of an even pace nobody knows
    /// more than the last request.
    pub(super) fn begins(&self, limit: &Limit) -> Timestamp {
        match self {
            Self::Counting { since, .. } => *since,
            Self::Log(log) => log.first(),
            Self::Buckets(buckets) => buckets.begins(limit.window),
            Self::Paced { until } => {
                Timestamp::from_millis(until / 1_000_000).before(super::gcra::interval(limit))
            }
            Self::Blocked { until } => {
                let block = limit.block.filter(|block| !block.is_zero());
                until.before(block.unwrap_or(limit.window))
            }
        }
    }

    /// When this state no longer tells anything, so that a store may forget it.
    pub fn expires(&self, window: Duration) -> Timestamp {
        match self {
            Self::Counting { since, .. } => *since + window,
            Self::Blocked { until } => *until,
            Self::Log(log) => log.last() + window,
            Self::Buckets(buckets) => buckets.since() + window + window,
            Self::Paced { until } => Timestamp::from_millis(until.div_ceil(1_000_000)),
        }
    }
}

impl Encoded {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_a_store_and_nonsense_does_not() {
        let counting = State::Counting { since: Timestamp::from_millis(u64::MAX - 1), used: 7 };
        let blocked = State::Blocked { until: Timestamp::from_millis(42) };
        let paced = State::Paced { until: 7 };
        for state in [counting, blocked, paced] {
            assert_eq!(State::decode(state.encode().as_bytes()), Some(state));
        }
        let mut place = [9; 20];
        assert_eq!(counting.encode_to(&mut place), Some(13));
        assert_eq!((&place[..13], &place[13..]), (counting.encode().as_bytes(), &[9; 7][..]));
        assert_eq!(counting.encode_to(&mut place[..12]), None);
        for bytes in [&[][..], &[1; 5], &[9; 13], &[2; 13], &[1; 14], &[5; 8]] {
            assert_eq!(State::decode(bytes), None, "{bytes:?}");
        }
    }
}
