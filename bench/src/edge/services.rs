//! What stands around the measured process, outside of it: the origin, and the service that
//! workerd keeps what a Worker stores in.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::{HeaderValue, Response};
use http_body_util::Full;
use tidegate_bench::cache_service::{Answer, CacheService, serve};

/// Both services, and what they were asked.
#[derive(Clone, Default)]
pub(crate) struct Services {
    origin: Rc<Cell<u64>>,
    cache: CacheService,
}

/// How often each was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) origin: u64,
    /// For what is stored; to store is another matter.
    pub(crate) cache: u64,
}

impl Services {
    pub(crate) fn asked(&self) -> Asked {
        Asked { origin: self.origin.get(), cache: self.cache.asked() }
    }

    pub(crate) fn seal(&self) {
        self.cache.seal();
    }

    /// Serves the origin until the program ends.
    pub(crate) async fn origin(&self) -> io::Result<SocketAddr> {
        let asked = Rc::clone(&self.origin);
        serve(move |request| {
            asked.set(asked.get() + 1);
            std::future::ready(made(request.uri().path()))
        })
        .await
    }

    /// Serves the cache until the program ends.
    pub(crate) async fn cache(&self) -> io::Result<SocketAddr> {
        self.cache.serve().await
    }
}

/// `/any/LENGTH/…`: so many bytes, with the head of a common answer.
fn made(path: &str) -> Answer {
    let length = path.split('/').nth(2).and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut answer = Response::new(Full::new(vec![b'x'; length].into()));
    let head = answer.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    head.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    head.insert(ETAG, HeaderValue::from_static("\"33a64df551425fcc55e4d42a148795d9f25f89d4\""));
    head.insert(LAST_MODIFIED, HeaderValue::from_static("Wed, 18 Nov 2026 10:00:00 GMT"));
    head.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}
