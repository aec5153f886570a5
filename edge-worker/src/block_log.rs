//! A line of JSON for each block that begins: the only list there is of who is blocked, since
//! the platform does not tell which Durable Objects there are.

use std::cell::Cell;
use std::time::Duration;

use tidegate_core::Timestamp;
use tidegate_core::rate::{Admission, Limit, LimitKey, State};
use worker::console_log;

/// So many lines of an isolate at most in [`SPAN`]: a flood from many clients must not become a
/// flood of lines.
const LINES_MAX: u32 = 100;
const SPAN: Duration = Duration::from_secs(60);

thread_local! {
    static LINES: Cell<Lines> = const { Cell::new(Lines { since: Timestamp::EPOCH, count: 0 }) };
}

#[derive(Clone, Copy)]
struct Lines {
    since: Timestamp,
    count: u32,
}

/// Says so if the block of the client `key` under `limit` begins with this verdict; `before` is
/// what was known of it.
pub(crate) fn note(
    limit: &Limit,
    key: &LimitKey,
    before: Option<State>,
    says: &Admission,
    now: Timestamp,
) {
    let Some(until) = says.new_block(before, now) else { return };
    let mut lines = LINES.get();
    let count = lines.add(now);
    LINES.set(lines);
    if count < LINES_MAX {
        console_log!("{}", line(limit, key, until.since(now)));
    } else if count == LINES_MAX {
        console_log!(r#"{{"log":"block","more":true}}"#);
    }
}

fn line(limit: &Limit, key: &LimitKey, block: Duration) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    format!(
        r#"{{"log":"block","limit":{},"client":{},"seconds":{},"dry_run":{}}}"#,
        quoted(&limit.name),
        quoted(&key.to_string()),
        block.as_secs(),
        limit.dry_run,
    )
}

impl Lines {
    /// Counts one more; how many there were before it.
    fn add(&mut self, now: Timestamp) -> u32 {
        if now >= self.since + SPAN || now < self.since {
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::ClientFacts;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    #[test]
    fn a_line_is_json_whatever_a_client_is_called() {
        let limit = Limit::new("a", std::num::NonZeroU32::MIN, SPAN);
        let client = ClientFacts { user: Some("a\"da\n"), ..ClientFacts::default() };
        let key = LimitKey::of(&limit, &client, &[("", ""); 0]);
        let line: serde_json::Value = serde_json::from_str(&line(&limit, &key, SPAN)).unwrap();
        assert_eq!(line["client"], "user:a\"da\n");
        assert_eq!(line["seconds"], 60);
    }

    #[test]
    fn lines_are_counted_anew_in_each_span() {
        let mut lines = Lines { since: Timestamp::EPOCH, count: 0 };
        assert_eq!([NOW, NOW, NOW + SPAN, NOW].map(|now| lines.add(now)), [0, 1, 0, 0]);
    }
}
