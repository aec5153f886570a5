//! What a limiter object stores.

use tidegate_core::Timestamp;
use tidegate_core::rate::State;

/// The state of a client, and until when it tells anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) state: State,
    pub(super) expires: Timestamp,
}

impl Record {
    /// The state's own bytes, then the time.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.state.encode().as_bytes().to_vec();
        bytes.extend_from_slice(&self.expires.as_millis().to_be_bytes());
        bytes
    }

    /// `None` for what no known version wrote: such a client starts anew.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (state, expires) = bytes.split_last_chunk()?;
        let expires = Timestamp::from_millis(u64::from_be_bytes(*expires));
        Some(Self { state: State::decode(state)?, expires })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_storage_and_nonsense_does_not() {
        let until = Timestamp::from_millis(7);
        let record = Record { state: State::Blocked { until }, expires: until };
        assert_eq!(Record::decode(&record.encode()), Some(record));
        assert_eq!(Record::decode(&[]), None);
        assert_eq!(Record::decode(&[0; 21]), None);
    }
}
