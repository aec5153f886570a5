//! Who asks: the demo takes the bearer token itself for the user's name.

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::body::{self, Answer};

/// The user named by `Authorization: Bearer <user>`, or the 401 to send.
pub(super) fn user(request: &HeaderMap) -> Result<&str, Box<Answer>> {
    bearer_token(request).ok_or_else(|| {
        let detail = "this answer is personal: send `Authorization: Bearer <user>`";
        let mut answer = body::problem(StatusCode::UNAUTHORIZED, detail);
        // RFC 9110 §15.5.2: a 401 must carry a challenge.
        let challenge = HeaderValue::from_static("Bearer realm=\"demo\"");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        Box::new(answer)
    })
}

fn bearer_token(request: &HeaderMap) -> Option<&str> {
    let credentials = request.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = credentials.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
