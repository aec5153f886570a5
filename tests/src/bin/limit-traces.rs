//! Writes traces of limits with what a store must know at each request to standard output, a JSON
//! object a line: what a Durable Object is held to.
//!
//! What was known and when it was are all that a verdict depends on.

use std::io::{self, Write as _};

use serde_json::{Value, json};
use tidegate_tests::limit_traces::{Event, Tally, limits, trace};

/// Events of each trace.
const EVENTS: usize = 1500;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (seed, limit) in (1..).zip(limits()) {
        let events = trace(&limit, seed, EVENTS);
        let Tally { clients, allowed, refused } = Tally::of(&events);
        let events: Vec<Value> = events.iter().map(written).collect();
        let limit = serde_json::to_value(&limit)?;
        let tally = json!({ "clients": clients, "allowed": allowed, "refused": refused });
        writeln!(out, "{}", json!({ "limit": limit, "tally": tally, "events": events }))?;
    }
    Ok(())
}

/// `[client, now, state]`: milliseconds, and the state in hexadecimal digits, none for none.
fn written(event: &Event) -> Value {
    let state = event.known.map(|state| {
        state.encode().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    });
    json!([event.client.to_string(), event.now.as_millis(), state.unwrap_or_default()])
}
