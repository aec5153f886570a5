//! The service that workerd keeps what a Worker stores in (`cacheApiOutbound`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::spawn_local;

/// What a service answers.
pub type Answer = Response<Full<Bytes>>;

/// What a Worker has stored, and how often it was asked for.
#[derive(Clone, Default)]
pub struct CacheService {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Default)]
struct Shared {
    asked: u64,
    /// By URL without scheme.
    stored: HashMap<String, Stored>,
    is_sealed: bool,
}

#[derive(Clone)]
struct Stored {
    fields: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl CacheService {
    /// How often it was asked for what is stored; to store is another matter.
    pub fn asked(&self) -> u64 {
        self.shared.borrow().asked
    }

    /// What comes in from now on is read and forgotten: measured misses are many.
    pub fn seal(&self) {
        self.shared.borrow_mut().is_sealed = true;
    }

    /// Serves it until the program ends, within a `LocalSet`.
    ///
    /// # Errors
    /// If there is no port left.
    pub async fn serve(&self) -> io::Result<SocketAddr> {
        let service = self.clone();
        serve(move |request| service.clone().answer(request)).await
    }

    /// What workerd asks of it: PUT with a whole answer for a body, and GET, which a stored answer
    /// satisfies and nothing else does.
    async fn answer(self, request: Request<Incoming>) -> Answer {
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
                shared.asked += 1;
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

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

/// Answers on a port of its own by `answer`, within a `LocalSet`.
///
/// # Errors
/// If there is no port left.
pub async fn serve<A>(
    answer: impl Fn(Request<Incoming>) -> A + Clone + 'static,
) -> io::Result<SocketAddr>
where
    A: Future<Output = Answer> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    spawn_local(serve_on(listener, answer));
    Ok(address)
}

/// Answers at `listener` by `answer`, within a `LocalSet`, for ever.
pub async fn serve_on<A>(
    listener: TcpListener,
    answer: impl Fn(Request<Incoming>) -> A + Clone + 'static,
) where
    A: Future<Output = Answer> + 'static,
{
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
}
