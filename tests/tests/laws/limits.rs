//! Limits allow what they say, and waiting exactly as long as told allows.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use tidegate_core::rate::sliding_window::LOG_MAX;
use tidegate_core::rate::{Algorithm, Limit, State};
use tidegate_core::{Admission, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_795_000_000);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Small and large quotas: a sliding window logs the ones and counts the others.
fn limit(algorithms: &'static [Algorithm]) -> impl Strategy<Value = Limit> {
    let quota = prop_oneof![1..8u32, 12..40u32];
    let gcra = (0..10u32, any::<bool>());
    (select(algorithms), quota, 1..5000u64, prop::option::of(1..9000u64), gcra).prop_map(
        |(algorithm, quota, window, block, (burst, spread))| {
            let quota = NonZeroU32::new(quota).expect("at least one");
            let limit = Limit::new("l", quota, Duration::from_millis(window));
            let is_paced = algorithm == Algorithm::Gcra;
            let (burst, spread) = (if is_paced { burst } else { 0 }, is_paced && spread);
            Limit { block: block.map(Duration::from_millis), algorithm, burst, spread, ..limit }
        },
    )
}

/// The same, where no block is so short that it makes the window forget.
fn limit_that_remembers(algorithms: &'static [Algorithm]) -> impl Strategy<Value = Limit> {
    limit(algorithms).prop_map(|limit| {
        let block = limit.block.map(|block| block.max(limit.window * 11));
        Limit { block, ..limit }
    })
}

/// Requests with these pauses before each, in milliseconds: the verdicts with their times.
fn run(limit: &Limit, pauses: &[u64]) -> Vec<(Timestamp, Admission)> {
    let (mut now, mut state) = (START, None);
    let mut verdicts = Vec::new();
    for pause in pauses {
        now = now + Duration::from_millis(*pause);
        let admission = Admission::decide(limit, state, now);
        state = Some(admission.next_state());
        verdicts.push((now, admission));
    }
    verdicts
}

fn pauses() -> impl Strategy<Value = Vec<u64>> {
    // Mostly in a row, or a large quota would never be used up.
    let pause = prop_oneof![12 => 0..3u64, 3 => 0..200u64, 2 => 0..1500u64, 1 => 0..12_000u64];
    prop::collection::vec(pause, 1..200)
}

/// When requests may proceed: at once, or when their turn comes.
fn turns(limit: &Limit, pauses: &[u64]) -> Vec<Timestamp> {
    let turn = |(now, admission)| match admission {
        Admission::Allow { .. } => Some(now),
        Admission::Wait { wait, .. } => Some(now + wait),
        Admission::Pass | Admission::Deny { .. } => None,
    };
    run(limit, pauses).into_iter().filter_map(turn).collect()
}

/// The most turns in any window, which are in order.
fn most_within(turns: &[Timestamp], window: Duration) -> usize {
    let within = |first: usize| {
        turns[first..].iter().take_while(|turn| **turn < turns[first] + window).count()
    };
    (0..turns.len()).map(within).max().unwrap_or_default()
}

fn is_denied(admission: &Admission) -> bool {
    matches!(admission, Admission::Deny { .. })
}

