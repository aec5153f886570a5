//! What limits would refuse that are only rehearsed (`dry_run`): counted, and said once in a
//! while, since a line for each request would cost more than the requests.

use std::cell::RefCell;
use std::time::Duration;

use tidegate_core::Timestamp;

/// Between two lines on one limit.
const EVERY: Duration = Duration::from_secs(60);

thread_local! {
    static COUNTS: RefCell<Rehearsals> = RefCell::default();
}

/// As many as the policy has limits.
#[derive(Default)]
struct Rehearsals(Vec<Count>);

struct Count {
    limit: String,
    requests: u64,
    said: Option<Timestamp>,
}

/// Counts a request that `limit` would have refused. How many those are in this isolate since it
/// was said last, if it is time to say it.
pub(crate) fn count(limit: &str, now: Timestamp) -> Option<u64> {
    COUNTS.with_borrow_mut(|counts| counts.count(limit, now))
}

impl Rehearsals {
    fn count(&mut self, limit: &str, now: Timestamp) -> Option<u64> {
        if self.0.iter().all(|count| count.limit != limit) {
            self.0.push(Count { limit: limit.into(), requests: 0, said: None });
        }
        let count = self.0.iter_mut().find(|count| count.limit == limit)?;
        count.requests += 1;
        if count.said.is_some_and(|said| now < said + EVERY) {
            return None;
        }
        count.said = Some(now);
        Some(std::mem::take(&mut count.requests))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r9_a_rehearsed_limit_is_reported_at_once_and_then_with_its_count() {
        let mut counts = Rehearsals::default();
        let start = Timestamp::from_secs(1_795_000_000);
        assert_eq!(counts.count("a", start), Some(1));
        assert!((0..1000).all(|_| counts.count("a", start).is_none()));
        assert_eq!(counts.count("b", start), Some(1));
        assert_eq!(
            (counts.count("a", start + EVERY), counts.count("a", start)),
            (Some(1001), None)
        );
    }
}
