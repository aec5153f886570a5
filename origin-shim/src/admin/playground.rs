//! `GET /playground`: the core in a page, where `tidegate serve` was given that page.
//!
//! It may be loaded by whoever may load the dashboard; the policy in force it asks for itself.

use http::Response;

use super::answer::{Body, Problem, respond, text};
use super::dashboard::protect;
use crate::control::Control;

/// What a page cannot say of itself. The rest stands in it, with the hashes of its script and its
/// style, so that it holds without a server, too; both count.
const CSP: &str = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The page.
pub(super) fn show(control: &Control) -> Response<Body> {
    let Some(page) = &control.start().playground else {
        let hint = "start `tidegate serve` with `--playground FILE`; `cargo xtask build-playground` \
                    writes that file";
        return respond(Err(Problem::unknown("This shim was given no playground.", hint)));
    };
    let mut response = text("text/html; charset=utf-8", page.to_string());
    protect(response.headers_mut(), CSP);
    response
}
