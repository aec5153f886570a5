use super::*;
use crate::policy::upstream::{BreakerRule, HealthCheck, ServerAddress};
use alloc::string::String;
use core::num::NonZeroU32;
use core::time::Duration;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

/// An upstream with so many servers.
fn rule(servers: usize) -> Upstream {
    let address = |at| ServerAddress::parse(&alloc::format!("s{at}:1")).unwrap();
    Upstream::new((0..servers).map(address).collect())
}

/// Who is chosen in turn, as letters; `-` for nobody, `*` where all are busy.
fn choices(group: &mut Group, rule: &Upstream, count: usize, now: Timestamp) -> String {
    let choice = |_| match group.choose(rule, Servers::default(), now) {
        Choice::Server(at) => char::from(b'a' + at as u8),
        Choice::Busy => '*',
        Choice::Nobody => '-',
    };
    (0..count).map(choice).collect()
}

fn fail(group: &mut Group, rule: &Upstream, server: usize, times: usize) {
    for _ in 0..times {
        group.tell(rule, server, Some(Failure::Unreachable), NOW);
    }
}

#[test]
fn p9_who_asks_hears_who_is_left_out_and_for_how_long() {
    let rule = rule(2);
    let mut group = Group::new(&rule);
    let seen = |group: &Group, now| group.seen(&rule, now);
    let well = UpstreamSeen { servers: 2, up: 2, left_out: 0, breaker_open: false };
    assert_eq!(seen(&group, NOW), well);
    fail(&mut group, &rule, 0, 3);
    assert_eq!(seen(&group, NOW), UpstreamSeen { up: 1, left_out: 1, ..well });
    fail(&mut group, &rule, 1, 3);
    assert_eq!(seen(&group, NOW), UpstreamSeen { up: 0, left_out: 2, ..well });
    assert_eq!(seen(&group, NOW + rule.eject.time), well);
}

#[test]
fn p1_who_fails_is_left_out_until_its_time_is_up() {
    let rule = rule(2);
    let mut group = Group::new(&rule);
    fail(&mut group, &rule, 0, 3);
    assert_eq!(choices(&mut group, &rule, 3, NOW), "bbb");
    assert_eq!(choices(&mut group, &rule, 3, NOW + rule.eject.time), "aaa", "it is at none");
}

#[test]
fn p1_where_all_fail_all_are_asked() {
    let rule = rule(2);
    let mut group = Group::new(&rule);
    fail(&mut group, &rule, 0, 3);
    fail(&mut group, &rule, 1, 3);
    assert_eq!(choices(&mut group, &rule, 4, NOW), "abba");
}

#[test]
fn p1_backups_come_when_nobody_else_is_up_and_before_those_left_out() {
    let mut rule = rule(3);
    rule.servers[2].backup = true;
    let mut group = Group::new(&rule);
    assert_eq!(choices(&mut group, &rule, 4, NOW), "abba");
    fail(&mut group, &rule, 0, 3);
    fail(&mut group, &rule, 1, 3);
    assert_eq!(choices(&mut group, &rule, 2, NOW), "cc");
    fail(&mut group, &rule, 2, 3);
    assert_eq!(choices(&mut group, &rule, 2, NOW), "ab");
}

#[test]
fn p1_who_is_down_by_its_checks_is_asked_by_nobody() {
    let mut rule = rule(2);
    rule.health = Some(HealthCheck {
        path: "/".into(),
        host: None,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(2),
        status: Vec::new(),
        rise: NonZeroU32::MIN,
        fall: NonZeroU32::MIN,
    });
    let mut group = Group::new(&rule);
    assert_eq!(group.checked(&rule, 0, false), Some(Change::Down));
    assert_eq!(choices(&mut group, &rule, 2, NOW), "bb");
    group.checked(&rule, 1, false);
    assert_eq!(choices(&mut group, &rule, 1, NOW), "-");
    assert_eq!(group.checked(&rule, 0, true), Some(Change::Up));
    assert_eq!(choices(&mut group, &rule, 1, NOW), "a");
    assert_eq!(group.checked(&rule, 9, true), None, "nobody is there");
}

#[test]
fn p1_each_server_is_at_so_many_requests_and_no_more() {
    let mut rule = rule(2);
    rule.max_connections = NonZeroU32::new(2);
    let mut group = Group::new(&rule);
    assert_eq!(choices(&mut group, &rule, 6, NOW), "abba**");
    group.leave(1);
    assert_eq!(choices(&mut group, &rule, 2, NOW), "b*");
    // Backups are for who is down, not for who is busy.
    rule.servers[1].backup = true;
    group.leave(1);
    assert_eq!(choices(&mut group, &rule, 1, NOW), "*");
}

#[test]
fn p1_who_was_tried_is_not_asked_again() {
    let rule = rule(3);
    let mut group = Group::new(&rule);
    let mut tried = Servers::default();
    for expected in [0, 1, 2] {
        assert_eq!(group.choose(&rule, tried, NOW), Choice::Server(expected));
        tried = tried.with(expected);
    }
    assert_eq!(group.choose(&rule, tried, NOW), Choice::Nobody);
}

#[test]
fn p6_errors_of_the_origin_count_and_gone_clients_do_not() {
    let rule = Upstream { breaker: Some(BreakerRule::default()), ..rule(1) };
    let mut group = Group::new(&rule);
    let call = |group: &mut Group, outcome| {
        let call = group.admit(&rule, NOW).unwrap().unwrap();
        group.conclude(&rule, call, outcome, NOW)
    };
    for _ in 0..20 {
        assert_eq!(call(&mut group, Outcome::Unknown), None);
    }
    for status in [200, 404, 429, 501, 505] {
        assert_eq!(call(&mut group, Outcome::Answered { status }), None);
    }
    for status in [500, 502, 503, 504] {
        assert_eq!(call(&mut group, Outcome::Answered { status }), None);
    }
    assert_eq!(call(&mut group, Outcome::Failed), Some(true), "5 of 10");
    assert!(group.admit(&rule, NOW).is_err());
    let later = NOW + Duration::from_secs(30);
    let probe = group.admit(&rule, later).unwrap().unwrap();
    let closed = group.conclude(&rule, probe, Outcome::Answered { status: 200 }, later);
    assert_eq!(closed, Some(false));
}

#[test]
fn without_a_breaker_everybody_is_let_through() {
    let rule = rule(1);
    assert_eq!(Group::new(&rule).admit(&rule, NOW), Ok(None));
}

#[test]
fn nothing_is_asked_of_nobody() {
    let rule = rule(0);
    let mut group = Group::new(&rule);
    assert_eq!(choices(&mut group, &rule, 1, NOW), "-");
    group.leave(0);
    assert_eq!(group.tell(&rule, 0, None, NOW), None);
}
