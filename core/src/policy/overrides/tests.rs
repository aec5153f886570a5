use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

fn policy() -> Policy {
    Policy::from_json(
        r#"{"schema":1,"limits":[
            {"name":"paced","quota":10,"window":1000,"burst":20,"algorithm":"gcra","key":[]},
            {"name":"sliding","quota":10,"window":60000,"block":60000,"algorithm":"sliding-window","key":[]},
            {"name":"standard","quota":100,"window":60000,"block":60000,"algorithm":"fixed-window","key":[]}],
            "maintenance":{"message":"From the file.","retry_after":60000}}"#,
    )
    .unwrap()
}

fn overrides(json: &str) -> Overrides {
    Overrides::from_json(json).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn limit<'p>(policy: &'p Policy, name: &str) -> &'p Limit {
    policy.model().limits.iter().find(|limit| limit.name == name).unwrap()
}

#[test]
fn r9_an_override_stands_in_place_of_what_it_names_and_of_nothing_else() {
    let policy = policy();
    let raised = policy.with(
        &overrides(r#"{"limits":{"standard":{"limit":"200 per 30s"},"paced":{"burst":40}}}"#),
        NOW,
    );
    let standard = limit(&raised, "standard");
    assert_eq!((standard.quota.get(), standard.window), (200, Duration::from_secs(30)));
    assert_eq!(standard.block, Some(Duration::from_secs(60)));
    assert_eq!((limit(&raised, "paced").burst, limit(&raised, "paced").quota.get()), (40, 10));
    assert_eq!(limit(&raised, "sliding"), limit(&policy, "sliding"));
    assert_eq!(policy.with(&Overrides::default(), NOW).to_json(), policy.to_json());
}

#[test]
fn r9_an_override_ends_at_its_time() {
    let all = overrides(
        r#"{"limits":{"standard":{"limit":"1 per 1s","until":"2026-11-18T10:00:00Z"}},
            "maintenance":{"until":"2026-11-18T09:00:00Z"}}"#,
    );
    let at = |text: &str| crate::time::rfc3339::parse(text).unwrap();
    let ends = ["2026-11-18T09:00:00Z", "2026-11-18T10:00:00Z"].map(at);
    assert_eq!((all.next_end(), all.next_end_after(ends[0])), (Some(ends[0]), Some(ends[1])));
    assert_eq!(all.next_end_after(ends[1]), None);
    let in_force = |now| {
        let policy = policy().with(&all, now);
        (policy.model().maintenance.enabled, limit(&policy, "standard").quota.get())
    };
    assert_eq!(in_force(at("2026-11-18T08:59:59.999Z")), (true, 1));
    assert_eq!(in_force(at("2026-11-18T09:00:00Z")), (false, 1));
    assert_eq!(in_force(at("2026-11-18T10:00:00Z")), (false, 100));
    let mut left = all;
    left.drop_ended(at("2026-11-18T09:30:00Z"));
    assert_eq!((left.maintenance.is_none(), left.limits.iter().count()), (true, 1));
}

