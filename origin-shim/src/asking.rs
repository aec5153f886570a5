//! Who asks upstream for an answer that others want as well: one request of this process (C11).
//! Those who refresh a stale answer leave it to that one; those who have none wait until it is
//! stored, for a bounded time, and look again.
//!
//! When the answer turns out not to be for others, all who wait go on at once, and for a while
//! nobody waits for its like.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_core::headers::vary::VariantSignature;
use tidegate_core::{CacheKey, Timestamp};
use tokio::sync::watch;

use crate::recording::Recording;

/// Who has waited for so long asks upstream itself.
pub const WAIT_MAX: Duration = Duration::from_secs(5);
/// So long nobody waits for an answer like one that was not for others.
const UNSHARED: Duration = Duration::from_secs(10);
/// Turns and memories at most.
const PLACES_MAX: usize = 1 << 14;
/// Requests that wait at most.
const WAITING_MAX: usize = 4096;

/// Where an answer will lie: its key, and what chooses it among the variants, as far as that is
/// known before it is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The key.
    pub key: CacheKey,
    /// What chooses it by the Vary of what is stored; empty where that is nothing.
    pub variant: VariantSignature,
}

/// Who asks for what, and for what nobody waits.
#[derive(Debug, Default)]
pub struct Turns {
    places: Mutex<HashMap<Place, State>>,
    waiting: AtomicUsize,
}

#[derive(Debug)]
enum State {
    Asked(watch::Receiver<Phase>),
    Unshared { until: Timestamp },
}

/// How far who asks has come.
#[derive(Clone, Debug)]
enum Phase {
    /// Upstream has not answered.
    Asked,
    /// It has, and the body is on its way to the store.
    Recorded(Arc<Recording>),
    Over(End),
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The answer is stored.
    Stored,
    /// It is for nobody else.
    Unshared,
    /// There is no answer, or one that says that upstream fails.
    Failed,
    /// Whoever had the turn is gone.
    Left,
}

/// What a request does that lacks an answer.
#[derive(Debug)]
pub enum Joined {
    /// It asks, and others wait for its answer.
    Leads(Turn),
    /// Another one asks.
    Follows(Following),
    /// It asks for itself: too many wait.
    Alone,
    /// It asks for itself: what came of the last such question was for nobody else.
    Unshared,
}

/// The right to ask for an answer on behalf of all; over when dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    place: Place,
    phase: watch::Sender<Phase>,
    is_over: bool,
}

/// What those who wait are told by.
#[derive(Debug)]
pub struct Notice(watch::Sender<Phase>);

/// A place among those who wait, given up when it is dropped.
#[derive(Debug)]
pub struct Following {
    turns: Arc<Turns>,
    phase: watch::Receiver<Phase>,
}

impl Turns {
    /// Takes the turn for what will lie at `place`, if nobody has it.
    pub fn join(self: &Arc<Self>, place: Place, now: Timestamp) -> Joined {
        let mut places = self.places();
        match places.get(&place) {
            Some(State::Asked(phase)) => {
                let phase = phase.clone();
                drop(places);
                self.follow(phase).map_or(Joined::Alone, Joined::Follows)
            }
            Some(State::Unshared { until }) if now < *until => Joined::Unshared,
            _ => self.lead_at(&mut places, place, now).map_or(Joined::Alone, Joined::Leads),
        }
    }

