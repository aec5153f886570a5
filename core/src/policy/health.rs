//! What asks whether the service is alive, and whether it is ready for requests (P9).

use alloc::string::String;
use alloc::vec::Vec;

use super::Policy;

/// Answered without the policy's leave: this process is alive, whatever it says.
const ALWAYS: &str = "/healthz";
/// Likewise, unless a route has exactly this path: then its upstream answers.
const ALIVE: [&str; 2] = ["/health", "/api/health"];
const READY: &str = "/ready";

/// What a health check wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether the process is alive.
    Alive,
    /// Whether requests should be sent to it.
    Ready,
}

/// What is known of one thing that requests need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is: `redis`, `upstream`, `drain`, `maintenance`.
    pub kind: &'static str,
    /// Its name in the policy, where there are several.
    pub name: Option<String>,
    /// How it is.
    pub state: CheckState,
    /// Why, in a sentence without anything secret; empty if all is well.
    pub detail: String,
}

/// How something is that requests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckState {
    /// It does its work.
    Ok,
    /// Requests are answered all the same, though not all or not as well.
    Degraded,
    /// Requests had better go elsewhere.
    Failing,
}

/// What was seen of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamSeen {
    /// How many servers it has.
    pub servers: usize,
    /// How many of them may be asked.
    pub up: usize,
    /// How many more are left out for a while for their failures, and asked only when no other is
    /// up.
    pub left_out: usize,
    /// Whether nobody is asked for a while, since too much has failed.
    pub breaker_open: bool,
}

impl UpstreamSeen {
    /// How many are down by their health checks.
    pub const fn down(&self) -> usize {
        self.servers.saturating_sub(self.up).saturating_sub(self.left_out)
    }
}

impl Policy {
    /// What a request with this method and path, as it came, asks of the shim's health; `None` if
    /// it asks for something else, or for what a route of exactly this path answers.
    pub fn probe(&self, method: &str, path: &str) -> Option<Probe> {
        let check = match path {
            ALWAYS => return Some(Probe::Alive),
            READY => Probe::Ready,
            _ if ALIVE.contains(&path) => Probe::Alive,
            _ => return None,
        };
        let asks = matches!(method, "GET" | "HEAD");
        let is_route = || self.model.routes.iter().any(|route| route.pattern.as_str() == path);
        (asks && !is_route()).then_some(check)
    }
}

impl Check {
    /// An upstream: without a server that may be asked nothing new can be had.
    pub fn upstream(name: &str, seen: UpstreamSeen) -> Self {
        let UpstreamSeen { servers, up, left_out, breaker_open } = seen;
        let (state, detail) = match up {
            0 if left_out == 0 => (CheckState::Failing, "No server may be asked."),
            0 => (CheckState::Degraded, "All of its servers fail requests."),
            _ if breaker_open => (CheckState::Degraded, "It fails too often and is given time."),
            _ if up < servers => (CheckState::Degraded, "Not all of its servers may be asked."),
            _ => (CheckState::Ok, ""),
        };
        Self { kind: "upstream", name: Some(name.into()), state, detail: detail.into() }
    }

    /// A folder of files.
    pub fn folder(name: &str, is_there: bool) -> Self {
        let (state, detail) = match is_there {
            true => (CheckState::Ok, ""),
            false => (CheckState::Failing, "The folder cannot be read."),
        };
        Self { kind: "upstream", name: Some(name.into()), state, detail: detail.into() }
    }

    /// A store that all shims share, by what it is for: without it each shim goes on with its own
    /// memory (C9, R8).
    pub fn redis((what, answers): (&str, bool)) -> Self {
        let (state, detail) = match answers {
            true => (CheckState::Ok, ""),
            false => {
                (CheckState::Degraded, "It does not answer, so each shim counts and stores alone.")
            }
        };
        Self { kind: "redis", name: Some(what.into()), state, detail: detail.into() }
    }

