//! The crate `http-cache-semantics` beside the core, on what both do: judging by RFC 9111
//! whether a stored answer may serve a request, and whether an answer may be stored.

use std::time::{Duration, SystemTime};

use http::header::VARY;
use http::{HeaderMap, Request, Response, Uri};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use tidegate_bench::measure::Work;
use tidegate_core::http_types::Edits;
use tidegate_core::reuse::{Lookup, Reuse, reuse};
use tidegate_core::store::store;
use tidegate_core::{CacheRule, Tier, respond};

use crate::decisions::{ASKED_AT, Held};
use crate::world::{EXCHANGE, NOW, World};

const OURS: &str = "may it serve: core";
const THEIRS: &str = "may it serve: http-cache-semantics, with a copy of the head";

/// What is judged: the question whether a stored answer may serve, as one asks it. The peer
/// has no way to ask without getting a copy of the stored head; what that costs the core
/// stands beside it.
pub(crate) const PAIR: (&str, &str) = (OURS, THEIRS);

/// The same questions to both, about the same request and the same stored answer.
pub(crate) fn side_by_side<'a>(world: &'a World, held: &'a Held) -> Vec<Work<'a>> {
    let asked = world.asked(0);
    let request = asked.as_http();
    let mut response = answer(&held.head);
    // Which fields chose it is the store's question here: see `Vary::signature`.
    response.headers_mut().remove(VARY);
    let at = |time: tidegate_core::Timestamp| {
        SystemTime::UNIX_EPOCH + Duration::from_millis(time.as_millis())
    };
    // The credential must be no obstacle, or there would be nothing to serve.
    let options = CacheOptions { shared: false, ..CacheOptions::default() };
    let policy = CachePolicy::new_options(&request, &response, at(NOW), options);
    let rule = asked.read(|r| world.policy.plan(Tier::Origin, r).cache.unwrap());
    let parts = request.clone();
    vec![
        Work::new(OURS, move |_| asked.read(|request| may_serve(rule, request, held))),
        Work::new("may it serve: core, with a copy of the head", move |_| {
            asked.read(|request| serve(rule, request, held))
        }),
        Work::new(THEIRS, move |_| match policy.before_request(&request, at(ASKED_AT)) {
            BeforeRequest::Fresh(head) => head,
            BeforeRequest::Stale { .. } => panic!("the peer finds the answer stale"),
        }),
        Work::new("may it be stored: core", move |_| {
            let answer = tidegate_core::Response::read(Tier::Origin, 200, &held.head, NOW);
            asked.read(|request| store(rule, request, &answer, &EXCHANGE))
        }),
        Work::new("may it be stored: http-cache-semantics", move |_| {
            let policy = CachePolicy::new_options(&parts, &response, at(NOW), options);
            assert!(policy.is_storable());
            policy
        }),
    ]
}

/// Reads the request and judges the stored answer.
fn may_serve(
    rule: &CacheRule,
    request: &tidegate_core::Request<'_, HeaderMap>,
    held: &Held,
) -> Duration {
    match reuse(rule, request, Lookup::Found(&held.stored), ASKED_AT) {
        Reuse::Serve { age, .. } => age,
        _ => panic!("the bench's own answer is not fresh"),
    }
}

/// The same, and what `before_request` does besides: a copy of the stored head with its age.
fn serve(
    rule: &CacheRule,
    request: &tidegate_core::Request<'_, HeaderMap>,
    held: &Held,
) -> HeaderMap {
    let age = may_serve(rule, request, held);
    let mut head = held.head.clone();
    respond::age(&mut Edits::of(&mut head), age);
    head
}

fn answer(head: &HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.headers_mut() = head.clone();
    response
}

impl crate::world::Asked {
    /// The same request in the types of the `http` crate.
    fn as_http(&self) -> Request<()> {
        let uri: Uri = format!("http://{}{}", self.host, self.target).parse().unwrap();
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        *request.headers_mut() = self.fields.clone();
        request
    }
}
