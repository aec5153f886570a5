//! Answers of the admin listener: JSON, and problem details (RFC 9457) where something is
//! wrong.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use serde_json::{Value, json};
use tidegate_core::policy::overrides::Objection;

use super::events::Events;

/// Tells an admin listener from whatever else may listen there.
pub const VERSION: HeaderName = HeaderName::from_static("tidegate-admin");

/// What a request gets.
pub(super) type Answer = Result<Value, Problem>;

/// What is wrong with a request, and what to do about it.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    body: Value,
    allow: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>, hint: &str) -> Self {
        let title = status.canonical_reason().unwrap_or_default();
        let detail: String = detail.into();
        let mut body = json!({
            "type": "about:blank",
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
        });
        if !hint.is_empty() {
            body["hint"] = json!(hint);
        }
        Self { status, body, allow: None }
    }

    /// 404 for what is not there.
    pub(super) fn unknown(detail: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail, hint)
    }

    /// 405 for a path that knows other methods.
    pub(super) fn method(allow: &'static str) -> Self {
        let detail = format!("This path knows {allow}.");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail, "") }
    }

    /// 422 for a body that says something wrong: all of it, each with its place and a hint.
    pub(super) fn objections(objections: &[Objection]) -> Self {
        let lines: Vec<String> = objections
            .iter()
            .map(|objection| {
                let Objection { place, message, .. } = objection;
                if place.is_empty() { message.clone() } else { format!("{place}: {message}") }
            })
            .collect();
        let hints: Vec<&str> = objections.iter().map(|objection| &*objection.hint).collect();
        let each = |Objection { place, message, hint }: &Objection| json!({ "place": place, "message": message, "hint": hint });
        let errors: Vec<Value> = objections.iter().map(each).collect();
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, lines.join("; "), &hints.join("; "))
            .with("errors", json!(errors))
    }

    /// The same with a further member.
    pub(super) fn with(mut self, name: &str, value: Value) -> Self {
        self.body[name] = value;
        self
    }

    #[cfg(test)]
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }
}

/// What an answer is sent as.
pub(super) type Body = Either<Full<Bytes>, Events>;

/// A response with a text of this type.
pub(super) fn text(content_type: &'static str, text: String) -> Response<Body> {
    response(content_type, Either::Left(Full::from(text)))
}

/// A response that goes on for as long as the client likes.
pub(super) fn events(events: Events) -> Response<Body> {
    response("text/event-stream", Either::Right(events))
}

fn response(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(VERSION, HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    response
}

/// The response for an answer.
pub(super) fn respond(answer: Answer) -> Response<Body> {
    let (status, content_type, body, allow) = match answer {
        Ok(value) => (StatusCode::OK, "application/json", value, None),
        Err(Problem { status, body, allow }) => (status, "application/problem+json", body, allow),
    };
    let mut response = text(content_type, format!("{body:#}\n"));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    if let Some(methods) = allow {
        fields.insert(ALLOW, HeaderValue::from_static(methods));
    }
    if status == StatusCode::UNAUTHORIZED {
        fields.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
