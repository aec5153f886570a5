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
    assert_eq!(all.next_end(), Some(at("2026-11-18T09:00:00Z")));
    let in_force = |now| {
        let policy = policy().with(&all, now);
        (policy.model().maintenance.enabled, limit(&policy, "standard").quota.get())
    };
    assert_eq!(in_force(at("2026-11-18T08:59:59.999Z")), (true, 1));
    assert_eq!(in_force(at("2026-11-18T09:00:00Z")), (false, 1));
    assert_eq!(in_force(at("2026-11-18T10:00:00Z")), (false, 100));
    let mut left = all;
    left.drop_ended(at("2026-11-18T09:30:00Z"));
    assert_eq!((left.maintenance.is_none(), left.limits.len()), (true, 1));
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
    let json = r#"{"limits":{"standard":{"block":"0s","burst":7,"limit":"200 per 15m","until":"2026-11-21T18:30:00Z"}},"maintenance":{"enabled":false,"message":"\"Soon\"","retry_after":"1500ms","until":"2026-11-21T18:30:00.250Z"}}"#;
    assert_eq!(overrides(json).to_json(), json);
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
            "maintenance":{"enabled":"yes","until":"tomorrow"},"extra":1}"#,
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
    ] {
        assert!(all.contains(expected), "{expected} in\n{all}");
    }
    for json in ["", "[]", "{\"limits\":[]}", "{\"limits\":{\"a\":1}}", "{\"maintenance\":null}"] {
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
    assert_eq!(left.limits.keys().collect::<Vec<_>>(), ["paced"]);
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
