//! A cache of one resource run by the core, beside the model: whatever happens, it serves only
//! what the model may serve, and whatever it has that is fresh.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use tidegate_core::invalidate::invalidated;
use tidegate_core::refresh::{Refresh, refresh};
use tidegate_core::reuse::{Lookup, Reuse, reuse};
use tidegate_core::rule::{ClientDirectives, Mode};
use tidegate_core::store::{Store, renew, store};
use tidegate_core::{
    CacheRule, Exchange, Host, Method, Request, Response, Scheme, Stored, Target, Tier, Timestamp,
};

use crate::model::{self, Said, Wants};

/// What happens to a cache.
#[derive(Arbitrary, Debug)]
pub enum Event {
    /// The origin answers a GET.
    Answer(Answer),
    /// Seconds go by.
    Wait(u8),
    /// A client asks.
    Ask(Ask),
    /// The origin confirms what is stored.
    Confirm(Answer),
    /// A client changes something, and the origin answers with this status.
    Change { status: u16 },
}

/// What the origin says.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Answer {
    max_age: Option<u8>,
    s_maxage: Option<u8>,
    flags: [bool; 5],
    stale_while_revalidate: Option<u8>,
    age: Option<u8>,
}

/// What a client says.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Ask {
    no_cache: bool,
    max_age: Option<u8>,
    min_fresh: Option<u8>,
    max_stale: Option<u8>,
}

