//! The service behind all: what the mix asks for, out of an SQLite that takes as long as a database
//! on another machine would.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tidegate_bench::cache_service::{Answer, serve_on};
use tidegate_example_service::database::{self, Database};
use tidegate_traffic::{Endpoint, Kind, Mix};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections to the database, as many as a small service has.
const POOL: usize = 10;

/// What is asked of it by who runs it, beside all others.
pub(crate) const COUNTS: &str = "/.load/counts";
pub(crate) const SLOW: &str = "/.load/slow/";

struct Origin {
    mix: Mix,
    database: Arc<Database>,
    /// Queries that were there before anybody asked.
    before: u64,
    pool: Semaphore,
    /// How many times slower than usual the database is.
    slow: Cell<u32>,
    requests: Cell<u64>,
}

/// Serves until the process ends.
pub(crate) async fn serve(address: SocketAddr) -> io::Result<()> {
    let mix = Mix::platform();
    let database = Arc::new(Database::in_memory().map_err(io::Error::other)?);
    let plugins: String = (0..mix.people.plugins)
        .map(|number| format!("INSERT INTO plugins VALUES ('plugin-{number}', 'a purpose');"))
        .collect();
    let filled = database.ask(move |connection| connection.execute_batch(&plugins)).await;
    filled.map_err(io::Error::other)?;
    let origin = Rc::new(Origin {
        mix,
        before: database.queries(),
        database,
        pool: Semaphore::new(POOL),
        slow: Cell::new(1),
        requests: Cell::new(0),
    });
    let listener = TcpListener::bind(address).await?;
    serve_on(listener, move |request| Rc::clone(&origin).answer(request)).await;
    Ok(())
}

impl Origin {
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        if path == COUNTS {
            let queries = self.database.queries() - self.before;
            let counts = serde_json::json!({ "requests": self.requests.get(), "queries": queries });
            return Response::new(Full::new(counts.to_string().into()));
        }
        if let Some(times) = path.strip_prefix(SLOW).and_then(|times| times.parse().ok()) {
            self.slow.set(times);
            return Response::new(Full::default());
        }
        self.requests.set(self.requests.get() + 1);
        let method = request.method().as_str().to_owned();
        let asks_for = |endpoint: &&Endpoint| {
            endpoint.method == method && !endpoint.reload && is_like(&path, &endpoint.target)
        };
        let Some(endpoint) = self.mix.endpoints.iter().find(asks_for) else {
            return with_status(StatusCode::NOT_FOUND);
        };
        let tag = format!(
            "\"{:x}\"",
            path.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte))
        );
        let is_same = request.headers().get(IF_NONE_MATCH).is_some_and(|has| *has == *tag);
        if request.into_body().collect().await.is_err() {
            return with_status(StatusCode::BAD_REQUEST);
        }
        let content = match self.work(endpoint, &path).await {
            Ok(content) => content,
            Err(_) => return with_status(StatusCode::INTERNAL_SERVER_ERROR),
        };
        let is_same = is_same && endpoint.validator;
        let mut answer = if is_same {
            with_status(StatusCode::NOT_MODIFIED)
        } else {
            let mut body = content.into_bytes();
            // White space behind JSON means nothing.
            body.resize((endpoint.bytes as usize).max(body.len()), b' ');
            let mut answer = Response::new(Full::new(Bytes::from(body)));
            *answer.status_mut() = StatusCode::from_u16(endpoint.status).unwrap_or_default();
            answer
        };
        let head = answer.headers_mut();
        head.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(&path)));
        if let Some(said) = endpoint.cache_control.as_deref().and_then(|said| said.parse().ok()) {
            head.insert(CACHE_CONTROL, said);
        }
        if let Some(tag) = tag.parse().ok().filter(|_| endpoint.validator) {
            head.insert(ETAG, tag);
        }
        answer
    }

    /// Takes as long as the mix says, in queries over the pool's connections where there are some.
    async fn work(
        &self,
        endpoint: &Endpoint,
        path: &str,
    ) -> Result<String, Box<dyn std::error::Error>> {
        let whole = Duration::from_millis(u64::from(endpoint.millis));
        if endpoint.queries == 0 {
            tokio::time::sleep(whole).await;
            return Ok(String::new());
        }
        let mut content = String::new();
        for _ in 0..endpoint.queries {
            let _connection = self.pool.acquire().await?;
            tokio::time::sleep(whole / endpoint.queries * self.slow.get()).await;
            content = self.query(endpoint, path).await?;
        }
        if endpoint.status == StatusCode::NO_CONTENT { Ok(String::new()) } else { Ok(content) }
    }

    async fn query(
        &self,
        endpoint: &Endpoint,
        path: &str,
    ) -> Result<String, Box<dyn std::error::Error>> {
        let parts: Vec<&str> = path.split('/').collect();
        let team = parts.get(4).and_then(|team| team.parse().ok()).unwrap_or(0);
        let plugin = parts.get(6).map_or_else(|| "plugin-0".to_owned(), ToString::to_string);
        let database = &self.database;
        Ok(match (endpoint.kind, &*endpoint.name) {
            (Kind::Read, "plugin-list") => {
                serde_json::to_string(&database.ask(database::plugins).await?)?
            }
            (Kind::Read, "marketplace") => {
                serde_json::to_string(&database.ask(database::marketplace).await?)?
            }
            (Kind::Read, "my-plugins") => {
                let installed = database.ask(move |db| database::installed(db, team)).await?;
                serde_json::to_string(&installed)?
            }
            (Kind::Write, "install") => {
                database.ask(move |db| database::install(db, team, &plugin)).await?.to_string()
            }
            (Kind::Write, _) => {
                database.ask(move |db| database::uninstall(db, team, &plugin)).await?.to_string()
            }
            _ => {
                let profile = database.ask(|db| database::profile(db, "somebody")).await?;
                serde_json::to_string(&profile)?
            }
        })
    }
}

/// Whether a path is what a target of the mix stands for.
fn is_like(path: &str, target: &str) -> bool {
    let (path, target) = (path.split('/'), target.split('/'));
    path.clone().count() == target.clone().count()
        && path.zip(target).all(|(has, wants)| wants.starts_with('{') || has == wants)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ if path.starts_with("/api/") => "application/json",
        _ => "text/html; charset=utf-8",
    }
}

fn with_status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}
