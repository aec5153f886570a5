//! `[edge]`: how the worker runs, routes aside.

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText};
use crate::policy::edge::RequestLog;
use crate::policy::{Edge, Malformed};

section! {
    /// What the worker at the edge needs besides the routes.
    struct EdgeSection, "`[edge]`" {
        /// Whether answers say in `Server-Timing` where their time went: off without it, since it
        /// tells everybody how long your origin takes.
        default server_timing: bool,
        /// Which requests are a line of JSON each in the Worker's log: `none` without it,
        /// `forwarded` those that the cache did not answer, or `all`.
        optional log: RequestLog,
    }
}

words!(RequestLog, "choice of requests", {
    "none" => Self::None,
    "forwarded" => Self::Forwarded,
    "all" => Self::All,
});

pub(super) fn resolve(section: Option<EdgeSection>) -> Edge {
    section.map_or_else(Edge::default, |EdgeSection { server_timing, log }| Edge {
        server_timing,
        log: log.unwrap_or_default(),
    })
}