    /// Takes the turn to refresh what lies at `place`, one at a time.
    pub fn refresh(self: &Arc<Self>, place: Place, now: Timestamp) -> Option<Turn> {
        let mut places = self.places();
        match places.get(&place) {
            Some(State::Asked(_)) => None,
            _ => self.lead_at(&mut places, place, now),
        }
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn lead_at(
        self: &Arc<Self>,
        places: &mut HashMap<Place, State>,
        place: Place,
        now: Timestamp,
    ) -> Option<Turn> {
        if places.len() >= PLACES_MAX {
            places.retain(|_, state| match state {
                State::Asked(_) => true,
                State::Unshared { until } => now < *until,
            });
        }
        if places.len() >= PLACES_MAX {
            return None;
        }
        let (phase, asked) = watch::channel(Phase::Asked);
        places.insert(place.clone(), State::Asked(asked));
        Some(Turn { turns: Arc::clone(self), place, phase, is_over: false })
    }

    fn follow(self: &Arc<Self>, phase: watch::Receiver<Phase>) -> Option<Following> {
        let enter = |waiting| (waiting < WAITING_MAX).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter).ok()?;
        Some(Following { turns: Arc::clone(self), phase })
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Place, State>> {
        // Insertions and removals are whole whatever panics around them.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// The key of what is asked for.
    pub fn key(&self) -> &CacheKey {
        &self.place.key
    }

    /// Tells those who wait how far it has come.
    pub fn notice(&self) -> Notice {
        Notice(self.phase.clone())
    }

    /// Ends it. For an answer that is for nobody else, nobody waits for a while.
    pub fn end(mut self, end: End, now: Timestamp) {
        self.is_over = true;
        {
            let mut places = self.turns.places();
            match end {
                End::Unshared => {
                    let unshared = State::Unshared { until: now + UNSHARED };
                    places.insert(self.place.clone(), unshared);
                }
                End::Stored | End::Failed | End::Left => drop(places.remove(&self.place)),
            }
        }
        self.phase.send_replace(Phase::Over(end));
    }
}

impl Notice {
    /// The answer is for others, and its body is on its way: who waits helps to fetch it, so that
    /// nobody waits for a client that reads slowly.
    pub fn is_recorded(&self, recording: &Arc<Recording>) {
        self.0.send_if_modified(|phase| {
            let is_asked = matches!(phase, Phase::Asked);
            if is_asked {
                *phase = Phase::Recorded(Arc::clone(recording));
            }
            is_asked
        });
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.turns.places().remove(&self.place);
            self.phase.send_replace(Phase::Over(End::Left));
        }
    }
}

impl Following {
    /// Waits until the turn is over.
    pub async fn end(mut self) -> End {
        loop {
            let phase = self.phase.borrow_and_update().clone();
            match phase {
                Phase::Over(end) => return end,
                Phase::Recorded(recording) => {
                    let recorded = recording.fetch();
                    tokio::select! {
                        () = recorded => {}
                        changed = self.phase.changed() => match changed {
                            Ok(()) => continue,
                            Err(_) => return End::Left,
                        },
                    }
                    // Whoever has fetched the last piece stores it and says so.
                    if self.phase.changed().await.is_err() {
                        return End::Left;
                    }
                }
                Phase::Asked => {
                    if self.phase.changed().await.is_err() {
                        return End::Left;
                    }
                }
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.turns.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::key::KeyRule;
    use tidegate_core::{Host, Identity, Method, Request, Scheme, Target};

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn place(path: &str) -> Place {
        let host = Host::parse("h", Scheme::Http).unwrap();
        let target = Target::parse(path).unwrap();
        let fields = http::HeaderMap::new();
        let request = Request::read(Method::Get, Scheme::Http, &host, &target, &fields);
        let key = CacheKey::of(&KeyRule::default(), &request, &Identity::Anonymous);
        Place { key, variant: VariantSignature::default() }
    }

    fn lead(turns: &Arc<Turns>, path: &str, now: Timestamp) -> Turn {
        match turns.join(place(path), now) {
            Joined::Leads(turn) => turn,
            other => panic!("the turn at {path} is not free: {other:?}"),
        }
    }

    fn follow(turns: &Arc<Turns>, path: &str) -> Following {
        match turns.join(place(path), NOW) {
            Joined::Follows(following) => following,
            other => panic!("nobody leads at {path}: {other:?}"),
        }
    }

    fn end_of(following: Following) -> End {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(following.end())
    }

    #[test]
    fn c11_one_at_a_time_has_the_turn_and_gives_it_back() {
        let turns = Arc::<Turns>::default();
        let turn = lead(&turns, "/a", NOW);
        let following = follow(&turns, "/a");
        assert!(turns.refresh(place("/a"), NOW).is_none());
        drop(lead(&turns, "/b", NOW));
        turn.end(End::Stored, NOW);
        assert_eq!(end_of(following), End::Stored);
        drop(lead(&turns, "/a", NOW));
    }

    #[test]
    fn c11_who_leads_and_leaves_frees_those_who_wait() {
        let turns = Arc::<Turns>::default();
        let turn = lead(&turns, "/a", NOW);
        let (one, two) = (follow(&turns, "/a"), follow(&turns, "/a"));
        drop(turn);
        let _next = lead(&turns, "/a", NOW);
        assert_eq!((end_of(one), end_of(two)), (End::Left, End::Left));
        assert_eq!(turns.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn c11_for_an_answer_that_was_not_for_others_nobody_waits_for_a_while() {
        let turns = Arc::<Turns>::default();
        let turn = lead(&turns, "/a", NOW);
        let following = follow(&turns, "/a");
        turn.end(End::Unshared, NOW);
        assert_eq!(end_of(following), End::Unshared);
        assert!(matches!(turns.join(place("/a"), NOW), Joined::Unshared));
        let turn = turns.refresh(place("/a"), NOW).expect("one refreshes all the same");
        assert!(turns.refresh(place("/a"), NOW).is_none());
        turn.end(End::Unshared, NOW);
        drop(lead(&turns, "/a", NOW + UNSHARED));
    }

    #[test]
    fn turns_are_bounded_and_what_is_over_makes_room() {
        let turns = Arc::<Turns>::default();
        let all: Vec<Turn> =
            (0..PLACES_MAX).map(|at| lead(&turns, &format!("/{at}"), NOW)).collect();
        assert!(matches!(turns.join(place("/more"), NOW), Joined::Alone));
        all.into_iter().for_each(|turn| turn.end(End::Unshared, NOW));
        drop(lead(&turns, "/more", NOW + UNSHARED));
    }

    #[test]
    fn those_who_wait_are_bounded() {
        let turns = Arc::<Turns>::default();
        let _turn = lead(&turns, "/a", NOW);
        let mut waiting: Vec<Following> = (0..WAITING_MAX).map(|_| follow(&turns, "/a")).collect();
        assert!(matches!(turns.join(place("/a"), NOW), Joined::Alone));
        waiting.pop();
        drop(follow(&turns, "/a"));
    }
}
