//! Warming (C9): at each call of the clock, what the policy lists is asked for as if somebody
//! wanted it, so that those who want it find it stored. No limit counts these requests.
//!
//! One after the other, since nobody waits: neither the origin nor the platform's budget of
//! calls should notice.

use std::rc::Rc;

use tidegate_core::Timestamp;
use wasm_bindgen::prelude::*;
use worker::js_sys::Promise;
use worker::js_sys::futures::JsFuture;
use worker::{Context, Env, console_error, console_log, console_warn, web_sys, worker_sys};

use crate::account::Account;
use crate::cache_store::CacheStore;
use crate::gate::{Gate, Want};
use crate::origin::Origin;
use crate::platform::{self, discard};
use crate::{clock, embedded_policy, in_force, task};

/// Bytes of a list at most.
const LIST_MAX: u32 = 64 * 1024;
/// URLs of a list at most.
const LISTED_MAX: usize = 200;
/// Each call begins so much further on: a plan that allows few subrequests gets round, too.
const STEP: u64 = 10;

/// The clock calls, as a cron trigger of `wrangler.toml` says.
#[wasm_bindgen]
pub fn scheduled(_event: JsValue, env: Env, context: worker_sys::Context) -> Promise {
    let context = Context::new(context);
    let Ok(origin) = Origin::from_env(&env) else {
        console_error!("tidegate: nothing is warmed, since TIDEGATE_ORIGIN is wrong");
        return Promise::resolve(&JsValue::UNDEFINED);
    };
    task::promise(async move {
        let Some(embedded) = embedded_policy::get() else { return Ok(JsValue::UNDEFINED) };
        let policy = in_force::get(&embedded, &env, &context).await;
        if let Some(store) = CacheStore::open(policy.model().edge.memory) {
            let account = Account::open(&policy.model().edge, &env);
            let (origin, admitted) = (origin, Default::default());
            let gate = Gate { policy, store, origin, account, env, context, admitted };
            warm(&Rc::new(gate)).await;
        }
        Ok(JsValue::UNDEFINED)
    })
}

async fn warm(gate: &Rc<Gate>) {
    let edge = &gate.policy.model().edge;
    let base = edge.url.as_deref().unwrap_or_default();
    let absolute = |url: &str| match url.starts_with('/') {
        true => [base, url].concat(),
        false => url.into(),
    };
    let mut urls: Vec<String> = edge.warm.iter().map(|url| absolute(url)).collect();
    if let Some(list) = &edge.warm_list {
        let list = list_at(gate, &absolute(list)).await;
        let lines = list.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        urls.extend(lines.take(LISTED_MAX).map(absolute));
    }
    if urls.is_empty() {
        return;
    }
    let begin = begin(clock::now(), urls.len());
    urls.rotate_left(begin);
    let (mut fresh, mut fetched, mut failed) = (0, 0, 0);
    for url in urls {
        let answer = ask(gate, &url, Want::Stored).await;
        match &answer {
            Some((answer, true)) if answer.status() < 400 => fetched += 1,
            Some((_, false)) => fresh += 1,
            _ => failed += 1,
        }
        if let Some((answer, _)) = answer {
            discard(&answer);
        }
    }
    console_log!(r#"{{"log":"warm","fetched":{fetched},"fresh":{fresh},"failed":{failed}}}"#);
}

/// The text of the list; empty if there is none.
async fn list_at(gate: &Rc<Gate>, url: &str) -> String {
    let text = match ask(gate, url, Want::Answered).await {
        Some((answer, _)) if answer.status() == 200 => {
            JsFuture::from(platform::body_text(&answer, LIST_MAX)).await.ok()
        }
        _ => None,
    };
    text.and_then(|text| text.as_string()).unwrap_or_else(|| {
        console_warn!("tidegate: the list of what to warm cannot be had: {url}");
        String::new()
    })
}

/// The answer, and whether the origin was asked for it. `None` for what nobody stores.
async fn ask(gate: &Rc<Gate>, url: &str, want: Want) -> Option<(web_sys::Response, bool)> {
    let request = web_sys::Request::new_with_str(url).ok()?;
    gate.renew(&request, want).await.ok()?
}

/// Where a call at `now` begins.
fn begin(now: Timestamp, urls: usize) -> usize {
    let minutes = now.as_secs() / 60;
    usize::try_from(minutes.wrapping_mul(STEP) % urls as u64).unwrap_or(0)
}
