//! Signatures of variants: white space and the split into lines do not count, values do.

use proptest::prelude::*;
use proptest::sample::select;
use tidegate_core::headers::Vary;

use crate::asked::{Lines, space};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn white_space_and_lines_do_not_count_in_a_signature(
        name in select(&["accept", "accept-language", "accept-encoding", "x-a"][..]),
        members in prop::collection::vec(
            (select(&["a", "b;q=0.5", "\"x,y\"", "gzip", "*"][..]), space(), space(), any::<bool>()), 1..5),
    ) {
        let vary = Vary::parse([name.as_bytes()].into_iter());
        let plain: Vec<&str> = members.iter().map(|(member, ..)| *member).collect();
        let plain: Lines = vec![(name.to_owned(), plain.join(","))];
        let mut spread: Lines = vec![(name.to_owned(), String::new())];
        for (member, before, behind, breaks) in &members {
            if *breaks {
                spread.push((name.to_owned(), String::new()));
            }
            let value = &mut spread.last_mut().expect("a line").1;
            *value += &format!(",{before}{member}{behind}");
        }
        prop_assert_eq!(vary.signature(&plain), vary.signature(&spread));
    }

    #[test]
    fn other_values_make_another_signature(one in "[a-c,]{0,4}", two in "[a-c,]{0,4}") {
        let vary = Vary::parse([&b"x-a"[..]].into_iter());
        let signature = |value: &str| vary.signature(&[("x-a", value)]);
        let members = |value: &str| -> Vec<String> {
            value.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect()
        };
        prop_assert_eq!(signature(&one) == signature(&two), members(&one) == members(&two));
    }

    #[test]
    fn what_suits_is_what_has_the_same_signature(
        name in select(&["accept", "accept-language", "x-a"][..]),
        one in "[aAb;q=0.15, \"]{0,8}", two in "[aAb;q=0.15, \"]{0,8}",
    ) {
        let vary = Vary::parse([name.as_bytes()].into_iter());
        let (one, two) = ([(name, one)], [(name, two)]);
        let signature = vary.signature(&one);
        prop_assert!(vary.suits(&signature, &one));
        prop_assert_eq!(vary.suits(&signature, &two), signature == vary.signature(&two));
        let nothing: Lines = vec![];
        prop_assert!(!vary.suits(&signature, &nothing));
    }

    #[test]
    fn names_count_without_case_order_or_repeats(
        names in prop::collection::vec(select(&["accept", "X-A", "x-b", "Cookie"][..]), 0..5)
            .prop_flat_map(|names| (Just(names.clone()), Just(names).prop_shuffle())),
    ) {
        let one = Vary::parse([names.0.join(", ").as_bytes()].into_iter());
        let lines: Vec<String> = names.1.iter().map(|name| name.to_ascii_uppercase()).collect();
        prop_assert_eq!(one, Vary::parse(lines.iter().map(String::as_bytes)));
    }
}
