//! The origin: answers `/KIND/LENGTH/…` with so many bytes, on a thread of its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::world::TAG;

static ASKED: AtomicU64 = AtomicU64::new(0);

/// How often it was asked.
pub(crate) fn asked() -> u64 {
    ASKED.load(Ordering::Relaxed)
}

/// Serves until the program ends.
pub(crate) fn origin() -> io::Result<SocketAddr> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _ = tell.send(listener.local_addr()?);
            loop {
                let (stream, _) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                let service =
                    service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
            #[allow(unreachable_code, reason = "says what the block is of")]
            Ok::<(), io::Error>(())
        })
    });
    told.recv().map_err(|_| io::Error::other("the origin does not serve"))
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    ASKED.fetch_add(1, Ordering::Relaxed);
    let mut parts = request.uri().path().split('/').skip(1);
    let is_text = parts.next() == Some("text");
    let length = parts.next().and_then(|length| length.parse().ok()).unwrap_or(0);
    let body: Vec<u8> = match is_text {
        // What repeats as texts do.
        true => WORDS.bytes().cycle().take(length).collect(),
        false => vec![b'x'; length],
    };
    let kind = if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    let mut answer = Response::new(Full::new(body.into()));
    let head = answer.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    head.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    head.insert(ETAG, HeaderValue::from_static(TAG));
    head.insert(LAST_MODIFIED, HeaderValue::from_static("Wed, 18 Nov 2026 10:00:00 GMT"));
    answer
}

const WORDS: &str = "A tide gate lets water out and holds the sea back; this text is here to be \
                     compressed, once for all who want it so. ";
