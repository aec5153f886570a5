//! Whose turn it is to refresh a stale answer: one request's of this isolate, so that a
//! popular answer that grows stale asks the origin once and not once for each reader.

use std::cell::RefCell;
use std::time::Duration;

use tidegate_core::{CacheKey, Timestamp};

/// How long a turn lasts at most. The platform may end a request without a word, and half a
/// minute behind the answer it always does; then it is another request's turn.
const LONGEST: Duration = Duration::from_secs(30);

thread_local! {
    /// What is being refreshed: a few keys at a time, so a list finds them soonest.
    static TURNS: RefCell<Vec<Taken>> = RefCell::default();
}

#[derive(Clone, PartialEq)]
struct Taken {
    key: Box<[u8]>,
    since: Timestamp,
}

/// The right to refresh one answer; over when dropped.
pub(crate) struct Turn(Taken);

impl Turn {
    /// `None` while somebody else has it.
    pub(crate) fn take(key: &CacheKey, now: Timestamp) -> Option<Self> {
        TURNS.with_borrow_mut(|turns| {
            turns.retain(|taken| now < taken.since + LONGEST);
            if turns.iter().any(|taken| *taken.key == *key.as_bytes()) {
                return None;
            }
            let taken = Taken { key: key.as_bytes().into(), since: now };
            turns.push(taken.clone());
            Some(Self(taken))
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Not the next one's, when this one took too long.
        TURNS.with_borrow_mut(|turns| turns.retain(|taken| *taken != self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::key::KeyRule;
    use tidegate_core::{Host, Identity, Method, Request, Scheme, Target};

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn key(path: &str) -> CacheKey {
        let (host, target) = (Host::parse("h", Scheme::Https), Target::parse(path));
        let (host, target) = (host.unwrap(), target.unwrap());
        let fields: [(&str, &str); 0] = [];
        let request = Request::read(Method::Get, Scheme::Https, &host, &target, &fields);
        CacheKey::of(&KeyRule::default(), &request, &Identity::Anonymous)
    }

    #[test]
    fn one_at_a_time_has_the_turn_and_gives_it_back() {
        let turn = Turn::take(&key("/a"), NOW);
        assert!(turn.is_some() && Turn::take(&key("/a"), NOW).is_none());
        assert!(Turn::take(&key("/b"), NOW).is_some());
        drop(turn);
        assert!(Turn::take(&key("/a"), NOW).is_some());
    }

    #[test]
    fn a_turn_that_nobody_ends_is_over_by_itself() {
        let lost = Turn::take(&key("/a"), NOW);
        let next = Turn::take(&key("/a"), NOW + LONGEST);
        assert!(next.is_some());
        drop(lost);
        assert!(Turn::take(&key("/a"), NOW + LONGEST).is_none(), "the later turn goes on");
    }
}
