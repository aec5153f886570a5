//! Asking Cloudflare's rate limit binding, which counts in each location.

use tidegate_core::rate::{Limit, colo};
use tidegate_core::{Admission, LimitKey};
use worker::Env;

use super::failure::{Failure, TIMEOUT};
use crate::{block_log, clock, digest, platform};

/// The binding that counts `limit`; `tidegate wrangler` writes it.
pub(super) fn binding(limit: &Limit) -> String {
    colo::binding_name(limit)
}

/// Has `binding` count one request of the client `key` under `limit`.
pub(super) async fn ask(
    env: &Env,
    binding: &str,
    limit: &Limit,
    key: &LimitKey,
) -> Result<Admission, Failure> {
    let millis = TIMEOUT.as_millis() as u32;
    let asking = platform::ask_ratelimit(env, binding, &digest::hex(key.as_bytes()), millis);
    let success = match &*Failure::or_said(asking).await? {
        "yes" => true,
        "no" => false,
        _ => return Err(Failure::Nonsense),
    };
    let now = clock::now();
    let admission = colo::admission(limit, success, now);
    block_log::note(limit, key, None, &admission, now);
    Ok(admission)
}