type Lines = Vec<(&'static str, String)>;

/// Lets it all happen; panics where the core and the model part.
pub fn run(events: &[Event]) {
    let mut world = World { now: 1_795_000_000, held: None };
    for event in events {
        match event {
            Event::Answer(answer) => world.answer(answer),
            Event::Wait(seconds) => world.now += u64::from(*seconds),
            Event::Ask(ask) => world.ask(ask),
            Event::Confirm(answer) => world.confirm(answer),
            Event::Change { status } => world.change(*status),
        }
    }
}

struct World {
    /// In seconds.
    now: u64,
    /// What the core and the model hold.
    held: Option<(Stored, model::Stored)>,
}

impl World {
    fn at(&self) -> Timestamp {
        Timestamp::from_secs(self.now)
    }

    fn answer(&mut self, answer: &Answer) {
        let (lines, said) = (answer.lines(true), answer.said());
        let exchange = Exchange { requested_at: self.at(), received_at: self.at() };
        let response = Response::read(Tier::Origin, 200, &lines, self.at());
        let kept = with_get(&Vec::new(), |request| store(&rule(), request, &response, &exchange));
        self.hold(kept, model::Stored::of(&said, self.now));
    }

    fn confirm(&mut self, answer: &Answer) {
        let Some((stored, model)) = self.held.take() else { return };
        if !model.has_validator() {
            return;
        }
        let mut lines = answer.lines(false);
        lines.push(("etag", "\"a\"".to_owned()));
        let update = Some((304, &lines));
        let decision = refresh(&stored, &[&[("etag", "\"a\"")]], update, self.at());
        assert_eq!(decision, Refresh::Freshen { serve: 0, also: Vec::new() });
        let exchange = Exchange { requested_at: self.at(), received_at: self.at() };
        let response = Response::read(Tier::Origin, 200, &lines, self.at());
        let kept = with_get(&Vec::new(), |request| renew(&rule(), request, &response, &exchange));
        self.hold(kept, model.freshened(&answer.said(), self.now));
    }

    /// The core may keep less than it is allowed to, but nothing more, and nothing fresh less.
    fn hold(&mut self, kept: Store, allowed: Option<model::Stored>) {
        self.held = match (kept, allowed) {
            (Store::Keep { stored, .. }, Some(model)) => Some((stored, model)),
            (Store::Keep { .. }, None) => panic!("kept what must not be stored"),
            (Store::Skip(why), Some(model)) => {
                let serves = model.may_serve_fresh(&Wants::default(), self.now);
                assert!(!serves, "not kept, though it would serve: {}", why.as_str());
                None
            }
            (Store::Skip(_), None) => None,
        };
    }

    fn ask(&self, ask: &Ask) {
        let Some((stored, model)) = &self.held else { return };
        let (wants, now) = (ask.wants(), self.at());
        let decision =
            with_get(&ask.lines(), |request| reuse(&rule(), request, Lookup::Found(*stored), now));
        let fresh = model.may_serve_fresh(&wants, self.now);
        match decision {
            Reuse::Serve { age, .. } => {
                assert!(fresh, "served as fresh");
                assert_eq!(age.as_secs(), model.current_age(self.now));
            }
            Reuse::ServeStale { age, .. } => {
                assert!(model.may_serve_stale(&wants, self.now), "served stale");
                assert_eq!(age.as_secs(), model.current_age(self.now));
            }
            _ => assert!(!fresh, "not served, though it is fresh"),
        }
    }

    fn change(&mut self, status: u16) {
        let (host, target) = (host(), Target::parse("/").expect("a target"));
        let none = Lines::new();
        let request = Request::read(Method::Unsafe, Scheme::Https, &host, &target, &none);
        let gone = !invalidated(&request, status, &none).is_empty();
        assert_eq!(gone, model::invalidates(status));
        if gone {
            self.held = None;
        }
    }
}

impl Answer {
    fn said(&self) -> Said {
        let [no_store, no_cache, private, must_revalidate, has_etag] = self.flags;
        let seconds = |value: Option<u8>| value.map(u64::from);
        Said {
            max_age: seconds(self.max_age),
            s_maxage: seconds(self.s_maxage),
            no_store,
            no_cache,
            private,
            must_revalidate,
            stale_while_revalidate: seconds(self.stale_while_revalidate),
            has_etag,
            age: self.age.unwrap_or(0).into(),
        }
    }

    /// The head; a confirmation has no Age of its own, and the tag of what it confirms.
    fn lines(&self, whole: bool) -> Lines {
        let [no_store, no_cache, private, must_revalidate, has_etag] = self.flags;
        let flags = [
            ("no-store", no_store),
            ("no-cache", no_cache),
            ("private", private),
            ("must-revalidate", must_revalidate),
        ];
        let numbers = [
            ("max-age", self.max_age),
            ("s-maxage", self.s_maxage),
            ("stale-while-revalidate", self.stale_while_revalidate),
        ];
        let mut lines = vec![("cache-control", directives(&flags, &numbers))];
        if whole {
            lines.extend(has_etag.then(|| ("etag", "\"a\"".to_owned())));
            lines.extend(self.age.map(|age| ("age", age.to_string())));
        }
        lines
    }
}

impl Ask {
    fn wants(&self) -> Wants {
        let seconds = |value: Option<u8>| value.map(u64::from);
        Wants {
            no_cache: self.no_cache,
            max_age: seconds(self.max_age),
            min_fresh: seconds(self.min_fresh),
            max_stale: seconds(self.max_stale),
        }
    }

    fn lines(&self) -> Lines {
        let numbers = [
            ("max-age", self.max_age),
            ("min-fresh", self.min_fresh),
            ("max-stale", self.max_stale),
        ];
        vec![("cache-control", directives(&[("no-cache", self.no_cache)], &numbers))]
    }
}

fn directives(flags: &[(&str, bool)], numbers: &[(&str, Option<u8>)]) -> String {
    let flags = flags.iter().filter(|(_, set)| *set).map(|(name, _)| (*name).to_owned());
    let number = |(name, value): &(&str, Option<u8>)| value.map(|n| format!("{name}={n}"));
    flags.chain(numbers.iter().filter_map(number)).collect::<Vec<_>>().join(", ")
}

fn with_get<T>(fields: &Lines, ask: impl FnOnce(&Request<'_, Lines>) -> T) -> T {
    let (host, target) = (host(), Target::parse("/").expect("a target"));
    ask(&Request::read(Method::Get, Scheme::Https, &host, &target, fields))
}

fn host() -> Host<'static> {
    Host::parse("a.example", Scheme::Https).expect("a host")
}

/// By the letter of RFC 9111, and no word of ours.
fn rule() -> CacheRule {
    CacheRule {
        mode: Mode::Respect,
        ttl: None,
        status_ttl: Default::default(),
        stale_while_revalidate: None,
        stale_if_error: None,
        client_directives: ClientDirectives::Honour,
        unsafe_ignore: Vec::new(),
        key: Default::default(),
    }
}
