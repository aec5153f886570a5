//! What is written is read back as what it was.

use std::time::Duration;

use proptest::prelude::*;
use tidegate_core::headers::http_date::{HttpDate, parse};
use tidegate_core::policy::units::{DurationText, duration};
use tidegate_core::{Text, Timestamp};

proptest! {
    #[test]
    fn a_duration_is_read_as_it_was_written(millis in prop_oneof![0..10_000u64, 0..3_000_000_000_000u64]) {
        let span = Duration::from_millis(millis);
        prop_assert_eq!(duration(&DurationText(span).to_string()), Ok(span));
    }

    #[test]
    fn a_date_is_read_as_it_was_written(seconds in 0..253_402_300_800u64, now in any::<u64>()) {
        let at = Timestamp::from_secs(seconds);
        let written = HttpDate(at).to_string();
        prop_assert_eq!(parse(written.as_bytes(), Timestamp::from_millis(now)), Some(at));
    }

    #[test]
    fn a_text_is_the_sum_of_its_pieces(pieces in prop::collection::vec(".{0,40}", 0..8)) {
        let mut text = Text::new();
        pieces.iter().for_each(|piece| text.push_str(piece));
        prop_assert_eq!(text.as_str(), pieces.concat());
    }
}
