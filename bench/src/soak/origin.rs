//! The origin: pages of some hundred bytes to some thousand, a few of 100 KB, which change every
//! twenty seconds, have a tag each, and vary by language in one of eight.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::chance::mix;

/// How many tags there are.
pub(crate) const TAGS: u64 = 20_000;
/// The bytes of a body below `/filled/`.
const FILLED: usize = 1024;
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// Serves until the program ends, on a thread of its own.
pub(crate) fn serve() -> io::Result<SocketAddr> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let _ = tell.send(listener.local_addr()?);
            let begun = Instant::now();
            loop {
                let (stream, _) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                let service = service_fn(move |request| async move {
                    Ok::<_, Infallible>(answer(&request, begun.elapsed().as_secs() / 20))
                });
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

fn answer(request: &Request<Incoming>, edition: u64) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let page = path.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    let length = match page % 1000 {
        _ if path.starts_with("/filled/") => FILLED,
        0 => 100_000,
        short => 200 + 4 * short as usize,
    };
    let tag = format!("\"{page:x}-{edition}\"");
    let is_known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| *known == *tag);
    let body: Vec<u8> = match is_known {
        true => Vec::new(),
        false => WORDS.bytes().cycle().take(length).collect(),
    };
    let mut answer = Response::new(Full::new(body.into()));
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let head = answer.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if page % 8 == 0 {
        head.insert(VARY, HeaderValue::from_static("accept-language"));
    }
    for (name, value) in [(ETAG, tag), (CACHE_TAG, format!("page:{}", page % TAGS))] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            head.insert(name, value);
        }
    }
    answer
}

const WORDS: &str = "A tide gate lets water out and holds the sea back; this text is here to be \
                     compressed, once for all who want it so. ";
