//! Limits allow what they say, and waiting exactly as long as told allows.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use tidegate_core::rate::{Algorithm, Limit, State};
use tidegate_core::{Admission, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_795_000_000);
const MILLISECOND: Duration = Duration::from_millis(1);

fn limit(algorithms: &'static [Algorithm]) -> impl Strategy<Value = Limit> {
    (select(algorithms), 1..8u32, 1..5000u64, prop::option::of(1..9000u64)).prop_map(
        |(algorithm, quota, window, block)| {
            let quota = NonZeroU32::new(quota).expect("at least one");
            let limit = Limit::new("l", quota, Duration::from_millis(window));
            Limit { block: block.map(Duration::from_millis), algorithm, ..limit }
        },
    )
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
    prop::collection::vec(prop_oneof![0..3u64, 0..1500u64, 0..12_000u64], 1..60)
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
    fn a_sliding_window_never_holds_more_than_the_quota(
        limit in limit(&[Algorithm::SlidingWindow]), pauses in pauses(),
    ) {
        // Behind a block counting starts anew, so one shorter than the window cuts it short.
        let block = limit.block.map(|block| block.max(limit.window));
        let limit = Limit { block, ..limit };
        let verdicts = run(&limit, &pauses);
        let allowed: Vec<Timestamp> = verdicts
            .into_iter()
            .filter_map(|(now, verdict)| matches!(verdict, Admission::Allow { .. }).then_some(now))
            .collect();
        for now in &allowed {
            let within = allowed.iter().filter(|at| **at <= *now && *now < **at + limit.window);
            prop_assert!(within.count() <= limit.quota.get() as usize);
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
            let denied = matches!(early, Admission::Deny { .. });
            let allowed = matches!(exact, Admission::Allow { .. });
            prop_assert!(denied, "{retry_after:?} was too long: {early:?}");
            prop_assert!(allowed, "{retry_after:?} was too short: {exact:?}");
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
