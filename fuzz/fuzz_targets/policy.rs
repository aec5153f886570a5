#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| tidegate_fuzz::policy::read(text));
