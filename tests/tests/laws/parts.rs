//! Ranges never reach outside of the stored bytes.

use proptest::prelude::*;
use tidegate_core::Timestamp;
use tidegate_core::headers::range::ContentRange;
use tidegate_core::partial::{Selection, select};

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

fn range() -> impl Strategy<Value = String> {
    let number = prop_oneof![0..30u64, any::<u64>()];
    prop_oneof![
        (number.clone(), number.clone()).prop_map(|(a, b)| format!("{a}-{b}")),
        number.clone().prop_map(|a| format!("{a}-")),
        number.prop_map(|a| format!("-{a}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_selection_reaches_outside_of_the_stored_body(
        ranges in prop::collection::vec(range(), 1..4),
        length in 0..20usize,
        part in prop::option::of((0..10u64, prop::option::of(0..10u64))),
    ) {
        let asked = [("range", format!("bytes={}", ranges.join(",")))];
        // A part that is what it says: so many bytes from there, of a whole that holds them.
        let part = part.filter(|_| length > 0).map(|(first, more)| {
            let last = first + length as u64 - 1;
            ContentRange { first, last, complete: more.map(|more| last + 1 + more) }
        });
        let head = [("etag", "\"a\"")];
        match select(part, length, &asked, &head, NOW) {
            Selection::Piece { bytes, content_range } => {
                prop_assert!(bytes.start < bytes.end && bytes.end <= length);
                let start = part.map_or(0, |part| part.first);
                prop_assert_eq!(content_range.first, start + bytes.start as u64);
                prop_assert_eq!(content_range.last, start + bytes.end as u64 - 1);
                let complete = part.map_or(Some(length as u64), |part| part.complete);
                prop_assert_eq!(content_range.complete, complete);
            }
            Selection::Pieces(pieces) => {
                prop_assert!(part.is_none());
                prop_assert!(pieces.iter().all(|p| p.start < p.end && p.end <= length));
                prop_assert!(pieces.iter().map(|p| p.len()).sum::<usize>() <= length);
            }
            Selection::Unsatisfiable { length: told } => prop_assert_eq!(told, length as u64),
            Selection::Whole => prop_assert!(part.is_none()),
            Selection::Missing => prop_assert!(part.is_some()),
        }
    }
}
