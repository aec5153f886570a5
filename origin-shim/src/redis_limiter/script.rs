//! The script that counts, and what it answers.

use redis::{Cmd, Value};
use tidegate_core::Timestamp;
use tidegate_core::rate::{Numbers, State};

use crate::redis_link::{Digest, Failure, Link};

/// By which clock Redis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// By its own, so that all shims count by the same.
    Server,
    /// By the time that each question brings along, and nothing is forgotten in between: for
    /// tests, which set it.
    Told,
}

/// The script, with its clock.
#[derive(Debug)]
pub(super) struct Script {
    clock: Clock,
    text: String,
    /// What Redis knows it by.
    hash: String,
}

/// What Redis knew of a client, and what time it was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) state: Option<State>,
    pub(super) now: Timestamp,
}

const ADMIT: &str = include_str!("admit.lua");

const SERVER_CLOCK: &str = "\
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function lifetime(span)
  return span
end
";

const TOLD_CLOCK: &str = "\
local function clock()
  return tonumber(ARGV[10])
end
local function lifetime()
  return 3600000
end
";

impl Script {
    pub(super) fn new(clock: Clock) -> Self {
        let before = match clock {
            Clock::Server => SERVER_CLOCK,
            Clock::Told => TOLD_CLOCK,
        };
        let text = [before, ADMIT].concat();
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { clock, text, hash }
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Counts `take` requests of the client at `key`: one round trip, and once after a start of
    /// the server a second one that brings the script along.
    pub(super) async fn ask(
        &self,
        link: &Link,
        digest: Digest,
        key: &str,
        numbers: &Numbers,
        take: u32,
        now: Timestamp,
    ) -> Result<Known, Failure> {
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(1).arg(key).arg(numbers.algorithm);
            for number in [
                numbers.quota,
                numbers.window,
                numbers.block,
                numbers.longest_block,
                numbers.pace,
                numbers.lead,
                numbers.longest_lead,
                take.into(),
            ] {
                command.arg(number);
            }
            if self.clock == Clock::Told {
                command.arg(now.as_millis());
            }
            command
        };
        let by_hash: Cmd = command("EVALSHA", &self.hash);
        let answer = match link.ask(digest, &by_hash).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                link.ask(digest, &command("EVAL", &self.text)).await
            }
            answer => answer,
        };
        Known::read(&answer?).ok_or(Failure::Nonsense)
    }
}

impl Known {
    fn read(answer: &Value) -> Option<Self> {
        let Value::Array(parts) = answer else { return None };
        let [Value::Int(now), state] = &**parts else { return None };
        let state = match state {
            Value::Nil => None,
            Value::BulkString(bytes) => Some(State::decode(bytes)?),
            _ => return None,
        };
        Some(Self { state, now: Timestamp::from_millis(u64::try_from(*now).ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_no_knowledge() {
        let state = State::Paced { until: 7 };
        let bytes = |bytes: &[u8]| Value::BulkString(bytes.to_vec());
        let known = Value::Array(vec![Value::Int(5), bytes(state.encode().as_bytes())]);
        let now = Timestamp::from_millis(5);
        assert_eq!(Known::read(&known), Some(Known { state: Some(state), now }));
        let nothing = Value::Array(vec![Value::Int(5), Value::Nil]);
        assert_eq!(Known::read(&nothing), Some(Known { state: None, now }));
        for nonsense in [
            Value::Nil,
            Value::Okay,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(-1), Value::Nil]),
            Value::Array(vec![Value::Int(5), bytes(b"")]),
            Value::Array(vec![Value::Int(5), bytes(b"hello")]),
            Value::Array(vec![Value::Int(5), Value::Int(5)]),
        ] {
            assert_eq!(Known::read(&nonsense), None, "{nonsense:?}");
        }
    }
}
