//! Limits in the memory of a shim: what it forgets for room and for time changes no verdict.

use std::collections::HashMap;

use tidegate_core::{Timestamp, rate::Admission};
use tidegate_origin::limiter::Limiter;
use tidegate_tests::limit_traces::{self, Event, Tally, key};

const EVENTS: usize = 20_000;

/// By a clock that leaps ahead but never goes back: what is over is forgotten here, so that a
/// clock set back finds those clients new. (In other stores of the tests nothing is forgotten.)
#[test]
fn r1_r3_r4_r5_memory_comes_to_the_verdicts_of_the_core() {
    let limits = limit_traces::limits();
    let limiter = Limiter::new(&limits);
    for (seed, limit) in (1..).zip(&limits) {
        let events = limit_traces::trace(limit, seed, EVENTS);
        let mut states = HashMap::new();
        let mut now = Timestamp::EPOCH;
        for Event { client, now: told, .. } in &events {
            now = now.max(*told);
            let expected = Admission::decide(limit, states.get(client).copied(), now);
            states.insert(client, expected.next_state());
            let found = limiter.admit(limit, &key(limit, *client), now);
            assert_eq!(found, expected, "{}: {client} at {now:?}", limit.name);
        }
        let tally = Tally::of(&events);
        assert!(tally.clients > 1500 && tally.refused > 100, "{}: {tally:?}", limit.name);
    }
}
