//! May this client proceed? The core decides, on states that live in Durable Objects.
//!
//! Two things are settled in this isolate. A client whose block is known here is refused here:
//! for as long as its object said, asking again would give the same verdict, so a flood costs
//! neither time nor money. And while the objects fail, each isolate counts by itself unless the
//! policy says otherwise: looser than the limit says, but never without one.

use std::cell::RefCell;

use tidegate_core::rate::{EdgeStore, Limit, OnStoreError, State, StoreFailed};
use tidegate_core::{Admission, LimitKey};
use worker::{Env, console_warn};

use crate::local_states::LocalStates;
use crate::{block_log, clock, limiter};

thread_local! {
    /// Clients that are blocked, as far as this isolate has heard.
    static BLOCKED: RefCell<LocalStates> = RefCell::default();
    /// Counts of this isolate alone: of local limits, and of all while the objects fail.
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
    match limiter::ask(env, limit, key).await {
        Ok(admission) => {
            remember_block(limit, key, &admission);
            Ok(admission)
        }
        Err(error) => {
            console_warn!("tidegate: the limiter of `{}` failed: {error}", limit.name);
            match limit.stores.on_error {
                OnStoreError::Local => Ok(decide_alone(limit, key)),
                OnStoreError::Allow | OnStoreError::Deny => Err(StoreFailed),
            }
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
            blocked.put(key, *state, state.expires(limit.window), clock::now());
        });
    }
}

fn decide_alone(limit: &Limit, key: &LimitKey) -> Admission {
    let now = clock::now();
    ALONE.with_borrow_mut(|states| {
        let before = states.get(key);
        let admission = Admission::decide(limit, before, now);
        block_log::note(limit, key, before, &admission, now);
        let state = admission.next_state();
        states.put(key, state, state.expires(limit.window), now);
        admission
    })
}