#[test]
fn r9_maintenance_is_switched_over_the_policys_word() {
    let policy = policy();
    let on = policy.with(&overrides(r#"{"maintenance":{"retry_after":"10m"}}"#), NOW);
    let rule = &on.model().maintenance;
    assert_eq!((rule.enabled, rule.retry_after), (true, Duration::from_secs(600)));
    assert_eq!(rule.message.as_deref(), Some("From the file."));
    let off = on.with(&overrides(r#"{"maintenance":{"enabled":false}}"#), NOW);
    assert!(!off.model().maintenance.enabled);
}

#[test]
fn what_is_read_can_be_written_and_is_read_again_as_the_same() {
    let json = r#"{"limits":{"standard":{"block":"0s","burst":7,"limit":"200 per 15m","until":"2026-11-21T18:30:00Z"}},"maintenance":{"enabled":false,"message":"\"Soon\"","retry_after":"1500ms","until":"2026-11-21T18:30:00.250Z"},"unblocked":[{"at":"2026-11-21T16:00:00Z","client":"user:ada","limit":"standard"}]}"#;
    assert_eq!(overrides(json).to_json(), json);
    let canonical = overrides(json).to_canonical();
    assert_eq!(Overrides::from_canonical(&canonical).as_ref(), Ok(&overrides(json)));
    let written = r#"{"limits":{"standard":{"block":0,"burst":7,"quota":200,"until":1795285800000,"window":900000}},"maintenance":{"enabled":false,"message":"\"Soon\"","retry_after":1500,"until":1795285800250},"unblocked":[{"at":1795276800000,"client":"user:ada","limit":"standard"}]}"#;
    assert_eq!(canonical, written);
    assert_eq!(Overrides::from_canonical("{}"), Ok(Overrides::default()));
    assert_eq!(Overrides::default().to_json(), "{}");
    assert!(overrides("{}").is_empty());
}

#[test]
fn everything_wrong_is_named_with_its_place_and_a_remedy() {
    let wrong = |json: &str| {
        let wrong = Overrides::from_json(json).unwrap_err();
        let lines = wrong.iter().map(|o| format!("{}: {}; {}", o.place, o.message, o.hint));
        lines.collect::<Vec<_>>().join("\n")
    };
    let all = wrong(
        r#"{"limits":{"a":{"limit":"200/60s","burst":-1,"block":60},"b":{"quota":1}},
            "maintenance":{"enabled":"yes","until":"tomorrow"},"extra":1,
            "unblocked":[{"limit":"a","client":"ada","at":"2026-11-21T16:00:00Z"},{"limit":"a"}]}"#,
    );
    for expected in [
        "limits.a.limit: `200/60s` is no limit; a limit reads like `100 per 60s`",
        "limits.a.burst: this is no number of requests; write a number like 20",
        "limits.a.block: this is no text",
        "limits.b: there is no field `quota`; known are `limit`, `burst`, `block`, `until`",
        "limits.b: this changes nothing",
        "maintenance.enabled: this is neither true nor false",
        "maintenance.until: `tomorrow` is no time; write it like `2026-11-21T18:30:00Z`",
        ": there is no field `extra`",
        "unblocked.0.client: `ada` is no client; write it like `ip:192.0.2.1`",
        "unblocked.1: `client` is missing",
    ] {
        assert!(all.contains(expected), "{expected} in\n{all}");
    }
    for json in [
        "",
        "[]",
        "{\"limits\":[]}",
        "{\"limits\":{\"a\":1}}",
        "{\"maintenance\":null}",
        "{\"unblocked\":{}}",
    ] {
        assert!(!wrong(json).is_empty(), "{json}");
    }
    let long = format!("{{\"maintenance\":{{\"message\":\"{}\"}}}}", "x".repeat(MESSAGE_MAX + 1));
    assert!(wrong(&long).contains("maintenance.message: the message is longer"));
    assert!(wrong(&" ".repeat(JSON_MAX + 1)).contains("longer than"));
}

#[test]
fn what_does_not_fit_the_policy_is_said_and_changes_nothing() {
    let misfits = overrides(
        r#"{"limits":{"standrad":{"limit":"1 per 1s"},"standard":{"burst":5},
            "sliding":{"block":"10s"},"paced":{"burst":1}}}"#,
    );
    let policy = policy();
    let said = misfits.objections(&policy);
    let places: Vec<&str> = said.iter().map(|o| &*o.place).collect();
    assert_eq!(places, ["limits.sliding.block", "limits.standard.burst", "limits.standrad"]);
    assert_eq!(said[2].hint, "known are `paced`, `sliding`, `standard`");
    assert_eq!(
        said[0].to_string(),
        "limits.sliding.block: a block of 10s is shorter than the window: behind it more would \
         pass than the limit\n= hint: block for 60s at least, or for 0s"
    );
    let in_force = policy.with(&misfits, NOW);
    assert_eq!(limit(&in_force, "paced").burst, 1);
    assert_eq!(limit(&in_force, "standard"), limit(&policy, "standard"));
    let mut left = misfits;
    assert_eq!(left.drop_misfits(&policy), said);
    assert_eq!(left.limits.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["paced"]);
}

#[test]
fn a_block_of_nothing_ends_blocks_that_run() {
    use crate::rate::{Admission, State};
    let policy = policy();
    let blocked = Some(State::Blocked { until: NOW + Duration::from_secs(50) });
    let freed = policy.with(&overrides(r#"{"limits":{"standard":{"block":"0s"}}}"#), NOW);
    let decide = |policy| Admission::decide(limit(policy, "standard"), blocked, NOW);
    assert!(matches!(decide(&policy), Admission::Deny { .. }));
    assert!(matches!(decide(&freed), Admission::Allow { .. }));
}

#[test]
fn r9_who_is_let_in_again_is_counted_anew_from_that_time_and_nobody_else_is() {
    use crate::ClientFacts;
    use crate::rate::{Admission, State};
    let policy = Policy::from_json(
        r#"{"schema":1,"limits":[{"name":"standard","quota":1,"window":60000,"block":60000,
            "algorithm":"fixed-window","key":["identity"]}]}"#,
    )
    .unwrap();
    let mut said = Overrides::default();
    said.unblock(&policy, "standard", "user:ada", NOW).unwrap();
    assert_eq!(overrides(&said.to_json()), said);
    let in_force = policy.with(&said, NOW);
    let later = NOW + Duration::from_secs(20);
    let is_admitted = |policy: &Policy, user: &str, blocked_at: Timestamp| {
        let limit = limit(policy, "standard");
        let client = ClientFacts { user: Some(user), ..ClientFacts::default() };
        let key = LimitKey::of(limit, &client, &[("", ""); 0]);
        let state = State::Blocked { until: blocked_at + Duration::from_secs(60) };
        let admission = Admission::decide(&policy.limit_for(limit, &key), Some(state), later);
        matches!(admission, Admission::Allow { .. })
    };
    let earlier = NOW.before(Duration::from_secs(10));
    assert!(is_admitted(&in_force, "ada", earlier));
    assert!(!is_admitted(&in_force, "bob", earlier) && !is_admitted(&policy, "ada", earlier));
    assert!(!is_admitted(&in_force, "ada", NOW), "blocked again since");
    assert_eq!(in_force.to_json(), policy.to_json(), "it is no word of the policy");
}

