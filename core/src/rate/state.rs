//! What a store keeps for a key between two requests: a few bytes, the same in every store.

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
    /// The quota was exceeded, and nothing is allowed before this time.
    Blocked {
        /// When the block ends.
        until: Timestamp,
    },
}

/// Length of the encoded form.
pub const ENCODED_LEN: usize = 13;

const COUNTING_V1: u8 = 1;
const BLOCKED_V1: u8 = 2;

impl State {
    /// The bytes to store: a tag that is also the version, then big-endian numbers.
    pub fn encode(self) -> [u8; ENCODED_LEN] {
        let (tag, time, used) = match self {
            Self::Counting { since, used } => (COUNTING_V1, since, used),
            Self::Blocked { until } => (BLOCKED_V1, until, 0),
        };
        let mut bytes = [0; ENCODED_LEN];
        bytes[0] = tag;
        bytes[1..9].copy_from_slice(&time.as_millis().to_be_bytes());
        bytes[9..].copy_from_slice(&used.to_be_bytes());
        bytes
    }

    /// Reads stored bytes. `None` for what no known version wrote: a store's nonsense is
    /// the shell's to report, never a verdict.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENCODED_LEN] = bytes.try_into().ok()?;
        let time = Timestamp::from_millis(u64::from_be_bytes(bytes[1..9].try_into().ok()?));
        let used = u32::from_be_bytes(bytes[9..].try_into().ok()?);
        match bytes[0] {
            COUNTING_V1 => Some(Self::Counting { since: time, used }),
            BLOCKED_V1 if used == 0 => Some(Self::Blocked { until: time }),
            _ => None,
        }
    }

    /// When this state no longer tells anything, so that a store may forget it.
    pub fn expires(self, window: core::time::Duration) -> Timestamp {
        match self {
            Self::Counting { since, .. } => since + window,
            Self::Blocked { until } => until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_a_store_and_nonsense_does_not() {
        let counting = State::Counting { since: Timestamp::from_millis(u64::MAX - 1), used: 7 };
        let blocked = State::Blocked { until: Timestamp::from_millis(42) };
        for state in [counting, blocked] {
            assert_eq!(State::decode(&state.encode()), Some(state));
        }
        for bytes in [&[][..], &[1; 5], &[9; ENCODED_LEN], &[2; ENCODED_LEN], &[1; ENCODED_LEN + 1]]
        {
            assert_eq!(State::decode(bytes), None, "{bytes:?}");
        }
    }
}
