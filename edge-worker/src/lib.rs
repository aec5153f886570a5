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
mod block_log;
mod cache_store;
mod clock;
mod connection;
mod digest;
mod edits;
mod embedded_policy;
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
mod tokens;
mod turn;
mod url;

use std::rc::Rc;

use tidegate_core::respond::Problem;
use worker::{Context, Env, console_error, event, web_sys};

use account::Account;
use cache_store::CacheStore;
use gate::{Answer, Gate, Stop};
use origin::Origin;

pub use limiter::Limiter;

/// Answers one request.
#[event(fetch)]
async fn fetch(
    request: web_sys::Request,
    env: Env,
    context: Context,
) -> worker::Result<web_sys::Response> {
    // Should this instance die on the way, the platform asks the zone's origin by itself.
    context.pass_through_on_exception();
    let origin = match Origin::from_env(&env) {
        Ok(origin) => Rc::new(origin),
        Err(error) => return Ok(problem::answer(&misconfigured(&error), None)?),
    };
    match through_the_gate(&request, &origin, env, context).await {
        Ok(answer) => Ok(answer),
        Err(Stop::Refused(problem, told)) => Ok(problem::answer(&problem, told)?),
        Err(Stop::Unreachable(error)) => Ok(problem::answer(&unreachable(&error), None)?),
        Err(Stop::Broken(reason)) => {
            console_error!("tidegate: past the gate, {reason}");
            match past_the_gate::send(&request, &origin, reason).await {
                Ok(answer) => Ok(answer),
                Err(error) => Ok(problem::answer(&unreachable(&error), None)?),
            }
        }
    }
}

async fn through_the_gate(
    request: &web_sys::Request,
    origin: &Rc<Origin>,
    env: Env,
    context: Context,
) -> Answer {
    let embedded = embedded_policy::get().ok_or(Stop::Broken("policy"))?;
    let store = CacheStore::open().ok_or(Stop::Broken("no-cache-api"))?;
    let policy = in_force::get(&embedded, &env, &context).await;
    let account = Account::open(&policy.model().edge, &env);
    let gate = Rc::new(Gate { policy, store, origin: Rc::clone(origin), account, env, context });
    let answer = gate.answer(request).await;
    gate.account.report(&gate.env, request);
    answer
}

fn misconfigured(error: &worker::Error) -> Problem {
    console_error!("tidegate: {error}");
    Problem::misconfigured("This Worker does not know its origin.")
}

fn unreachable(error: &origin::Unreachable) -> Problem {
    console_error!("tidegate: the origin does not answer: {error}");
    // What the platform says of it names hosts and ports: that is for the log.
    Problem::upstream_failed("The origin does not answer.")
}
