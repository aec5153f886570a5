#![no_main]

use tidegate_fuzz::key::Two;

libfuzzer_sys::fuzz_target!(|two: Two<'_>| two.keys_are_equal_exactly_when_their_parts_are());
