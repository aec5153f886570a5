//! The cases as data, through the core in a world with a virtual clock.

use std::collections::{BTreeMap, HashSet};

use tidegate_tests::cases::{self, Placed};
use tidegate_world::judge;

#[test]
fn every_case_holds_in_the_core() {
    let mut failed = BTreeMap::new();
    for Placed { file, case } in cases::all() {
        let verdict = judge(&case);
        if !verdict.failures.is_empty() {
            failed
                .insert(case.id.clone(), [vec![format!("{file}.toml")], verdict.failures].concat());
        }
    }
    cases::settle(&failed, &cases::ledger("core-deviations.toml"));
}

#[test]
fn cases_have_names_of_their_own_that_hosts_can_have() {
    let mut ids = HashSet::new();
    for Placed { file, case } in cases::all() {
        let is_label = !case.id.is_empty()
            && case.id.len() <= 63
            && case.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        assert!(is_label, "{file}.toml: {}", case.id);
        assert!(
            case.section.starts_with("RFC ") || case.section.starts_with("draft-"),
            "{}",
            case.id
        );
        assert!(case.asks().next().is_some(), "{file}.toml: {} asks nothing", case.id);
        assert!(ids.insert(case.id.clone()), "{file}.toml: {} is there twice", case.id);
    }
}
