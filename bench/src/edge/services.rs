//! What stands around the measured process, outside of it: the origin, and the service that
//! workerd keeps what a Worker stores in (`cacheApiOutbound`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, LAST_MODIFIED};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::spawn_local;

type Answer = Response<Full<Bytes>>;

/// Both services, and what they were asked.
#[derive(Clone, Default)]
pub(crate) struct Services {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Default)]
struct Shared {
    asked: Asked,
    /// By URL without scheme.
    stored: HashMap<String, Stored>,
    /// What comes in from now on is read and forgotten: measured misses are many.
    is_sealed: bool,
}

/// How often each was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) origin: u64,
    /// For what is stored; to store is another matter.
    pub(crate) cache: u64,
}

#[derive(Clone)]
struct Stored {
    fields: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Services {
    pub(crate) fn asked(&self) -> Asked {
        self.shared.borrow().asked
    }

    pub(crate) fn seal(&self) {
        self.shared.borrow_mut().is_sealed = true;
    }

    /// Serves the origin until the program ends.
    pub(crate) async fn origin(&self) -> io::Result<SocketAddr> {
        let services = self.clone();
        serve(move |request| {
            services.shared.borrow_mut().asked.origin += 1;
            std::future::ready(made(request.uri().path()))
        })
        .await
    }

    /// Serves the cache until the program ends.
    pub(crate) async fn cache(&self) -> io::Result<SocketAddr> {
        let services = self.clone();
        serve(move |request| services.clone().cached(request)).await
    }

    /// What workerd asks of it: PUT with a whole answer for a body, and GET, which a stored answer
    /// satisfies and nothing else does.
    async fn cached(self, request: Request<Incoming>) -> Answer {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let url = format!("{}{}", host.unwrap_or_default(), request.uri());
        match *request.method() {
            Method::PUT => {
                let body = request.into_body().collect().await.map(|body| body.to_bytes());
                let stored = body.ok().and_then(Stored::read);
                let status =
                    if stored.is_some() { StatusCode::NO_CONTENT } else { StatusCode::BAD_REQUEST };
                let mut shared = self.shared.borrow_mut();
                if let Some(stored) = stored.filter(|_| !shared.is_sealed) {
                    shared.stored.insert(url, stored);
                }
                empty(status)
            }
            Method::GET => {
                let mut shared = self.shared.borrow_mut();
                shared.asked.cache += 1;
                shared
                    .stored
                    .get(&url)
                    .map_or_else(|| empty(StatusCode::GATEWAY_TIMEOUT), Stored::answer)
            }
            _ => empty(StatusCode::METHOD_NOT_ALLOWED),
        }
    }
}

impl Stored {
    /// Reads an answer much as it would go over the wire.
    fn read(message: Bytes) -> Option<Self> {
        let end = message.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = str::from_utf8(&message[..end]).ok()?;
        let mut fields = Vec::new();
        for line in head.split("\r\n").skip(1) {
            let (name, value) = line.split_once(':')?;
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            // The body is as long as it is, and not cut into chunks whatever this says.
            if name != "transfer-encoding" && name != "content-length" {
                fields.push((name, HeaderValue::from_str(value.trim()).ok()?));
            }
        }
        Some(Self { fields, body: message.slice(end + 4..) })
    }

    fn answer(&self) -> Answer {
        let mut answer = Response::new(Full::new(self.body.clone()));
        for (name, value) in &self.fields {
            answer.headers_mut().append(name, value.clone());
        }
        answer.headers_mut().insert("cf-cache-status", HeaderValue::from_static("HIT"));
        answer
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

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// Answers on a port of its own by `answer`.
async fn serve<A>(
    answer: impl Fn(Request<Incoming>) -> A + Clone + 'static,
) -> io::Result<SocketAddr>
where
    A: Future<Output = Answer> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async { Ok::<_, Infallible>(answered.await) }
            });
            // A connection that breaks is one less.
            spawn_local(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}
