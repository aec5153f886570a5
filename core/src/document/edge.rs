//! `[edge]`: how the worker runs, routes aside.

use super::declare::section;
use super::decode::{Context, Decode};
use crate::policy::Edge;

section! {
    /// What the worker at the edge needs besides the routes.
    struct EdgeSection, "`[edge]`" {
        /// Whether answers say in `Server-Timing` where their time went: off without it, since it
        /// tells everybody how long your origin takes.
        default server_timing: bool,
    }
}

pub(super) fn resolve(section: Option<EdgeSection>) -> Edge {
    section.map_or_else(Edge::default, |EdgeSection { server_timing }| Edge { server_timing })
}
