//! Who asks the origin for an answer that others want as well: one request of this isolate. Those
//! who refresh a stale answer leave it to that one; those who have none wait until it is stored,
//! for a bounded time, and look again. No body and no promise crosses from one request to another,
//! which the platform would not stand: who waits looks at a clock of its own.
//!
//! When the answer turns out not to be for others, all who wait go on at once, and for a while
//! nobody waits for its like.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::task;
use tidegate_core::Timestamp;

/// How long a turn lasts at most. The platform may end a request without a word, and half a
/// minute behind the answer it always does; then it is another request's turn.
const TURN_MAX: Duration = Duration::from_secs(30);
/// Who has waited for so long asks the origin itself.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two looks; longer from one to the next.
const LOOK: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(50)];
/// So long nobody waits for an answer like one that was not for others.
const UNSHARED: Duration = Duration::from_secs(10);
/// Turns and memories of the isolate at most.
const PLACES_MAX: usize = 1_024;
/// Requests of the isolate that wait at most.
const WAITING_MAX: usize = 4_096;

thread_local! {
    static TURNS: RefCell<Turns> = RefCell::default();
    static WAITING: Cell<usize> = const { Cell::new(0) };
}

/// By the URL where the answer will lie.
#[derive(Default)]
struct Turns(BTreeMap<Box<str>, State>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asked { since: Timestamp },
    Unshared { until: Timestamp },
}

/// What a request does that lacks an answer.
pub(crate) enum Joined {
    /// It asks, and others wait for its answer.
    Leads(Turn),
    /// Another one asks.
    Follows,
    /// It asks for itself.
    Alone,
}

/// The right to ask for an answer on behalf of all; over when dropped.
pub(crate) struct Turn {
    place: Box<str>,
    since: Timestamp,
}

/// Takes the turn for what will lie at `place`, if nobody has it.
pub(crate) fn join(place: &str, now: Timestamp) -> Joined {
    TURNS.with_borrow_mut(|turns| turns.join(place, now))
}

/// Takes the turn to refresh what lies at `place`, one at a time.
pub(crate) fn refresh(place: &str, now: Timestamp) -> Option<Turn> {
    TURNS.with_borrow_mut(|turns| turns.lead(place, now))
}

/// Waits until nobody asks for what will lie at `place`, or for as long as makes sense.
pub(crate) async fn wait(place: &str) {
    let Some(_waiting) = Waiting::begin() else { return };
    let ([mut pause, longest], mut waited) = (LOOK, Duration::ZERO);
    while waited < WAIT_MAX && TURNS.with_borrow(|turns| turns.is_asked(place)) {
        task::pause(pause).await;
        waited += pause;
        pause = longest.min(pause * 2);
    }
}

impl Turns {
    fn join(&mut self, place: &str, now: Timestamp) -> Joined {
        match self.0.get(place) {
            Some(State::Asked { since }) if now < *since + TURN_MAX => Joined::Follows,
            Some(State::Unshared { until }) if now < *until => Joined::Alone,
            _ => self.lead(place, now).map_or(Joined::Alone, Joined::Leads),
        }
    }

    fn lead(&mut self, place: &str, now: Timestamp) -> Option<Turn> {
        let is_asked =
            |state: &State| matches!(state, State::Asked { since } if now < *since + TURN_MAX);
        if self.0.get(place).is_some_and(is_asked) {
            return None;
        }
        if self.0.len() >= PLACES_MAX {
            self.0.retain(|_, state| match state {
                State::Asked { since } => now < *since + TURN_MAX,
                State::Unshared { until } => now < *until,
            });
        }
        if self.0.len() >= PLACES_MAX {
            return None;
        }
        self.0.insert(place.into(), State::Asked { since: now });
        Some(Turn { place: place.into(), since: now })
    }

    fn is_asked(&self, place: &str) -> bool {
        matches!(self.0.get(place), Some(State::Asked { .. }))
    }

    /// Whether the turn has not gone to a later request, when it took too long.
    fn is_of(&self, turn: &Turn) -> bool {
        self.0.get(&turn.place) == Some(&State::Asked { since: turn.since })
    }
}

impl Turn {
    /// Ends it with an answer that is for nobody else.
    pub(crate) fn end_unshared(self, now: Timestamp) {
        TURNS.with_borrow_mut(|turns| {
            if turns.is_of(&self) {
                turns.0.insert(self.place.clone(), State::Unshared { until: now + UNSHARED });
            }
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURNS.with_borrow_mut(|turns| {
            if turns.is_of(self) {
                turns.0.remove(&self.place);
            }
        });
    }
}

/// A place among those who wait, given up when it is dropped.
struct Waiting;

impl Waiting {
    fn begin() -> Option<Self> {
        let waiting = WAITING.get();
        (waiting < WAITING_MAX).then(|| {
            WAITING.set(waiting + 1);
            Self
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.set(WAITING.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn lead(place: &str, now: Timestamp) -> Turn {
        match join(place, now) {
            Joined::Leads(turn) => turn,
            _ => panic!("the turn at {place} is not free"),
        }
    }

    fn follows(place: &str, now: Timestamp) -> bool {
        matches!(join(place, now), Joined::Follows)
    }

    #[test]
    fn c11_one_at_a_time_has_the_turn_and_gives_it_back() {
        let turn = lead("/a", NOW);
        assert!(follows("/a", NOW));
        drop(lead("/b", NOW));
        drop(turn);
        drop(lead("/a", NOW));
    }

    #[test]
    fn c11_a_turn_that_nobody_ends_is_over_by_itself() {
        let lost = lead("/a", NOW);
        let _next = lead("/a", NOW + TURN_MAX);
        drop(lost);
        assert!(follows("/a", NOW + TURN_MAX), "the later turn goes on");
    }

    #[test]
    fn c11_for_an_answer_that_was_not_for_others_nobody_waits_for_a_while() {
        lead("/a", NOW).end_unshared(NOW);
        assert!(matches!(join("/a", NOW), Joined::Alone));
        let turn = refresh("/a", NOW);
        assert!(turn.is_some() && refresh("/a", NOW).is_none(), "one refreshes all the same");
        turn.unwrap().end_unshared(NOW);
        drop(lead("/a", NOW + UNSHARED));
    }

    #[test]
    fn turns_are_bounded_and_what_is_over_makes_room() {
        let turns: Vec<Turn> = (0..PLACES_MAX).map(|at| lead(&format!("/{at}"), NOW)).collect();
        assert!(matches!(join("/more", NOW), Joined::Alone));
        turns.into_iter().for_each(|turn| turn.end_unshared(NOW));
        drop(lead("/more", NOW + UNSHARED));
    }
}
