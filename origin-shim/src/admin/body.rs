//! Bodies of requests: JSON, of a bounded length, in a bounded time.

use std::time::Duration;

use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tidegate_core::policy::overrides::JSON_MAX;

use super::answer::Problem;

/// The whole body must be here within this time.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The body as text; an empty one stands for an empty object.
pub(super) async fn read(body: Incoming) -> Result<String, Problem> {
    let collected = Limited::new(body, JSON_MAX).collect();
    let bytes = match tokio::time::timeout(TIMEOUT, collected).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = format!("The body is longer than {JSON_MAX} bytes.");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail, ""));
        }
        Ok(Err(_)) => {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "The body broke off.", ""));
        }
        Err(_) => {
            let detail = format!("The body did not come within {TIMEOUT:?}.");
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail, ""));
        }
    };
    match std::str::from_utf8(&bytes) {
        Ok("") => Ok("{}".into()),
        Ok(text) => Ok(text.into()),
        Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "The body is no UTF-8.", "")),
    }
}
