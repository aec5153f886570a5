//! Tidegate at the CDN edge: a Cloudflare Worker around the decisions of `tidegate-core`.
//!
//! It does the I/O and takes no decision: reads requests and the clock, looks into the Cache
//! API, asks the limiter's Durable Objects and the origin, and sends what the core says. It
//! never buffers a body, never keeps anything of one request for another client, and when
//! something of its own breaks, lets the request through to the origin rather than fail it.

mod account;
mod admission;
mod alike_index;
mod asking;
mod bearer;
mod block_log;
mod cache_store;
mod clock;
mod connection;
mod digest;
mod edits;
mod embedded_policy;
#[cfg(feature = "faults")]
mod faults;
mod gate;
mod head;
mod health;
mod hex;
mod in_force;
mod limiter;
mod origin;
mod past_the_gate;
mod platform;
mod problem;
mod purges;
mod rehearsals;
mod signing;
mod task;
mod tokens;
mod turn;
mod url;
mod warming;

use std::cell::Cell;
use std::rc::Rc;

use tidegate_core::respond::Problem;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use worker::{Context, Env, console_error, web_sys};

use account::Account;
use cache_store::CacheStore;
use gate::{Gate, Stop};
use origin::Origin;
use past_the_gate::Undecided;
use task::Task;

pub use limiter::Limiter;
pub use purges::keeper::Purger;
pub use warming::scheduled;

/// Answers one request, at once or by a promise. `has_died` is said by `entry.js` when the instance
/// that had it is gone: then it goes past the gate.
#[wasm_bindgen]
pub fn fetch(request: web_sys::Request, env: Env, context: JsValue, has_died: bool) -> JsValue {
    // Other handles on the same, not copies.
    let (handle, env_handle) = (Clone::clone(&request), env.clone());
    let context_handle = Context::new(context.clone().unchecked_into());
    let answering =
        Box::pin(async move { answer(&handle, env_handle, context_handle, has_died).await });
    task::drive(Task { answering, request, env, context, has_died })
}

async fn answer(
    request: &web_sys::Request,
    env: Env,
    context: Context,
    has_died: bool,
) -> Result<web_sys::Response, JsValue> {
    let origin = match Origin::from_env(&env) {
        Ok(origin) => origin,
        Err(error) => return problem::answer(&misconfigured(&error), None),
    };
    let Some(embedded) = embedded_policy::get() else {
        return problem::answer(&Problem::misconfigured("This Worker has no policy."), None);
    };
    let policy = in_force::get(&embedded, &env, &context).await;
    if policy.may_be_passed_by(clock::now()) {
        // Should the platform end this isolate, it asks the zone's origin by itself.
        context.pass_through_on_exception();
    }
    let is_second = is_second(&env);
    let account = Account::open(&policy.model().edge, &env);
    let answer = match CacheStore::open(policy.model().edge.memory).filter(|_| !has_died) {
        Some(store) => {
            let admitted = Default::default();
            let gate = Rc::new(Gate { policy, store, origin, account, env, context, admitted });
            let answering = match is_second {
                true => gate.answer_for_the_cache(request).await,
                false => gate.answer(request).await,
            };
            let answer = match answering {
                Err(Stop::Broken(reason)) if !is_second => {
                    let Gate { origin, policy, env, context, account, .. } = &*gate;
                    let admitted = gate.admitted.get();
                    let undecided = Undecided { request, reason, admitted, account };
                    undecided.send(origin, policy, env, context).await
                }
                answer => answer,
            };
            gate.account.report(&gate.env, request);
            answer
        }
        // The gateway asks the origin then.
        None if is_second => Err(Stop::Broken("second")),
        None => {
            let reason = if has_died { "panic" } else { "no-cache-api" };
            let undecided = Undecided { request, reason, admitted: false, account: &account };
            let answer = undecided.send(&origin, &policy, &env, &context).await;
            account.report(&env, request);
            answer
        }
    };
    match answer {
        Ok(answer) => Ok(answer),
        Err(Stop::Refused(problem, told)) => problem::answer(&problem, told),
        Err(Stop::Unreachable(error)) => problem::answer(&error.problem(), None),
        // Not even past the gate.
        Err(Stop::Broken(_)) => {
            problem::answer(&Problem::bad_request("The request has no URL."), None)
        }
    }
}

/// Whether this is the second Worker of `edge_cache = "workers-cache"`.
fn is_second(env: &Env) -> bool {
    thread_local! {
        static ROLE: Cell<Option<bool>> = const { Cell::new(None) };
    }
    let role = ROLE.get().unwrap_or_else(|| platform::is_cached(env));
    ROLE.set(Some(role));
    role
}

fn misconfigured(error: &worker::Error) -> Problem {
    console_error!("tidegate: {error}");
    Problem::misconfigured("This Worker does not know its origin.")
}
