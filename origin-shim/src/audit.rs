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
    /// The service whose policy it is.
    Service,
    /// Nobody: the process starts, with what another left.
    Start,
    /// Nobody: a time has come that was set before.
    Clock,
}

/// Writes down a change of `subject`, where the action has one.
pub fn record(who: &Who, action: &str, subject: &str, before: &Value, after: &Value) {
    write(who, action, subject, json!({ "before": before, "after": after }));
}

/// Writes down a change that was asked for and not made, and why.
pub fn refused(who: &Who, action: &str, subject: &str, stays: &Value, why: &str) {
    write(who, action, subject, json!({ "stays": stays, "refused": why }));
}

fn write(who: &Who, action: &str, subject: &str, mut entry: Value) {
    entry["log"] = json!("audit");
    entry["time"] = json!(Rfc3339(clock::now()).to_string());
    entry["who"] = json!(who.to_string());
    entry["action"] = json!(action);
    if !subject.is_empty() {
        entry["subject"] = json!(subject);
    }
    eprintln!("{entry}");
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Hangup => f.write_str("SIGHUP"),
            Self::Service => f.write_str("service"),
            Self::Start => f.write_str("start"),
            Self::Clock => f.write_str("clock"),
        }
    }
}
