//! `[edge]`: how the worker runs, routes aside.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::IsolateMemory;
use crate::signature::SignatureRule;
use crate::time::as_millis;

/// How long the origin may take to begin its answer where the policy says nothing.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What the worker at the edge needs besides the routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edge {
    /// Whether answers say in `Server-Timing` where their time went.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub server_timing: bool,
    /// What an isolate keeps in its own memory, before the Cache API.
    #[serde(skip_serializing_if = "IsolateMemory::is_default")]
    pub memory: IsolateMemory,
    /// Which requests are a line of the log each.
    #[serde(skip_serializing_if = "RequestLog::is_default")]
    pub log: RequestLog,
    /// How requests to the shim are signed; without it they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureRule>,
    /// How long the origin may take to begin its answer.
    #[serde(skip_serializing_if = "Option::is_none", with = "as_millis::option")]
    pub timeout: Option<Duration>,
    /// Where the shim and the commands reach the worker: scheme and host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The name of the secret that lets somebody purge and debug.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// URLs that are asked for at each call of the clock, so that their answers are stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warm: Vec<String>,
    /// The URL of a list of such URLs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_list: Option<String>,
}

/// Which requests are a line of the log each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestLog {
    /// None.
    #[default]
    None,
    /// Those that the cache did not answer.
    Forwarded,
    /// Every one.
    All,
}

impl Edge {
    /// How long the origin may take until the head of its answer is there; a body that has begun
    /// may take as long as it does.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// The names of its secrets.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let keys = self.signature.iter().flat_map(|rule| &rule.keys);
        self.token.iter().chain(keys.map(|key| &key.secret)).map(String::as_str)
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl RequestLog {
    /// Whether a request with this outcome, in the word of `X-Cache`, is a line.
    pub fn has(self, outcome: &str) -> bool {
        match self {
            Self::None => false,
            Self::Forwarded => !matches!(outcome, "HIT" | "STALE"),
            Self::All => true,
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
