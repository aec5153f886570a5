//! May this client proceed? The core decides, on states that live where the limit says: in
//! Durable Objects, with Cloudflare's rate limit binding, or in this isolate.
//!
//! Two things are settled in this isolate whatever the store. A client whose block is known here
//! is refused here: for as long as it lasts, asking again would give the same verdict, so a
//! flood costs neither time nor money. And while a store fails, each isolate counts by itself
//! unless the policy says otherwise: looser than the limit says, but never without one.

mod circuit;
mod failure;
mod local_states;
mod ratelimit;

use std::cell::RefCell;

use tidegate_core::rate::{EdgeStore, Limit, OnStoreError, State, StoreFailed};
use tidegate_core::{Admission, LimitKey};
use worker::Env;

use crate::{block_log, clock, limiter};
pub(crate) use failure::{Failure, TIMEOUT};
use local_states::LocalStates;

thread_local! {
    /// Clients that are blocked, as far as this isolate has heard.
    static BLOCKED: RefCell<LocalStates> = RefCell::default();
    /// Counts of this isolate alone: of local limits, and of all while their stores fail.
    static ALONE: RefCell<LocalStates> = RefCell::default();
}

/// Counts one request of the client `key` under `limit`, or says that the limit's store failed
/// where the policy does not count locally then.
pub(crate) async fn admit(
    env: &Env,
    limit: &Limit,
    key: &LimitKey,
) -> Result<Admission, StoreFailed> {
    if limit.stores.edge == EdgeStore::Local {
        return Ok(decide_alone(limit, key));
    }
    if let Some(refusal) = remembered_block(limit, key) {
        return Ok(refusal);
    }
    match ask(env, limit, key).await {
        Ok(admission) => {
            remember_block(limit, key, &admission);
            Ok(admission)
        }
        Err(StoreFailed) => match limit.stores.on_error {
            OnStoreError::Local => Ok(decide_alone(limit, key)),
            OnStoreError::Allow | OnStoreError::Deny => Err(StoreFailed),
        },
    }
}

/// Asks the store, unless it has just failed.
async fn ask(env: &Env, limit: &Limit, key: &LimitKey) -> Result<Admission, StoreFailed> {
    let in_colo = limit.stores.edge == EdgeStore::Colo;
    let store = if in_colo { ratelimit::binding(limit) } else { limiter::BINDING.into() };
    let asked = circuit::ask(&store, key, clock::now()).ok_or(StoreFailed)?;
    let said = match in_colo {
        true => ratelimit::ask(env, &store, limit, key).await,
        false => limiter::ask(env, limit, key).await,
    };
    match said {
        Ok(admission) => {
            circuit::succeeded(&store, asked);
            Ok(admission)
        }
        Err(failure) => {
            circuit::failed(&store, asked, key, &failure, clock::now());
            Err(StoreFailed)
        }
    }
}

fn remembered_block(limit: &Limit, key: &LimitKey) -> Option<Admission> {
    let state = BLOCKED.with_borrow(|blocked| blocked.get(key))?;
    let admission = Admission::decide(limit, Some(state), clock::now());
    matches!(admission, Admission::Deny { .. }).then_some(admission)
}

fn remember_block(limit: &Limit, key: &LimitKey, admission: &Admission) {
    if let Admission::Deny { next_state: state @ State::Blocked { .. }, .. } = admission {
        BLOCKED.with_borrow_mut(|blocked| {
            blocked.remember(key, *state, state.expires(limit.window), clock::now());
        });
    }
}

fn decide_alone(limit: &Limit, key: &LimitKey) -> Admission {
    let now = clock::now();
    ALONE.with_borrow_mut(|states| {
        let before = states.get(key);
        let admission = states.decide(limit, key, now);
        block_log::note(limit, key, before, &admission, now);
        admission
    })
}