#[test]
fn the_list_of_who_is_let_in_again_is_bounded_and_forgets_blocks_that_ended() {
    let policy = policy();
    let mut said = Overrides::default();
    for client in 0..UNBLOCKED_MAX {
        said.unblock(&policy, "standard", &format!("user:{client}"), NOW).unwrap();
    }
    said.unblock(&policy, "standard", "user:7", NOW).expect("it stands there once");
    assert_eq!(said.unblocked.len(), UNBLOCKED_MAX);
    let full = said.unblock(&policy, "standard", "user:new", NOW).unwrap_err();
    assert!(full.hint.contains("`block` of `0s`"), "{full}");
    let later = NOW + Duration::from_secs(120);
    said.unblock(&policy, "standard", "user:new", later).unwrap();
    assert_eq!(said.unblocked.len(), 1);
    let place =
        |name, client| Overrides::default().unblock(&policy, name, client, NOW).unwrap_err().place;
    assert_eq!(place("standard", "nobody"), "unblocked.0");
    assert_eq!(place("standrad", "user:ada"), "unblocked.0");
    let mut misfit = said;
    misfit.unblocked[0].limit = "gone".into();
    assert_eq!(misfit.drop_misfits(&policy)[0].place, "unblocked.0.limit");
    assert!(misfit.is_empty());
}

#[test]
fn a_bad_canonical_document_is_refused_with_its_place_and_a_remedy() {
    let wrong = |json: &str| Overrides::from_canonical(json).unwrap_err();
    for (json, place) in [
        ("", ""),
        ("[]", ""),
        (r#"{"limit":{}}"#, "limit"),
        (r#"{"limits":[]}"#, "limits"),
        (r#"{"limits":{"a":{"quota":0,"window":1}}}"#, "limits.a.quota"),
        (r#"{"limits":{"a":{"quota":"9","window":1}}}"#, "limits.a.quota"),
        (r#"{"limits":{"a":{"quota":9}}}"#, "limits.a"),
        (r#"{"limits":{"a":{"window":0,"quota":9}}}"#, "limits.a.window"),
        (r#"{"limits":{"a":{"burst":4294967296}}}"#, "limits.a.burst"),
        (r#"{"limits":{"a":{"limit":"1 per 1s"}}}"#, "limits.a.limit"),
        (r#"{"maintenance":{"enabled":"yes"}}"#, "maintenance.enabled"),
        (r#"{"maintenance":{"retry_after":-1}}"#, "maintenance.retry_after"),
        (r#"{"unblocked":{}}"#, "unblocked"),
        (r#"{"unblocked":[{"limit":"a","client":"user:ada"}]}"#, "unblocked"),
    ] {
        assert_eq!(wrong(json).place, place, "{json}");
    }
    assert!(wrong(&" ".repeat(JSON_MAX + 1)).to_string().contains("= hint: write it by"));
    let long = format!(r#"{{"maintenance":{{"message":"{}"}}}}"#, "x".repeat(MESSAGE_MAX + 1));
    assert_eq!(wrong(&long).place, "maintenance.message");
}

#[test]
fn a_binding_keeps_its_numbers_so_objects_count_what_is_overridden() {
    use crate::rate::EdgeStore;
    let mut limit = limit(&policy(), "standard").clone();
    limit.stores.edge = EdgeStore::Colo;
    let edge_under = |json: &str| {
        let mut limit = limit.clone();
        overrides(json).limits.get("standard").unwrap().apply(&mut limit);
        limit.stores.edge
    };
    assert_eq!(edge_under(r#"{"limits":{"standard":{"block":"10s"}}}"#), EdgeStore::Colo);
    assert_eq!(edge_under(r#"{"limits":{"standard":{"limit":"9 per 10s"}}}"#), EdgeStore::Global);
}
