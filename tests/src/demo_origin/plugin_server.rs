//! The plugin server: files with validators, and not a word on how long they
//! may be kept.

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;

use super::{
    body::{self, Answer},
    bundle::{self, Bundle, LAST_MODIFIED},
    conditional,
    server::Application,
};

#[derive(Debug)]
pub(super) struct PluginServer;

impl PluginServer {
    pub(super) fn new() -> Self {
        // The bundles are made now, so that no request waits for them.
        bundle::bundles();
        Self
    }
}

impl Application for PluginServer {
    async fn answer(&self, request: Request<Incoming>, _served: u64) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return body::method_not_allowed("GET, HEAD");
        }
        match bundle::find(request.uri().path()) {
            Some(bundle) => file(bundle, request.headers()),
            None => body::problem(StatusCode::NOT_FOUND, "the plugin server has no such file"),
        }
    }
}

fn file(bundle: &'static Bundle, request: &HeaderMap) -> Answer {
    let zipped = bundle.gzip.as_ref().filter(|_| accepts_gzip(request));
    // RFC 9110 §8.8.3.3: two encodings of one file have two strong tags.
    let etag = match zipped {
        Some(_) => bundle.etag.replacen('"', "\"gzip-", 1),
        None => bundle.etag.clone(),
    };
    let mut answer = if conditional::not_modified(request, &etag, LAST_MODIFIED) {
        body::empty(StatusCode::NOT_MODIFIED)
    } else {
        let bytes = zipped.unwrap_or(&bundle.bytes).clone();
        let mut answer = body::typed(StatusCode::OK, bundle.content_type, bytes);
        if zipped.is_some() {
            let gzip = HeaderValue::from_static("gzip");
            answer.headers_mut().insert(header::CONTENT_ENCODING, gzip);
        }
        answer
    };
    let headers = answer.headers_mut();
    headers.insert(header::ETAG, etag.parse().expect("a tag of hex digits"));
    headers.insert(header::LAST_MODIFIED, HeaderValue::from_static(LAST_MODIFIED));
    if bundle.gzip.is_some() {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    answer
}

/// RFC 9110 §12.5.3, as far as one coding needs it.
fn accepts_gzip(request: &HeaderMap) -> bool {
    request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
            let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
            name.trim().eq_ignore_ascii_case("gzip") && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_ask_for_it() {
        let accepts = |value: &'static str| {
            let line = (header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            accepts_gzip(&HeaderMap::from_iter([line]))
        };
        assert!(accepts("gzip") && accepts("br, GZIP;q=0.5"));
        assert!(!accepts("br") && !accepts("gzip;q=0") && !accepts("identity"));
    }
}
