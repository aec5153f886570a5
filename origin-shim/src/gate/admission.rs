//! May this client proceed? Every limit of the route is asked, and what comes ahead of an even
//! pace waits here for its turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Response;
use tidegate_core::headers::rate_limit::Quota;
use tidegate_core::http_types::Edits;
use tidegate_core::rate::{Counted, Verdict};
use tidegate_core::{ClientFacts, LimitKey, respond};

use super::{Gate, Passage};
use crate::body::Body;

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
        let mut verdict = Verdict::default();
        let (visitor, fields) = (passage.visitor, &passage.parts.headers);
        for limit in passage.plan.limits().filter(|limit| limit.count == counted) {
            let route = passage.plan.route.map(|route| &*route.name);
            let client = ClientFacts { route, ..visitor.facts() };
            let key = LimitKey::of(limit, &client, fields);
            let said = passage.in_force.count(limit, &key, passage.now).await;
            if !verdict.add(limit, said) {
                break;
            }
        }
        if verdict.wait().is_zero() {
            return verdict;
        }
        let Some(_place) = self.shared.waiting.enter() else { return verdict.without_waiting() };
        tokio::time::sleep(verdict.wait()).await;
        verdict
    }
}

/// Tells the client what `verdict` leaves it, unless the answer tells of less already.
pub(super) fn tell(verdict: &Verdict<'_>, response: &mut Response<Body>) {
    if verdict.tightest().is_some() {
        let told = Quota::told(response.headers());
        respond::rate_limit(&mut Edits::of(response.headers_mut()), verdict, told);
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
