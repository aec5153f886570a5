//! May this client proceed? Every limit of the route is asked, and what comes ahead of an even
//! pace waits here for its turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Response;
use tidegate_core::http_types::Edits;
use tidegate_core::rate::{Counted, Limit, Verdict};
use tidegate_core::{ClientFacts, LimitKey, respond};

use super::{Gate, Passage};
use crate::body::Body;
use crate::in_force::InForce;
use crate::overlay;

/// Requests that wait for their turn at most, of all clients (R5).
const WAITING_MAX: usize = 4096;

/// How many requests wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Waiting(AtomicUsize);

/// A place among those that wait, given up when it is dropped: also when the client leaves.
struct Place<'a>(&'a Waiting);

impl Gate {
    /// Asks the limits of the route that count such requests, and waits for the request's turn
    /// where it has one.
    pub(super) async fn admit<'p>(&self, passage: &Passage<'p>, counted: Counted) -> Verdict<'p> {
        let in_force = passage.in_force;
        let ask = async |limit| in_force.count(limit, &key(passage, limit), passage.now).await;
        let mut verdict = Verdict::default();
        let mut limits = limits(passage, counted);
        let Some(first) = limits.next() else { return verdict };
        if limits.next().is_none() {
            // As most routes have it.
            verdict.add(first, ask(first).await);
        } else {
            for limit in in_order(passage, counted) {
                if !verdict.add(limit, ask(limit).await) {
                    break;
                }
            }
        }
        if verdict.wait().is_zero() {
            return verdict;
        }
        let Some(_place) = self.shared.waiting.enter() else {
            if let Some((limit, _)) = verdict.tightest() {
                in_force.tallies.count_refused_after_all(limit);
            }
            return verdict.without_waiting();
        };
        tokio::time::sleep(verdict.wait()).await;
        verdict
    }
}

/// The limits that count such requests.
fn limits<'p>(
    passage: &Passage<'p>,
    counted: Counted,
) -> impl Iterator<Item = &'p Limit> + use<'p> {
    passage.plan.limits().filter(move |limit| limit.count == counted)
}

/// The same in the order in which they are asked, so that what one refuses uses up little of the
/// others: first the one that is known to refuse, then those elsewhere, whose word nobody can
/// foresee, and those in memory last.
fn in_order<'a, 'p>(
    passage: &'a Passage<'p>,
    counted: Counted,
) -> impl Iterator<Item = &'p Limit> + use<'a, 'p> {
    let in_force = passage.in_force;
    let refuses = |limit: &&Limit| in_force.refuses(limit, &key(passage, limit), passage.now);
    let refusing = limits(passage, counted).find(refuses);
    let rest = move |in_memory| {
        limits(passage, counted).filter(move |limit| {
            in_force.counts_in_memory(limit) == in_memory
                && refusing.is_none_or(|refusing| !std::ptr::eq(refusing, *limit))
        })
    };
    refusing.into_iter().chain(rest(false)).chain(rest(true))
}

fn key(passage: &Passage<'_>, limit: &Limit) -> LimitKey {
    let route = passage.plan.route.map(|route| &*route.name);
    let client = ClientFacts { route, ..passage.visitor.facts() };
    LimitKey::of(limit, &client, &passage.parts.headers)
}

/// Tells the client what `verdict` leaves it, unless the answer tells of less already.
pub(super) fn tell(in_force: &InForce, verdict: &Verdict<'_>, response: &mut Response<Body>) {
    if verdict.tightest().is_some() {
        let told = overlay::quota(response);
        match response.body_mut().overlay() {
            Some(overlay) => respond::rate_limit_with(overlay, verdict, told, |overlay, limit| {
                match in_force.fields.of_limit(&in_force.policy, limit) {
                    Some(fields) => overlay.say(fields),
                    None => respond::rate_limit_policy(overlay, limit),
                }
            }),
            None => respond::rate_limit(&mut Edits::of(response.headers_mut()), verdict, told),
        }
    }
}

impl Waiting {
    fn enter(&self) -> Option<Place<'_>> {
        let enter = |waiting| (waiting < WAITING_MAX).then_some(waiting + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter).ok()?;
        Some(Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5_only_so_many_wait_and_places_are_given_up() {
        let waiting = Waiting::default();
        let mut places: Vec<_> = (0..WAITING_MAX).map(|_| waiting.enter().unwrap()).collect();
        assert!(waiting.enter().is_none());
        places.pop();
        assert!(waiting.enter().is_some());
    }
}
