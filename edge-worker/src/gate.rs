//! One request, from the client's question to its answer:
//!
//! `limit → key → look up → reuse → (serve | serve stale and refresh | revalidate | forward)
//! → store → fields → body`
//!
//! The core takes every decision; names and order are those of the shim's gate.

mod alike;
mod answer;
mod ask;
mod body;
mod debug;
mod elsewhere;
mod find;
mod invalidate;
mod known;
mod passage;
mod purge;
mod workers_cache;
mod zone;

use std::cell::Cell;
use std::rc::Rc;

use tidegate_core::Reuse;
use tidegate_core::headers::cache_status::Ttl;
use tidegate_core::partial::Selection;
use tidegate_core::policy::{Bypass, EdgeCache};
use tidegate_core::rate::Counted;
use tidegate_core::respond::Problem;
use tidegate_core::reuse::ForwardReason;
use worker::{Context, Env, web_sys};

use crate::account::Account;
use crate::asking::{self, Turn};
use crate::bearer;
use crate::cache_store::{CacheStore, Place};
use crate::clock;
use crate::edits::Edits;
use crate::head::RequestHead;
use crate::health;
use crate::in_force::InForce;
use crate::origin::{Origin, Unreachable};
use crate::platform::{self, discard};
use crate::task;
use known::Known;
pub(crate) use passage::Address;
use passage::Passage;

/// What begins like this is answered here and never goes to the origin.
pub(crate) const OWN_PATHS: &str = "/.tidegate/";

/// What every request meets on its way.
pub(crate) struct Gate {
    pub(crate) policy: InForce,
    pub(crate) store: CacheStore,
    pub(crate) origin: Rc<Origin>,
    pub(crate) account: Account,
    pub(crate) env: Env,
    pub(crate) context: Context,
    /// The limits that count every request have let this one through.
    pub(crate) admitted: Cell<bool>,
}

/// An answer for the client, or why there is none.
pub(crate) type Answer = Result<web_sys::Response, Stop>;

/// Why a request gets its answer neither from the cache nor from the origin.
pub(crate) enum Stop {
    /// The policy or the protocol refuses it. Where a route was found, these fields go along.
    Refused(Problem, Option<Edits>),
    /// The origin does not answer.
    Unreachable(Unreachable),
    /// Something of ours failed before the request was on its way; the word says what.
    Broken(&'static str),
}

/// What somebody wants who is no client.
pub(crate) enum Want {
    /// What was served stale, by who has the turn to ask for it.
    Refreshed(Turn),
    /// Whatever is not stored, or not fresh.
    Stored,
    /// The answer, be it stored or not.
    Answered,
}

impl Gate {
    /// Answers `request`.
    pub(crate) async fn answer(self: &Rc<Self>, request: &web_sys::Request) -> Answer {
        let head = RequestHead::read(request);
        let address = Address::of(&head)?;
        if address.target.path().starts_with(OWN_PATHS) {
            return self.own(request, &head, &address).await;
        }
        let mut passage = Passage::new(self, request, &head, &address).await;

        #[cfg(feature = "faults")]
        crate::faults::at("gate", head.fields())?;
        passage.maintain()?;
        passage.admit(Counted::All).await?;
        self.admitted.set(true);
        #[cfg(feature = "faults")]
        crate::faults::at("admitted", head.fields())?;
        passage.object()?;
        let rule = match passage.plan.cache {
            Ok(rule) => rule,
            Err(bypass) => {
                passage.admit(Counted::Misses).await?;
                return match bypass {
                    Bypass::Method => passage.pass_method().await,
                    _ => passage.bypass().await,
                };
            }
        };
        let key = passage.key(rule);
        let cache = passage.plan.edge_cache();
        if cache != EdgeCache::CacheApi {
            // Whether it is a miss nobody knows before.
            passage.admit(Counted::Misses).await?;
            return match cache {
                EdgeCache::Zone => passage.through_the_zone(rule).await,
                _ => passage.through_workers_cache(rule, &key).await,
            };
        }
        let (decision, place) = passage.find(rule, &key).await;
        let (decision, place) = passage.join(rule, &key, (decision, place)).await;
        let lacks = |answer| passage.select(answer) == Selection::Missing;
        if decision.answer().is_some_and(lacks) {
            return match decision.for_the_rest(rule, &passage.asked) {
                Some((part, why)) => {
                    passage.admit(Counted::Misses).await?;
                    passage.ask(rule, Known::Part(part), &place, why).await
                }
                None => Err(passage.refuse(Problem::not_in_cache())),
            };
        }
        match decision {
            Reuse::Serve { answer, ttl, .. } => passage.serve(&answer, Ttl::fresh(ttl), None),
            Reuse::ServeStale { answer, staleness, refresh, .. } => {
                if refresh {
                    self.refresh_later(request, &place);
                }
                passage.serve(&answer, Ttl::stale(staleness), None)
            }
            Reuse::Revalidate { answer, why } => {
                passage.admit(Counted::Misses).await?;
                passage.ask(rule, Known::ToConfirm(answer), &place, why).await
            }
            Reuse::Forward { fallback, why } => {
                passage.admit(Counted::Misses).await?;
                let known = fallback.map_or(Known::Nothing, Known::Fallback);
                passage.ask(rule, known, &place, why).await
            }
            Reuse::Unsatisfiable => Err(passage.refuse(Problem::not_in_cache())),
        }
    }

