//! Circuit breakers of this isolate: a store that fails is left alone for a while, so that not
//! every request waits for its time-out.
//!
//! One client's object that fails says little of the others: a flood may bring down its own. So
//! an object is left alone by itself, and all objects only when those of several clients have
//! failed in a row, with no success in between. A request probes then, one at a time.

use std::cell::RefCell;
use std::time::Duration;

use tidegate_core::rate::State;
use tidegate_core::{LimitKey, Timestamp};
use worker::console_warn;

use super::Failure;
use super::local_states::LocalStates;

/// So many failures in a row open a breaker.
const FAILURES: u32 = 3;
/// So long nobody asks what has failed.
const PAUSE: Duration = Duration::from_secs(5);
/// Failures that open nothing are told of once in this time.
const TOLD_EVERY: Duration = Duration::from_secs(60);

thread_local! {
    /// By store: the binding of the objects, and that of each limit which has one.
    static BREAKERS: RefCell<Vec<(String, Breaker)>> = RefCell::default();
    /// Clients whose store has just failed: "blocked" until it may be asked again.
    static FAILING: RefCell<LocalStates> = RefCell::default();
}

/// The right to ask a store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    is_probe: bool,
}

/// What is known of one store.
#[derive(Debug, Default)]
struct Breaker {
    failures_in_a_row: u32,
    /// When the next probe is due, while nobody else may ask.
    open_until: Option<Timestamp>,
    /// Decisions made without the store since it is not asked.
    without: u32,
    /// Failures that nobody was told of, and when somebody was.
    untold: u32,
    told: Option<Timestamp>,
}

/// What a failure is worth telling.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// The store is not asked from now on.
    Opened,
    /// So many requests have found it failing since the last time.
    Failures(u32),
    /// It was told of lately.
    Nothing,
}

/// The right to ask `store` about the client `key`, unless it has just failed.
pub(super) fn ask(store: &str, key: &LimitKey, now: Timestamp) -> Option<Asked> {
    if is_failing(key, now) {
        return with(store, Breaker::go_without);
    }
    with(store, |breaker| breaker.ask(now))
}

/// Notes that `store` has answered.
pub(super) fn succeeded(store: &str, asked: Asked) {
    if let Some(without) = with(store, |breaker| breaker.succeeded(asked)) {
        console_warn!("tidegate: {store} answers again; {without} decisions were made without it");
    }
}

/// Notes that `store` was no help with the client `key`.
pub(super) fn failed(store: &str, asked: Asked, key: &LimitKey, failure: &Failure, now: Timestamp) {
    // Of many requests of one client at a time, the first alone counts.
    let is_other = asked.is_probe || !is_failing(key, now);
    let until = now + PAUSE;
    FAILING.with_borrow_mut(|all| all.remember(key, State::Blocked { until }, until, now));
    let counts = is_other && *failure != Failure::Overloaded;
    match with(store, |breaker| breaker.failed(asked, counts, now)) {
        Told::Opened => console_warn!(
            "tidegate: {store} {failure}; limits go by their on_store_error until it answers again"
        ),
        Told::Failures(count) => {
            console_warn!("tidegate: {store} {failure} ({count} requests so far)");
        }
        Told::Nothing => {}
    }
}

fn is_failing(key: &LimitKey, now: Timestamp) -> bool {
    let state = FAILING.with_borrow(|all| all.get(key));
    matches!(state, Some(State::Blocked { until }) if now < until && until <= now + PAUSE)
}

fn with<T>(store: &str, then: impl FnOnce(&mut Breaker) -> T) -> T {
    BREAKERS.with_borrow_mut(|all| {
        let at = all.iter().position(|(name, _)| name == store).unwrap_or_else(|| {
            all.push((store.into(), Breaker::default()));
            all.len() - 1
        });
        then(&mut all[at].1)
    })
}

impl Breaker {
    fn ask(&mut self, now: Timestamp) -> Option<Asked> {
        match self.open_until {
            None => Some(Asked { is_probe: false }),
            // A clock that was set back must not make the pause longer.
            Some(until) if now < until && until <= now + PAUSE => self.go_without(),
            // Others wait for what comes of it, or for the next turn.
            Some(_) => {
                self.open_until = Some(now + PAUSE);
                Some(Asked { is_probe: true })
            }
        }
    }

