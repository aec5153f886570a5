//! The way out when something of ours is broken: to the origin, once, uncached, uncounted.

use tidegate_core::headers::cache_status::{CacheStatus, Fwd, Outcome};
use tidegate_core::{Tier, respond};
use worker::wasm_bindgen::JsValue;
use worker::web_sys;

use crate::edits::Edits;
use crate::head::RequestHead;
use crate::origin::{self, Origin, Unreachable};
use crate::platform;
use crate::url::Url;

/// Sends `request` on as it is, but for who the client is: behind the edge, that is the word
/// of the edge, and stays so when the edge is broken. `reason` says what broke.
///
/// A body that is on its way already cannot be sent a second time: that is an error.
pub(crate) async fn send(
    request: &web_sys::Request,
    origin: &Origin,
    reason: &'static str,
) -> Result<web_sys::Response, Unreachable> {
    let lost = |what: &str| Unreachable::from(JsValue::from_str(what));
    if request.body_used() {
        return Err(lost("the request body is used up"));
    }
    let head = RequestHead::read(request);
    let url = Url::split(head.url()).ok_or_else(|| lost("the URL is not one of http"))?;
    let mut fields = Edits::default();
    origin::put_client(
        &mut fields,
        head.fields().text("cf-connecting-ip"),
        url.authority,
        url.scheme,
    );
    let question = platform::forward(request, &origin.url_of(url.target), fields.as_str())?;
    let answer = origin::fetch(&question).await?;

    let outcome = Outcome::Forward { why: Fwd::Bypass, status: None, stored: None };
    let cache = Tier::Edge.cache_name();
    let status = CacheStatus { cache, outcome, key: None, detail: Some(reason) };
    let mut edits = Edits::default();
    respond::cache_status(&mut edits, &status);
    Ok(platform::respond_like(&answer, answer.body().as_ref(), edits.as_str()).unwrap_or(answer))
}
