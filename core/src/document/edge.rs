//! `[edge]`: how the worker runs, routes aside.

use core::time::Duration;

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText, Located};
use super::signature::{self, SignatureSection};
use super::values::Ttl;
use crate::policy::edge::RequestLog;
use crate::policy::{Edge, Malformed};

/// Whoever waits longer has gone.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

section! {
    /// What the worker at the edge needs besides the routes.
    struct EdgeSection, "`[edge]`" {
        /// Whether answers say in `Server-Timing` where their time went: off without it, since it
        /// tells everybody how long your origin takes.
        default server_timing: bool,
        /// Which requests are a line of JSON each in the Worker's log: `none` without it,
        /// `forwarded` those that the cache did not answer, or `all`.
        optional log: RequestLog,
        /// How requests to the shim are signed, so that it knows them from those that go around
        /// the edge. Without it they are not.
        optional signature: Located<SignatureSection>,
        /// How long the origin may take until its answer begins, `60s` without it; what has
        /// begun may go on for as long as it does. Then a stored answer serves where the route
        /// allows that on errors, else 504. GET, HEAD and OPTIONS without a body are sent once
        /// more if no connection was to be had.
        optional timeout: Located<Ttl>,
    }
}

words!(RequestLog, "choice of requests", {
    "none" => Self::None,
    "forwarded" => Self::Forwarded,
    "all" => Self::All,
});

pub(super) fn resolve(section: Option<EdgeSection>, context: &mut Context<'_>) -> Edge {
    let Some(EdgeSection { server_timing, log, signature, timeout }) = section else {
        return Edge::default();
    };
    let timeout = timeout.map(|timeout| {
        let Ttl(value) = timeout.value;
        if value.is_zero() || value > TIMEOUT_MAX {
            let hint = "write `\"60s\"`, or what your slowest answer takes to begin";
            context.report(timeout.span, "a `timeout` lies between `1ms` and `10m`", hint);
        }
        value
    });
    let signature = signature.map(|section| signature::resolve(section, context));
    Edge { server_timing, log: log.unwrap_or_default(), signature, timeout }
}
