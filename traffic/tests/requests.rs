//! What the traffic of many users is like.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use tidegate_traffic::{Kind, Mix, Request, Requests, Traffic};

const TEN: Duration = Duration::from_secs(10 * 3600);

fn traffic(users: u32, rate: f64, seed: u64) -> Traffic {
    Traffic { users: NonZeroU32::new(users).expect("users"), rate, seed, from: TEN }
}

/// What is asked within so many minutes, after as many as it takes until all is as always.
fn minutes(mix: &Mix, traffic: Traffic, minutes: u64) -> Vec<Request<'_>> {
    let begun = TEN + Duration::from_secs(25 * 60);
    let ends = begun + Duration::from_secs(minutes * 60);
    let requests = Requests::of(mix, traffic).skip_while(|request| request.at < begun);
    requests.take_while(|request| request.at < ends).collect()
}

/// The words of requests, to compare.
fn words(mix: &Mix, seed: u64) -> Vec<String> {
    let word = |request: Request<'_>| {
        let Request { at, person, target, is_conditional, .. } = &request;
        format!("{at:?} {person:?} {} {target} {is_conditional}", request.method())
    };
    Requests::of(mix, traffic(1_000, 20.0, seed)).take(2_000).map(word).collect()
}

#[test]
fn the_same_seed_means_the_same_requests_and_another_one_others() {
    let mix = Mix::platform();
    assert_eq!(words(&mix, 7), words(&mix, 7));
    assert_ne!(words(&mix, 7), words(&mix, 8));
    // By which a platform on which it is otherwise would be found out.
    let last = "36158.581s Person { user: 292, team: 36, address: 10.70.205.228 } \
                GET /assets/icons.1d.svg false";
    assert_eq!(words(&mix, 7)[1_999], last);
}

#[test]
fn requests_are_in_the_order_of_time() {
    let mix = Mix::platform();
    let times: Vec<Duration> =
        Requests::of(&mix, traffic(10_000, 200.0, 1)).take(40_000).map(|r| r.at).collect();
    assert!(times.is_sorted());
}

/// Visits are few and have many requests each, so that the rate wavers more than its square root.
#[test]
fn t3_as_many_requests_come_as_are_wanted_for_each_number_of_users() {
    let mix = Mix::platform();
    for (users, rate) in [(500, 50.0), (2_000, 150.0)] {
        let requests = minutes(&mix, traffic(users, rate, 3), 20);
        let found = requests.len() as f64 / (20.0 * 60.0);
        assert!((0.93 * rate..1.07 * rate).contains(&found), "{found} for {rate}");
        assert!(requests.iter().all(|request| request.person.user < users));
    }
}

#[test]
fn a_night_is_quiet() {
    let mix = Mix::platform();
    let in_the_hour = |hour: u64| {
        let from = Duration::from_secs(hour * 3600);
        let traffic = Traffic { from, ..traffic(10_000, 20.0, 1) };
        Requests::of(&mix, traffic).take_while(|r| r.at < from + Duration::from_secs(3600)).count()
    };
    let (night, morning) = (in_the_hour(3), in_the_hour(10));
    assert!(night * 10 < morning, "{night} at three, {morning} at ten");
}

/// T1 expects of the edge half of all requests and more: what it may keep must be as much.
#[test]
fn t1_the_mix_has_what_the_edge_and_the_origin_can_take_away() {
    let mix = Mix::platform();
    let requests = minutes(&mix, traffic(10_000, 100.0, 1), 20);
    let share = |which: fn(Kind) -> bool| {
        requests.iter().filter(|r| which(r.kind())).count() as f64 / requests.len() as f64
    };
    let files = share(|kind| matches!(kind, Kind::Asset | Kind::Bundle));
    assert!((0.5..0.7).contains(&files), "{files}");
    let writes = share(|kind| kind == Kind::Write);
    assert!((0.002..0.03).contains(&writes), "{writes}");
    let auth = share(|kind| kind == Kind::Auth);
    assert!((0.02..0.15).contains(&auth), "{auth}");
    assert!(Kind::ALL.into_iter().all(|kind| requests.iter().any(|r| r.kind() == kind)));
    let conditional = requests.iter().filter(|r| r.is_conditional).count() as f64;
    assert!(conditional / requests.len() as f64 > 0.02, "{conditional}");
}

#[test]
fn few_plugins_and_few_teams_make_most_of_it() {
    let mix = Mix::platform();
    let requests = minutes(&mix, traffic(10_000, 100.0, 1), 20);
    let first_tenth = |counts: HashMap<u32, usize>, all: u32| {
        let first: usize = (0..all / 10).filter_map(|place| counts.get(&place)).sum();
        first as f64 / counts.values().sum::<usize>() as f64
    };
    let mut teams: HashMap<u32, usize> = HashMap::new();
    let mut plugins: HashMap<u32, usize> = HashMap::new();
    for request in &requests {
        *teams.entry(request.person.team).or_default() += 1;
        let plugin = request.target.strip_prefix("/plugins/plugin-");
        if let Some(plugin) = plugin.and_then(|rest| rest.split('/').next()?.parse().ok()) {
            *plugins.entry(plugin).or_default() += 1;
        }
    }
    let (teams, plugins) = (first_tenth(teams, 1_250), first_tenth(plugins, 200));
    // By the law 0.48 of visits; and of plugins 0.61, fewer since browsers keep what is liked.
    assert!((0.4..0.56).contains(&teams), "{teams}");
    assert!((0.4..0.7).contains(&plugins), "{plugins}");
}

/// Neither users nor time cost memory, only who is there at once.
#[test]
fn who_is_there_at_once_follows_from_the_rate_and_not_from_users_or_time() {
    let mix = Mix::platform();
    let most = |users: u32, requests: usize| {
        let mut all = Requests::of(&mix, traffic(users, 25.0, 1));
        let mut most = 0;
        for _ in 0..requests {
            all.next();
            most = most.max(all.here());
        }
        most
    };
    let (few, many, long) = (most(10_000, 40_000), most(10_000_000, 40_000), most(10_000, 120_000));
    assert!(many < few * 3 / 2 && long < few * 3 / 2, "{few}, {many}, {long}");
}

#[test]
fn without_a_rate_nobody_comes() {
    let mix = Mix::platform();
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Requests::of(&mix, traffic(1_000, rate, 1)).count(), 0, "{rate}");
    }
}

#[test]
fn what_a_browser_keeps_is_counted_and_nothing_else() {
    let mix = Mix::platform();
    let mut requests = Requests::of(&mix, traffic(1_000, 20.0, 1));
    assert!(requests.by_ref().take(20_000).count() == 20_000);
    for (endpoint, spared) in mix.endpoints.iter().zip(requests.spared()) {
        let is_kept = endpoint.browser > 0 && !endpoint.reload && endpoint.method == "GET";
        assert_eq!(*spared > 0, is_kept, "{}: {spared}", endpoint.name);
    }
}
