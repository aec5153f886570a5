//! The platform's functions that Rust calls, declared: their bodies are in `platform.js`.

use wasm_bindgen::prelude::*;
use worker::Env;
use worker::js_sys::Promise;
use worker::web_sys::{Cache, Headers, ReadableStream, Request, Response};

#[wasm_bindgen(module = "/src/platform.js")]
extern "C" {
    #[wasm_bindgen(js_name = requestHead)]
    pub(crate) fn request_head(request: &Request) -> String;

    #[wasm_bindgen]
    pub(crate) fn why(error: &JsValue) -> String;

    #[wasm_bindgen]
    pub(crate) fn field(response: &Response, name: &str) -> Option<String>;

    #[wasm_bindgen(js_name = responseHead)]
    pub(crate) fn response_head(response: &Response) -> String;

    #[wasm_bindgen(catch, js_name = respondLike)]
    pub(crate) fn respond_like(
        response: &Response,
        body: Option<&ReadableStream>,
        edits: &str,
    ) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn respond(
        status: u16,
        body: Option<&ReadableStream>,
        edits: &str,
    ) -> Result<Response, JsValue>;

    /// The body is a stream, bytes or `null`.
    #[wasm_bindgen(catch, js_name = respond)]
    pub(crate) fn respond_with(
        status: u16,
        body: &JsValue,
        edits: &str,
    ) -> Result<Response, JsValue>;

    pub(crate) fn prepared(edits: &str) -> Headers;

    #[wasm_bindgen(catch, js_name = respondCopied)]
    pub(crate) fn respond_copied(
        status: u16,
        body: &JsValue,
        headers: &Headers,
        edits: &str,
    ) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch, js_name = respondFrom)]
    pub(crate) fn respond_from(
        stored: &Response,
        status: u16,
        edits: &str,
    ) -> Result<Response, JsValue>;

    /// Settled after so many milliseconds.
    pub(crate) fn pause(millis: f64) -> Promise;

    /// The body of `response` as a `Uint8Array`, if it is `limit` bytes long at most.
    #[wasm_bindgen(js_name = readWhole)]
    pub(crate) fn read_whole(response: &Response, limit: u32) -> Promise;

    #[wasm_bindgen(catch, js_name = respond)]
    pub(crate) fn respond_with_text(
        status: u16,
        body: &str,
        edits: &str,
    ) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn forward(request: &Request, url: &str, edits: &str) -> Result<Request, JsValue>;

    /// Whether `request` can reach the origin only once, or does no harm twice.
    #[wasm_bindgen(js_name = mayBeSent)]
    pub(crate) fn may_be_sent(request: &Request) -> bool;

    /// It takes the request over, body and all, at the call.
    #[wasm_bindgen]
    pub(crate) fn ask(request: &Request, millis: u32, zone: &str) -> Promise;

    /// `undefined` without a second Worker.
    #[wasm_bindgen(js_name = askCached)]
    pub(crate) fn ask_cached(env: &Env, request: &Request, url: &str, edits: &str) -> Promise;

    #[wasm_bindgen(js_name = isCached)]
    pub(crate) fn is_cached(env: &Env) -> bool;

    /// Pieces of `body`: a JSON list of `[text, first, end]`, in order; `tail` comes last.
    #[wasm_bindgen]
    pub(crate) fn cut(body: &ReadableStream, pieces: &str, tail: &str) -> ReadableStream;

    #[wasm_bindgen]
    pub(crate) fn joined(begin: &ReadableStream, rest: &ReadableStream) -> ReadableStream;

    #[wasm_bindgen(js_name = putWhole)]
    pub(crate) fn put_whole(
        cache: &Cache,
        url: &str,
        response: &Response,
        limit: u32,
        mark: &str,
    ) -> Promise;

    /// Its `material` may be a secret: nothing of it is in an error.
    #[wasm_bindgen(js_name = importKey)]
    pub(crate) fn import_key(algorithm: &str, material: &str) -> Promise;

    #[wasm_bindgen(js_name = verify)]
    pub(crate) fn verify(algorithm: &str, key: &JsValue, signature: &[u8], input: &[u8])
    -> Promise;

    #[wasm_bindgen(js_name = overridesEvery)]
    pub(crate) fn overrides_every(env: &JsValue) -> u32;

    #[wasm_bindgen(js_name = readKv)]
    pub(crate) fn read_kv(env: &JsValue, millis: u32) -> Promise;

    /// `=` and what the object knew, or `!` and why it does not say; never rejects.
    #[wasm_bindgen(js_name = askObject)]
    pub(crate) fn ask_object(
        env: &Env,
        binding: &str,
        name: &str,
        url: &str,
        body: Option<&str>,
        millis: u32,
    ) -> Promise;

    /// `=yes` or `=no`, or `!` and why it does not say; never rejects.
    #[wasm_bindgen(js_name = askRatelimit)]
    pub(crate) fn ask_ratelimit(env: &Env, binding: &str, key: &str, millis: u32) -> Promise;

    #[wasm_bindgen(js_name = hasDataset)]
    pub(crate) fn has_dataset(env: &Env) -> bool;

    #[wasm_bindgen(js_name = logRequest)]
    pub(crate) fn log_request(
        request: &Request,
        route: &str,
        outcome: &str,
        reason: &str,
        status: u16,
        millis: u32,
    );

    #[wasm_bindgen(js_name = writePoint)]
    pub(crate) fn write_point(
        env: &Env,
        request: &Request,
        route: &str,
        outcome: &str,
        reason: &str,
        status: u16,
        millis: u32,
    );

    #[wasm_bindgen(js_name = hasKv)]
    pub(crate) fn has_kv(env: &Env) -> bool;

    #[wasm_bindgen(js_name = putKv)]
    pub(crate) fn put_kv(env: &JsValue, key: &str, text: &str) -> Promise;

    /// Of a request or a response.
    #[wasm_bindgen(js_name = bodyText)]
    pub(crate) fn body_text(message: &JsValue, limit: u32) -> Promise;

    #[wasm_bindgen(js_name = fetchText)]
    pub(crate) fn fetch_text(url: &str, limit: u32, millis: u32) -> Promise;
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = randomUUID)]
    pub(crate) fn random_uuid() -> String;
}

/// Lets go of a body that nobody will read. Until then it holds one of the six connections
/// that a request may have open at a time; and if it is being stored as well, all that is
/// stored piles up in memory for the reader that never comes.
pub(crate) fn discard(response: &Response) {
    if let Some(body) = response.body() {
        let _ = body.cancel();
    }
}
