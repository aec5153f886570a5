//! The platform's functions that Rust calls, declared: their bodies are in `platform.js`.

// The macro below writes the foreign calls; nothing here is unsafe to use.
#![allow(unsafe_code)]

use wasm_bindgen::prelude::*;
use worker::js_sys::Promise;
use worker::web_sys::{Cache, ReadableStream, Request, Response};

#[wasm_bindgen(module = "/src/platform.js")]
extern "C" {
    #[wasm_bindgen(js_name = requestHead)]
    pub(crate) fn request_head(request: &Request) -> String;

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

    #[wasm_bindgen(catch, js_name = respond)]
    pub(crate) fn respond_with_text(
        status: u16,
        body: &str,
        edits: &str,
    ) -> Result<Response, JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn forward(request: &Request, url: &str, edits: &str) -> Result<Request, JsValue>;

    #[wasm_bindgen(js_name = putWhole)]
    pub(crate) fn put_whole(
        cache: &Cache,
        url: &str,
        response: &Response,
        limit: u32,
        mark: &str,
    ) -> Promise;
}

#[wasm_bindgen]
extern "C" {
    /// The global `fetch`. It takes the request over, body and all, at the call.
    pub(crate) fn fetch(request: &Request) -> Promise;
}
