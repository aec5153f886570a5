//! No input panics: arbitrary bytes through every parser.

use proptest::prelude::*;
use tidegate_core::headers::etag::{ETag, none_match_names};
use tidegate_core::headers::range::{ByteRange, ContentRange};
use tidegate_core::headers::targeted::TargetedField;
use tidegate_core::headers::{
    RequestDirectives, ResponseDirectives, Vary, cache_groups, http_date, list, structured,
};
use tidegate_core::policy::{Overrides, Pattern, Policy, Template, units};
use tidegate_core::rate::State;
use tidegate_core::time::rfc3339;
use tidegate_core::{Host, Response, Scheme, Target, Tier, Timestamp, document};

/// Bytes as they might come, and bytes that look a little like what is meant.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        "[a-z0-9=,;\"\\\\ \t*/+?@:%.()-]{0,60}".prop_map(String::into_bytes),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~]{0,60}", "/[a-z0-9%./;:*{},?=&é-]{0,40}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_value_of_a_field_panics(value in bytes(), now in any::<u64>(), status in any::<u16>()) {
        let now = Timestamp::from_millis(now);
        let lines = || [value.as_slice()].into_iter();
        let _ = ResponseDirectives::parse(lines());
        let mut asked = RequestDirectives::default();
        asked.read_line(&value);
        asked.read_pragma(&value);
        let _ = http_date::parse(&value, now);
        let _ = none_match_names(&value, ETag::parse(&value).as_ref());
        let _ = Vary::parse(lines());
        let _ = ByteRange::parse_all(lines());
        let _ = ContentRange::parse(&value);
        let _ = structured::dictionary(&value);
        let _ = structured::list(&value);
        let _ = list::members(&value).chain(list::directives(&value)).map(list::unquote).count();
        for name in NAMES {
            let fields = [(*name, value.as_slice())];
            let _ = Response::read(Tier::Edge, status, &fields[..], now);
            let _ = Response::read(Tier::Origin, 206, &fields[..], now);
            let _ = cache_groups::groups(&fields[..]);
            let _ = TargetedField::SurrogateControl.read(&fields[..], "tidegate");
        }
        let _ = State::decode(&value);
    }

    #[test]
    fn no_text_panics(text in text()) {
        let _ = Target::parse(&text);
        let _ = Host::parse(&text, Scheme::Https);
        let _ = Pattern::parse(&text);
        let _ = Template::parse(&text);
        let _ = units::duration(&text);
        let _ = units::rate(&text);
        let _ = Policy::from_json(&text);
        let _ = Overrides::from_json(&text);
        let _ = rfc3339::parse(&text);
        let _ = document::read(&text, &|_| None);
        let _ = document::read(&format!("schema = 1\n{text}"), &|_| Some(text.clone()));
    }
}

const NAMES: &[&str] = &[
    "cache-control",
    "cdn-cache-control",
    "surrogate-control",
    "expires",
    "date",
    "age",
    "etag",
    "last-modified",
    "vary",
    "content-location",
    "content-range",
    "cache-groups",
    "no-vary-search",
];