    /// Maintenance: whoever is sent elsewhere would miss the page that says so.
    pub fn maintenance() -> Self {
        let detail = "Nobody gets through but whom the policy lets.";
        let state = CheckState::Degraded;
        Self { kind: "maintenance", name: None, state, detail: detail.into() }
    }

    /// The process ends when those are done who are served.
    pub fn drain() -> Self {
        let detail = "The process finishes what runs and ends.";
        Self { kind: "drain", name: None, state: CheckState::Failing, detail: detail.into() }
    }
}

impl CheckState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }

    /// How all is together: as bad as the worst.
    pub fn of_all(checks: &[Check]) -> Self {
        checks.iter().map(|check| check.state).max().unwrap_or(Self::Ok)
    }

    /// The status code that says whether to send requests.
    pub const fn status(self) -> u16 {
        match self {
            Self::Ok | Self::Degraded => 200,
            Self::Failing => 503,
        }
    }
}

/// The checks of everything: of each upstream, and of Redis by what it is used for.
pub fn checks<'a>(
    upstreams: impl IntoIterator<Item = (&'a str, UpstreamSeen)>,
    redis: impl IntoIterator<Item = (&'a str, bool)>,
    in_maintenance: bool,
    is_draining: bool,
) -> Vec<Check> {
    let upstreams = upstreams.into_iter().map(|(name, seen)| Check::upstream(name, seen));
    upstreams
        .chain(redis.into_iter().map(Check::redis))
        .chain(in_maintenance.then(Check::maintenance))
        .chain(is_draining.then(Check::drain))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: UpstreamSeen = UpstreamSeen { servers: 2, up: 2, left_out: 0, breaker_open: false };

    fn status(
        upstreams: &[UpstreamSeen],
        redis: Option<bool>,
        drains: bool,
    ) -> (u16, &'static str) {
        let named = upstreams.iter().map(|seen| ("a", *seen));
        let redis = redis.map(|answers| ("limits", answers));
        let state = CheckState::of_all(&checks(named, redis, false, drains));
        (state.status(), state.as_str())
    }

    #[test]
    fn p9_an_upstream_without_servers_is_not_ready_and_a_lost_redis_is() {
        assert_eq!(status(&[UP, UP], Some(true), false), (200, "ok"));
        assert_eq!(status(&[], None, false), (200, "ok"));
        assert_eq!(status(&[UP], Some(false), false), (200, "degraded"));
        assert_eq!(status(&[UpstreamSeen { up: 1, ..UP }], None, false), (200, "degraded"));
        assert_eq!(status(&[UpstreamSeen { breaker_open: true, ..UP }], None, false).1, "degraded");
        assert_eq!(status(&[UP, UpstreamSeen { up: 0, ..UP }], None, false), (503, "failing"));
        let all_left_out = UpstreamSeen { up: 0, left_out: 2, ..UP };
        assert_eq!(status(&[all_left_out], None, false), (200, "degraded"), "they are asked");
        assert_eq!(status(&[UP], Some(true), true), (503, "failing"));
    }

    #[test]
    fn p9_health_is_asked_by_path_unless_a_route_has_just_that_path() {
        let policy = |routes: &str| {
            let json = alloc::format!(r#"{{"schema":1,"routes":[{routes}]}}"#);
            Policy::from_json(&json).unwrap()
        };
        let none = policy("");
        for path in ["/healthz", "/health", "/api/health"] {
            assert_eq!(none.probe("GET", path), Some(Probe::Alive), "{path}");
        }
        assert_eq!(none.probe("HEAD", "/ready"), Some(Probe::Ready));
        assert_eq!(none.probe("POST", "/health"), None);
        for path in ["/", "/healthz/", "/health/x", "/api/healthz", "//ready", "/api/health;x"] {
            assert_eq!(none.probe("GET", path), None, "{path}");
        }
        let own = policy(r#"{"name":"a","pattern":"/api/health"},{"name":"b","pattern":"/*"}"#);
        assert_eq!(own.probe("GET", "/api/health"), None);
        assert_eq!(own.probe("GET", "/health"), Some(Probe::Alive));
    }
}