    fn go_without(&mut self) -> Option<Asked> {
        self.without = self.without.saturating_add(1);
        None
    }

    /// How many decisions were made without the store, if it is asked again from now on.
    fn succeeded(&mut self, asked: Asked) -> Option<u32> {
        self.failures_in_a_row = 0;
        // A late answer to an old question closes nothing: the probe does.
        self.open_until.take_if(|_| asked.is_probe)?;
        self.told = None;
        Some(core::mem::take(&mut self.without))
    }

    fn failed(&mut self, asked: Asked, counts: bool, now: Timestamp) -> Told {
        self.without = self.without.saturating_add(1);
        if asked.is_probe || self.open_until.is_some() {
            return Told::Nothing;
        }
        self.failures_in_a_row += u32::from(counts);
        if self.failures_in_a_row >= FAILURES {
            self.open_until = Some(now + PAUSE);
            self.untold = 0;
            return Told::Opened;
        }
        self.untold += 1;
        let lately = |at| now < at + TOLD_EVERY && at <= now;
        if self.told.is_some_and(lately) {
            return Told::Nothing;
        }
        self.told = Some(now);
        Told::Failures(core::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn fail(breaker: &mut Breaker, now: Timestamp) -> Told {
        let asked = breaker.ask(now).expect("it is asked");
        breaker.failed(asked, true, now)
    }

    #[test]
    fn r8_a_few_failures_in_a_row_open_it_and_one_request_at_a_time_probes() {
        let mut breaker = Breaker::default();
        assert_eq!(fail(&mut breaker, NOW), Told::Failures(1));
        assert_eq!(fail(&mut breaker, NOW), Told::Nothing);
        let asked = breaker.ask(NOW).unwrap();
        assert_eq!(breaker.succeeded(asked), None);
        assert_eq!(fail(&mut breaker, NOW), Told::Nothing);
        assert_eq!(fail(&mut breaker, NOW), Told::Nothing);
        assert_eq!(fail(&mut breaker, NOW), Told::Opened);

        assert_eq!(breaker.ask(NOW), None);
        assert_eq!(breaker.ask(NOW + SECOND * 4), None);
        let later = NOW + PAUSE;
        assert_eq!(breaker.ask(later), Some(Asked { is_probe: true }));
        assert_eq!(breaker.ask(later), None, "one at a time");
        assert_eq!(breaker.failed(Asked { is_probe: true }, true, later), Told::Nothing);
        assert_eq!(breaker.ask(later + SECOND * 4), None);

        let late = Asked { is_probe: false };
        assert_eq!(breaker.succeeded(late), None, "the probe closes it, and nothing else");
        let probe = breaker.ask(later + PAUSE).unwrap();
        assert_eq!(breaker.succeeded(probe), Some(10));
        assert_eq!(breaker.ask(later + PAUSE), Some(Asked { is_probe: false }));
    }

    #[test]
    fn r8_a_probe_of_which_nobody_hears_again_is_followed_by_another() {
        let mut breaker = Breaker { open_until: Some(NOW), ..Breaker::default() };
        assert!(breaker.ask(NOW).is_some() && breaker.ask(NOW).is_none());
        assert!(breaker.ask(NOW + PAUSE).is_some());
        // Nor does a clock set back make anybody wait for longer.
        assert!(breaker.ask(NOW.before(SECOND * 1000)).is_some());
    }

    #[test]
    fn r8_failures_that_open_nothing_are_told_of_now_and_then() {
        let mut breaker = Breaker::default();
        let mut told = Vec::new();
        for second in 0..130 {
            let now = NOW + SECOND * second;
            let asked = breaker.ask(now).expect("an object with too much to do opens nothing");
            told.extend(Some(breaker.failed(asked, false, now)).filter(|t| *t != Told::Nothing));
        }
        assert_eq!(told, [1, 60, 60].map(Told::Failures));
    }
}
