//! Which request is for what.

use std::net::SocketAddr;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use super::answer::{Answer, Body, Problem, events, respond, text};
use super::events::Events;
use super::guard::Guard;
use super::{body, dashboard, limits, maintenance, playground, policy, purge, reload, status};
use crate::audit::Who;
use crate::control::Control;
use crate::metrics::{self, Snapshot};

/// Answers one request that came from `peer`.
pub(super) async fn answer(
    guard: &Guard,
    control: &Control,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let page = match parts.uri.path() {
        _ if !is_look(&parts) => None,
        "/playground" => Some(playground::show(control)),
        path => dashboard::file(path),
    };
    if let Some(page) = page {
        return guard.check_page(&parts).map_or_else(|problem| respond(Err(problem)), |()| page);
    }
    let answer = match guard.check(&parts) {
        Err(problem) => Err(problem),
        Ok(()) if is_look(&parts) && parts.uri.path() == "/metrics" => {
            return text(metrics::CONTENT_TYPE, metrics::expose(&Snapshot::take(control)));
        }
        Ok(()) if is_look(&parts) && parts.uri.path() == "/events" => {
            return events(Events::begin(control));
        }
        Ok(()) => match body::read(body).await {
            Err(problem) => Err(problem),
            Ok(body) => {
                let who = Who::Peer(peer);
                route(control, &who, parts.method.as_str(), parts.uri.path(), body).await
            }
        },
    };
    respond(answer)
}

async fn route(control: &Control, who: &Who, method: &str, path: &str, body: String) -> Answer {
    let Some(segments) = segments(path) else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "The path is no UTF-8.", ""));
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = if method == "HEAD" { "GET" } else { method };
    match (method, &*segments) {
        ("GET", ["stats"]) => Ok(metrics::describe(control)),
        ("GET", ["policy"]) => Ok(policy::show(control)),
        ("GET", ["status"]) => Ok(status::show(control)),
        ("POST", ["reload"]) => reload::reload(control, who).await,
        ("POST", ["purge"]) => purge::purge(control, who, body).await,
        ("GET", ["limits"]) => Ok(limits::list(control)),
        ("GET", ["limits", name]) => limits::show(control, name),
        ("PUT", ["limits", name]) => limits::set(control, who, name, body).await,
        ("DELETE", ["limits", name]) => limits::reset(control, who, name).await,
        ("GET", ["limits", name, "blocked"]) => limits::blocked(control, name),
        ("DELETE", ["limits", name, "blocked", client]) => {
            limits::unblock(control, who, name, client).await
        }
        ("GET", ["maintenance"]) => Ok(maintenance::show(control)),
        ("PUT", ["maintenance"]) => maintenance::set(control, who, body).await,
        ("DELETE", ["maintenance"]) => maintenance::end(control, who).await,
        (
            _,
            ["" | "playground" | "status" | "policy" | "metrics" | "stats" | "events" | "limits"]
            | ["limits", _, "blocked"],
        ) => Err(Problem::method("GET, HEAD")),
        (_, ["limits", _, "blocked", _]) => Err(Problem::method("DELETE")),
        (_, ["reload" | "purge"]) => Err(Problem::method("POST")),
        (_, ["limits", _] | ["maintenance"]) => Err(Problem::method("GET, HEAD, PUT, DELETE")),
        _ => Err(Problem::unknown(
            "There is no such page of the admin listener.",
            "known are /, /playground, /status, /policy, /metrics, /stats, /events, /reload, /purge, /limits, /limits/NAME, /limits/NAME/blocked and /maintenance",
        )),
    }
}

fn is_look(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD)
}

/// The segments of a path, decoded; `None` if that is no text.
fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix('/')?;
    let decode = |segment| percent_decode_str(segment).decode_utf8().ok().map(String::from);
    path.split('/').map(decode).collect()
}