    /// Answers what the gateway asks, behind Workers Cache, which reads how long to keep it: see
    /// [`workers_cache`].
    pub(crate) async fn answer_for_the_cache(
        self: &Rc<Self>,
        request: &web_sys::Request,
    ) -> Answer {
        let told = RequestHead::read(request);
        let url = told.fields().text(workers_cache::URL).ok_or(Stop::Broken("no-gateway"))?;
        let mut edits = Edits::default();
        edits.drop(workers_cache::URL);
        let request = platform::forward(request, url, edits.as_str());
        let request = request.map_err(|_| Stop::Broken("no-gateway"))?;
        let head = RequestHead::read(&request);
        let address = Address::of(&head)?;
        Passage::new(self, &request, &head, &address).await.answer_for_the_cache().await
    }

    /// The few pages that are ours.
    async fn own(
        &self,
        request: &web_sys::Request,
        head: &RequestHead,
        address: &Address<'_>,
    ) -> Answer {
        match address.target.path() {
            purge::PATH if bearer::is_asked_for(&self.policy) => {
                Box::pin(self.purge(request, head, address)).await
            }
            health::PATH => health::answer(&self.policy).map_err(|_| Stop::Broken("health")),
            _ => Err(Stop::Refused(Problem::no_route("No such page of Tidegate."), None)),
        }
    }

    /// Asks the origin again for what was served stale, while the client has its answer; once
    /// for all requests of this isolate that want it.
    fn refresh_later(self: &Rc<Self>, request: &web_sys::Request, place: &Place) {
        let Some(turn) = asking::refresh(place.of_answer(), clock::now()) else { return };
        // Another handle on the request, not a copy of it.
        let (gate, request) = (Rc::clone(self), Clone::clone(request));
        task::in_background(&self.context, async move {
            // Whatever comes of it, the client has its answer, and the next one asks again.
            if let Ok(Some((fresh, _))) = gate.renew(&request, Want::Refreshed(turn)).await {
                discard(&fresh);
            }
        });
    }

    /// Has stored what a request asks for, without a client whom limits would count. The answer,
    /// its body unread, and whether the origin was asked for it; `None` where there was nothing to
    /// do.
    pub(crate) async fn renew(
        self: &Rc<Self>,
        request: &web_sys::Request,
        want: Want,
    ) -> Result<Option<(web_sys::Response, bool)>, Stop> {
        let head = RequestHead::read(request);
        let address = Address::of(&head)?;
        let mut passage = Passage::new(self, request, &head, &address).await;
        passage.maintain()?;
        let rule = match (passage.plan.cache, &want) {
            (Ok(rule), _) => rule,
            (Err(_), Want::Answered) => {
                return Ok(Some((Box::pin(passage.bypass()).await?, true)));
            }
            (Err(_), _) => return Ok(None),
        };
        let (found, place) = passage.find(rule, &passage.key(rule)).await;
        let known = match (found, want) {
            // Somebody else may have refreshed it meanwhile.
            (Reuse::ServeStale { answer, refresh: true, .. }, Want::Refreshed(turn)) => {
                passage.turn = Cell::new(Some(turn));
                Known::to_confirm(answer)
            }
            (_, Want::Refreshed(_)) => return Ok(None),
            (Reuse::Serve { answer, .. }, _) => {
                return Ok(answer.source.response().map(|response| (response, false)));
            }
            (Reuse::ServeStale { answer, .. } | Reuse::Revalidate { answer, .. }, _) => {
                Known::to_confirm(answer)
            }
            (Reuse::Forward { fallback, .. }, _) => {
                fallback.map_or(Known::Nothing, Known::Fallback)
            }
            (Reuse::Unsatisfiable, _) => return Ok(None),
        };
        let answer = passage.ask(rule, known, &place, ForwardReason::Stale).await?;
        Ok(Some((answer, true)))
    }
}
