//! Fixed window with block (R1, R2): a window starts with a client's first request and allows
//! `quota` of them. One more blocks the client for `block`; what it sends meanwhile is refused
//! and does not extend the block. Behind the block, or the window, it starts anew.
//!
//! The worst burst is twice the quota: at the end of one window and the begin of the next.
//! Constant time, no allocation.

use super::{Admission, Limit, State, blocked};
use crate::time::Timestamp;

/// Decides on one request.
pub(super) fn admit(limit: &Limit, state: Option<State>, now: Timestamp) -> Admission {
    if let Some(denial) = blocked(limit, state, now) {
        return denial;
    }
    let quota = limit.quota.get();
    let (since, used) = match state {
        Some(State::Counting { since, used }) if now < since + limit.window => {
            (since.min(now), used)
        }
        _ => (now, 0),
    };
    let end = since + limit.window;
    if used < quota {
        let next_state = State::Counting { since, used: used + 1 };
        return Admission::Allow { remaining: quota - used - 1, reset: end.since(now), next_state };
    }
    // Without block, the rest of the window is as good as one, and cheaper to remember.
    let next_state = State::Blocked { until: end };
    Admission::deny(limit, next_state, end.since(now), now)
}

#[cfg(test)]
mod tests {
    use super::super::Algorithm;
    use super::*;
    use core::time::Duration;

    const START: Timestamp = Timestamp::from_secs(1_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn limit(quota: u32, block: Option<Duration>) -> Limit {
        super::super::tests::limit(Algorithm::FixedWindow, quota, SECOND * 60, block)
    }

    /// Sends `count` requests at `now`; the last verdict.
    fn send(limit: &Limit, state: &mut Option<State>, count: u32, now: Timestamp) -> Admission {
        let mut verdict = None;
        for _ in 0..count {
            let admission = Admission::decide(limit, *state, now);
            *state = Some(admission.next_state());
            verdict = Some(admission);
        }
        verdict.unwrap()
    }

    fn retry_after(admission: Admission) -> Option<Duration> {
        match admission {
            Admission::Deny { retry_after, .. } => Some(retry_after),
            Admission::Pass | Admission::Allow { .. } | Admission::Wait { .. } => None,
        }
    }

    #[test]
    fn r1_the_hundredth_request_passes_and_the_next_blocks_for_a_minute() {
        let (limit, mut state) = (limit(100, Some(SECOND * 60)), None);
        let hundredth = send(&limit, &mut state, 100, START);
        assert!(
            matches!(hundredth, Admission::Allow { remaining: 0, reset, .. } if reset == SECOND * 60)
        );
        let late = START + SECOND * 59;
        assert_eq!(retry_after(send(&limit, &mut state, 1, late)), Some(SECOND * 60));
        assert_eq!(
            retry_after(send(&limit, &mut state, 50, late + SECOND * 30)),
            Some(SECOND * 30),
            "further requests do not extend the block"
        );
    }

    #[test]
    fn r1_waiting_exactly_retry_after_allows_and_a_millisecond_less_denies() {
        for block in [Some(SECOND * 300), None] {
            let (limit, mut state) = (limit(10, block), None);
            send(&limit, &mut state, 10, START);
            let wait = retry_after(send(&limit, &mut state, 1, START + SECOND * 7)).unwrap();
            let end = START + SECOND * 7 + wait;
            let early = end.before(Duration::from_millis(1));
            assert_eq!(
                retry_after(Admission::decide(&limit, state, early)),
                Some(Duration::from_millis(1))
            );
            assert_eq!(retry_after(Admission::decide(&limit, state, end)), None);
        }
    }

    #[test]
    fn r2_without_block_the_window_alone_decides() {
        let (limit, mut state) = (limit(500, None), None);
        send(&limit, &mut state, 500, START);
        assert_eq!(
            retry_after(send(&limit, &mut state, 1, START + SECOND * 10)),
            Some(SECOND * 50)
        );
    }

    #[test]
    fn a_clock_set_back_never_waits_longer_than_the_policy_says() {
        let (limit, mut state) = (limit(1, Some(SECOND * 60)), None);
        send(&limit, &mut state, 2, START);
        let earlier = START.before(SECOND * 100_000);
        assert_eq!(retry_after(send(&limit, &mut state, 1, earlier)), Some(SECOND * 60));

        let mut state = Some(State::Counting { since: START, used: 0 });
        assert!(matches!(
            send(&limit, &mut state, 1, earlier),
            Admission::Allow { reset, .. } if reset == SECOND * 60
        ));
    }
}
