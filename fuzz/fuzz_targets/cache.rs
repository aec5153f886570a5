#![no_main]

use tidegate_fuzz::cache::Event;

libfuzzer_sys::fuzz_target!(|events: Vec<Event>| tidegate_fuzz::cache::run(&events));
