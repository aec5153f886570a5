//! The audit log: who changed what, from what to what. A line of JSON for each change on
//! standard error, made of nothing secret.
#![allow(clippy::print_stderr, reason = "this is the log")]

use std::fmt;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tidegate_core::time::rfc3339::Rfc3339;

use crate::clock;

/// Who makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A client of the admin listener.
    Peer(SocketAddr),
    /// Whoever sent this process the signal SIGHUP.
    Hangup,
    /// Nobody: a time has come that was set before.
    Clock,
}

/// Writes down a change.
pub fn record(who: &Who, action: &str, before: &Value, after: &Value) {
    write(json!({ "who": who.to_string(), "action": action, "before": before, "after": after }));
}

/// Writes down a change that was asked for and not made, and why.
pub fn refused(who: &Who, action: &str, stays: &Value, why: &str) {
    write(json!({ "who": who.to_string(), "action": action, "stays": stays, "refused": why }));
}

fn write(mut entry: Value) {
    entry["log"] = json!("audit");
    entry["time"] = json!(Rfc3339(clock::now()).to_string());
    eprintln!("{entry}");
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Hangup => f.write_str("SIGHUP"),
            Self::Clock => f.write_str("clock"),
        }
    }
}