const ALL: &[Algorithm] = &[Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::Gcra];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_fixed_window_never_holds_more_than_the_quota(
        limit in limit(&[Algorithm::FixedWindow]), pauses in pauses(),
    ) {
        let (mut since, mut used) = (None, 0);
        for (now, admission) in run(&limit, &pauses) {
            if let Admission::Allow { next_state: State::Counting { since: start, .. }, .. } = admission {
                used = if since == Some(start) { used + 1 } else { 1 };
                since = Some(start);
                prop_assert!(used <= limit.quota.get() && now < start + limit.window);
            }
        }
    }

    #[test]
    fn any_window_of_two_holds_at_most_twice_the_quota_of_a_fixed_one(
        limit in limit_that_remembers(&[Algorithm::FixedWindow]), pauses in pauses(),
    ) {
        let most = most_within(&turns(&limit, &pauses), limit.window);
        prop_assert!(most <= limit.worst_burst() as usize, "{most}");
    }

    #[test]
    fn a_sliding_window_never_holds_more_than_the_quota_or_twice_where_it_counts_in_two_buckets(
        limit in limit_that_remembers(&[Algorithm::SlidingWindow]), pauses in pauses(),
    ) {
        let most = most_within(&turns(&limit, &pauses), limit.window);
        prop_assert!(most <= limit.worst_burst() as usize, "{most}");
        let is_logged = limit.quota.get() as usize <= LOG_MAX;
        prop_assert_eq!(limit.worst_burst(), limit.quota.get() * if is_logged { 1 } else { 2 });
    }

    #[test]
    fn two_buckets_hold_no_more_than_what_is_left_of_the_earlier_one_leaves_room_for(
        limit in limit_that_remembers(&[Algorithm::SlidingWindow]), pauses in pauses(),
    ) {
        // Whatever the window that ends now has seen, as far as requests in a bucket came evenly.
        let (quota, window) = (u64::from(limit.quota.get()), limit.window.as_millis() as u64);
        for (now, admission) in run(&limit, &pauses) {
            let Admission::Allow { next_state, .. } = admission else { continue };
            let State::Buckets(_) = next_state else { continue };
            let encoded = next_state.encode();
            // A tag, when the later one began, and the counts of both.
            let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            let [since, used, before] = [1..9, 9..13, 13..17].map(|at| number(&encoded.as_bytes()[at]));
            let left = window - (now.as_millis() - since);
            prop_assert!(before * left + used * window <= quota * window);
        }
    }

    #[test]
    fn a_pace_with_a_burst_is_never_left_behind(
        limit in limit_that_remembers(&[Algorithm::Gcra]), pauses in pauses(),
    ) {
        let turns = turns(&limit, &pauses);
        let pace = limit.window.as_micros().div_ceil(limit.quota.get().into());
        let at_once = u128::from(limit.worst_burst());
        for (first, start) in turns.iter().enumerate() {
            for (number, turn) in (1..).zip(&turns[first..]) {
                // Turns that are waited for are told in whole milliseconds.
                let span = turn.since(*start).as_micros() + if limit.spread { 1000 } else { 0 };
                prop_assert!(number <= at_once + span / pace, "{number} in {span} µs");
            }
        }
    }

    #[test]
    fn waiting_exactly_as_long_as_told_allows_and_a_millisecond_less_denies(
        limit in limit(ALL), pauses in pauses(),
    ) {
        for (now, admission) in run(&limit, &pauses) {
            let Admission::Deny { retry_after, next_state } = admission else { continue };
            prop_assert!(retry_after > Duration::ZERO);
            let then = now + retry_after;
            let early = Admission::decide(&limit, Some(next_state), then.before(MILLISECOND));
            let exact = Admission::decide(&limit, Some(next_state), then);
            prop_assert!(is_denied(&early), "{retry_after:?} was too long: {early:?}");
            prop_assert!(!is_denied(&exact), "{retry_after:?} was too short: {exact:?}");
        }
    }

    #[test]
    fn a_clock_that_jumps_makes_nobody_wait_longer_than_the_policy_says(
        limit in limit(ALL), times in prop::collection::vec(0..40_000u64, 1..120),
    ) {
        let mut state = None;
        let longest = limit.block.unwrap_or((limit.window + MILLISECOND) * 2);
        for time in times {
            let admission =
                Admission::decide(&limit, state, START + Duration::from_millis(time / 20 * 20));
            state = Some(admission.next_state());
            if let Admission::Deny { retry_after, .. } = admission {
                prop_assert!(retry_after <= longest, "{retry_after:?}");
            }
        }
    }

    #[test]
    fn what_is_no_whole_state_of_a_known_version_is_none(
        limit in limit(ALL), pauses in pauses(), tag in 6..=u8::MAX, cut in any::<prop::sample::Index>(),
    ) {
        for (_, admission) in run(&limit, &pauses) {
            let encoded = admission.next_state().encode();
            let bytes = encoded.as_bytes();
            for tag in [0, tag] {
                prop_assert_eq!(State::decode(&[&[tag], &bytes[1..]].concat()), None);
            }
            prop_assert_eq!(State::decode(&bytes[..cut.index(bytes.len())]), None);
            prop_assert_eq!(State::decode(&[bytes, &[0]].concat()), None);
        }
    }

    #[test]
    fn a_state_survives_its_store(limit in limit(ALL), pauses in pauses()) {
        for (_, admission) in run(&limit, &pauses) {
            let state = admission.next_state();
            prop_assert_eq!(State::decode(state.encode().as_bytes()), Some(state));
        }
    }
}
