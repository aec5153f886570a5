//! `GET /events`: what is counted, second by second, as server-sent events.
//!
//! The first event is `history`, the last hour; `stats` follow, as `GET /stats` has them, until
//! the client has enough.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::control::Control;

/// Events that wait for a client that reads slowly; it misses those that come then.
const WAITING_MAX: usize = 4;

/// The body of such an answer.
#[derive(Debug)]
pub(super) struct Events(mpsc::Receiver<Bytes>);

impl Events {
    /// From now on.
    pub(super) fn begin(control: &Control) -> Self {
        let (sender, events) = mpsc::channel(WAITING_MAX);
        let history = control.shared().history();
        // There is room for the first.
        let _ = sender.try_send(event("history", &Value::to_string(&history.describe())));
        let mut seconds = history.follow();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    // Whoever has left is not written to any more.
                    () = sender.closed() => return,
                    changed = seconds.changed() => if changed.is_err() { return },
                }
                let stats = event("stats", &seconds.borrow_and_update());
                if let Err(mpsc::error::TrySendError::Closed(_)) = sender.try_send(stats) {
                    return;
                }
            }
        });
        Self(events)
    }
}

/// JSON has no line breaks of its own.
fn event(name: &str, json: &str) -> Bytes {
    format!("event: {name}\ndata: {json}\n\n").into()
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
