//! `/api/v1/events?count=…&every_ms=…`: server-sent events, a bounded number.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Response, Uri, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use super::{super::body::Answer, query_number};

const MOST_EVENTS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 10_000;

/// The first event leaves at once; whoever buffers it is found out by the
/// pause before the second.
pub(super) fn answer(uri: &Uri) -> Answer {
    let count = query_number(uri, "count").unwrap_or(5).min(MOST_EVENTS);
    let pause = query_number(uri, "every_ms").unwrap_or(200).min(LONGEST_PAUSE_MS);
    let pause = Duration::from_millis(pause);

    let events = stream::unfold(1, move |number| async move {
        if number > count {
            return None;
        }
        if number > 1 && !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Some((Ok::<_, Infallible>(Frame::data(event(number))), number + 1))
    });
    let mut answer = Response::new(StreamBody::new(events).boxed());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn event(number: u64) -> Bytes {
    format!("id: {number}\nevent: tick\ndata: {{\"number\":{number}}}\n\n").into()
}
