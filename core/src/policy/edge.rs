//! `[edge]`: how the worker runs, routes aside.

use serde::{Deserialize, Serialize};

/// What the worker at the edge needs besides the routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edge {
    /// Whether answers say in `Server-Timing` where their time went.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub server_timing: bool,
    /// Which requests are a line of the log each.
    #[serde(skip_serializing_if = "RequestLog::is_default")]
    pub log: RequestLog,
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
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl RequestLog {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
