//! Answers to order: any path takes `header=Name: value` (repeatable) and
//! `status=NNN` in its query, so that a test can make the origin say what an
//! origin may say, `Set-Cookie` and `no-store` included.
//!
//! A header given this way replaces what the answer had under its name. A
//! parameter that is not a header or a status is answered with 400: a typing
//! error in a test must not look like a well-behaved origin.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};

use super::body::{self, Answer};

/// What the query of a request asks of its answer.
pub(super) enum Knobs {
    Set { status: Option<StatusCode>, headers: HeaderMap },
    Nonsense(String),
}

pub(super) fn asked_for(uri: &Uri) -> Knobs {
    let mut asked_status = None;
    let mut headers = HeaderMap::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()) {
        match &*name {
            "header" => match header(&value) {
                Some((name, value)) => {
                    headers.append(name, value);
                }
                None => return Knobs::Nonsense(format!("`{value}` is not `Name: value`")),
            },
            "status" => match status(&value) {
                Some(status) => asked_status = Some(status),
                None => return Knobs::Nonsense(format!("`{value}` is not a final status")),
            },
            _ => {}
        }
    }
    Knobs::Set { status: asked_status, headers }
}

impl Knobs {
    pub(super) fn apply(self, answer: &mut Answer) {
        match self {
            Self::Set { status, headers } => {
                if let Some(status) = status {
                    *answer.status_mut() = status;
                }
                for name in headers.keys() {
                    answer.headers_mut().remove(name);
                }
                for (name, value) in &headers {
                    answer.headers_mut().append(name, value.clone());
                }
            }
            Self::Nonsense(why) => *answer = body::problem(StatusCode::BAD_REQUEST, &why),
        }
    }
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    Some((name.parse().ok()?, value.trim().parse().ok()?))
}

/// An informational status cannot end an exchange.
fn status(digits: &str) -> Option<StatusCode> {
    digits.parse().ok().filter(|status: &StatusCode| !status.is_informational())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_given_twice_appears_twice_and_replaces_what_was_there() {
        let mut answer = body::json(StatusCode::OK, &serde_json::json!({}));
        asked_for(
            &"/?header=Content-Type:+text/plain&header=A:+1&header=a:2&status=203".parse().unwrap(),
        )
        .apply(&mut answer);

        assert_eq!(answer.status(), 203);
        assert_eq!(answer.headers()["content-type"], "text/plain");
        assert_eq!(answer.headers().get_all("a").iter().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_typing_error_is_a_400() {
        for query in ["header=no-colon", "header=b%C3%A4d:1", "status=20x", "status=100"] {
            let mut answer = body::empty(StatusCode::OK);
            asked_for(&format!("/?{query}").parse().unwrap()).apply(&mut answer);
            assert_eq!(answer.status(), 400, "{query}");
        }
    }
}
