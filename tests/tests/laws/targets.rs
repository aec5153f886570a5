//! Normalising: once is enough, and spellings of one path become one.

use proptest::prelude::*;
use tidegate_core::{Host, Scheme, Target};

fn target() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        "[a-z.~;\\\\é-]{1,3}",
        Just("..".to_owned()),
        Just(".".to_owned()),
        any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
        any::<u8>().prop_map(|byte| format!("%{byte:02X}")),
    ];
    let query = prop::option::of("[a-z=&%2./?;]{0,8}");
    (prop::collection::vec(piece, 0..12), query).prop_map(|(pieces, query)| {
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        format!("/{}{query}", pieces.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn normalising_twice_changes_nothing(text in target()) {
        if let Ok(once) = Target::parse(&text) {
            let shown = once.to_string();
            let twice = Target::parse(&shown).expect("what is normal is a target");
            prop_assert_eq!(twice.to_string(), shown.as_str());
            // `//../` is read in two ways; what is left of it, `/`, is not.
            prop_assert!(once.ambiguity().is_some() || twice.ambiguity().is_none());
            prop_assert_eq!(twice.route_path(), once.route_path());
        }
    }

    #[test]
    fn a_normal_path_has_no_dot_segments(text in target()) {
        if let Ok(target) = Target::parse(&text) {
            prop_assert!(target.path().starts_with('/'));
            let dots = |path: &str| path.split('/').any(|s| matches!(s, "." | ".."));
            prop_assert!(!dots(target.path()) && !dots(target.route_path()));
        }
    }

    #[test]
    fn hosts_are_read_alike_twice(text in "[A-Za-z0-9.:\\[\\]_-]{0,20}") {
        for scheme in [Scheme::Http, Scheme::Https] {
            if let Ok(once) = Host::parse(&text, scheme) {
                let twice = Host::parse(once.as_str(), scheme).expect("what is normal is a host");
                prop_assert_eq!(twice.as_str(), once.as_str());
            }
        }
    }
}
