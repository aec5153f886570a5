//! The base service: the API of a small team's platform.
//!
//! Each JSON answer carries `served`, the number of the request for its path:
//! a repeated number is a cached answer.

mod echo;
mod event_stream;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{
    body::{self, Answer},
    bundle, identity,
    server::Application,
    team_plugins::{CATALOGUE, Installed, TeamPlugins},
};

#[derive(Debug, Default)]
pub(super) struct BaseService {
    team_plugins: TeamPlugins,
}

impl BaseService {
    pub(super) fn new() -> Self {
        Self::default()
    }
}

impl Application for BaseService {
    async fn answer(&self, request: Request<Incoming>, served: u64) -> Answer {
        let path = request.uri().path().to_owned();
        let Some(path) = path.strip_prefix("/api/v1/") else { return unknown() };
        let segments: Vec<&str> = path.split('/').collect();
        match *segments {
            ["echo", ..] => echo::answer(request, served).await,
            ["teams", team, "plugins"] => match *request.method() {
                Method::POST => self.install(request, team, served).await,
                _ => body::method_not_allowed("POST"),
            },
            ["teams", team, "plugins", plugin] => match *request.method() {
                Method::DELETE => self.uninstall(&request, team, plugin),
                _ => body::method_not_allowed("DELETE"),
            },
            _ => match *request.method() {
                Method::GET | Method::HEAD => self.read(&request, &segments, served).await,
                _ => body::method_not_allowed("GET, HEAD"),
            },
        }
    }
}

impl BaseService {
    async fn read(&self, request: &Request<Incoming>, path: &[&str], served: u64) -> Answer {
        match *path {
            ["plugins"] => ok(plugin_list(served)),
            ["marketplace"] => ok(marketplace(served)),
            ["teams", team, "my-plugins"] => self.my_plugins(request, team, served),
            ["user", "profile"] => profile(request, served),
            ["time"] => time(served),
            ["custom"] => ok(json!({ "served": served })),
            ["slow"] => slow(request, served).await,
            ["events"] => event_stream::answer(request.uri()),
            _ => unknown(),
        }
    }

    fn my_plugins(&self, request: &Request<Incoming>, team: &str, served: u64) -> Answer {
        match identity::user(request.headers()) {
            Ok(user) => ok(json!({
                "served": served,
                "team": team,
                "user": user,
                "plugins": self.team_plugins.of(team),
            })),
            Err(refusal) => *refusal,
        }
    }

    async fn install(&self, request: Request<Incoming>, team: &str, served: u64) -> Answer {
        if let Err(refusal) = identity::user(request.headers()) {
            return *refusal;
        }
        let Some(plugin) = named_plugin(request.into_body()).await else {
            let detail = "the body must be JSON like {\"plugin\":\"chart\"}, below 64 KiB";
            return body::problem(StatusCode::BAD_REQUEST, detail);
        };
        let installed = json!({ "served": served, "team": team, "plugin": plugin });
        match self.team_plugins.install(team, &plugin) {
            Installed::Now => body::json(StatusCode::CREATED, &installed),
            Installed::Before => ok(installed),
            Installed::NoSuchPlugin => {
                let detail = format!("no plugin `{plugin}`; there are: {}", CATALOGUE.join(", "));
                body::problem(StatusCode::UNPROCESSABLE_ENTITY, &detail)
            }
        }
    }

    fn uninstall(&self, request: &Request<Incoming>, team: &str, plugin: &str) -> Answer {
        if let Err(refusal) = identity::user(request.headers()) {
            return *refusal;
        }
        if self.team_plugins.uninstall(team, plugin) {
            body::empty(StatusCode::NO_CONTENT)
        } else {
            body::problem(StatusCode::NOT_FOUND, &format!("team {team} has no plugin {plugin}"))
        }
    }
}

fn plugin_list(served: u64) -> Value {
    let plugins: Vec<_> = CATALOGUE
        .iter()
        .map(|name| {
            let entry = format!("/plugins/{name}.js");
            let bytes = bundle::find(&entry).map(|bundle| bundle.bytes.len());
            json!({ "name": name, "version": "1.4.0", "entry": entry, "bytes": bytes })
        })
        .collect();
    json!({ "served": served, "plugins": plugins })
}

fn marketplace(served: u64) -> Value {
    let packages: Vec<_> = (1..=40)
        .map(|number| {
            json!({
                "id": number,
                "name": format!("package-{number:02}"),
                "summary": "One of many things a team may want to install.",
                "installs": 7919 * number % 10_007,
            })
        })
        .collect();
    json!({ "served": served, "packages": packages })
}

fn profile(request: &Request<Incoming>, served: u64) -> Answer {
    match identity::user(request.headers()) {
        Ok(user) => ok(json!({
            "served": served,
            "user": user,
            "name": format!("User {user}"),
            "email": format!("{user}@example.com"),
        })),
        Err(refusal) => *refusal,
    }
}

/// The one answer that is wrong as soon as it is old, and says so.
fn time(served: u64) -> Answer {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut answer = ok(json!({ "served": served, "unix_ms": since.as_millis() as u64 }));
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
    answer
}

const SLOWEST: u64 = 10_000;

async fn slow(request: &Request<Incoming>, served: u64) -> Answer {
    let asked = query_number(request.uri(), "ms").unwrap_or(1_000);
    let waited = asked.min(SLOWEST);
    tokio::time::sleep(Duration::from_millis(waited)).await;
    ok(json!({ "served": served, "waited_ms": waited }))
}

async fn named_plugin(body: Incoming) -> Option<String> {
    const MOST: usize = 64 * 1024;
    let bytes: Bytes = Limited::new(body, MOST).collect().await.ok()?.to_bytes();
    let value: Value = serde_json::from_slice(&bytes).ok()?;
    value.get("plugin")?.as_str().map(str::to_owned)
}

fn query_number(uri: &http::Uri, name: &str) -> Option<u64> {
    form_urlencoded::parse(uri.query()?.as_bytes())
        .find(|(key, _)| key == name)
        .and_then(|(_, value)| value.parse().ok())
}

fn ok(value: Value) -> Answer {
    body::json(StatusCode::OK, &value)
}

fn unknown() -> Answer {
    body::problem(StatusCode::NOT_FOUND, "the base service has no such endpoint")
}
