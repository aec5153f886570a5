//! Who may operate: whoever has the token where there is one, and never a web page that
//! somebody on this machine happens to look at.

use std::fmt;
use std::net::IpAddr;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use ring::hmac;
use ring::rand::SystemRandom;
use tidegate_core::{Host, Scheme, policy};

use super::AdminError;
use super::answer::Problem;

/// Bytes that a token must have.
pub const TOKEN_MIN: usize = 16;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request must show.
pub(super) struct Guard {
    token: Option<Token>,
    hosts: Vec<String>,
}

/// A token, as a hash under a key that is made for this process: two hashes are compared in a
/// time that tells nothing, whatever their texts' lengths.
struct Token {
    key: hmac::Key,
    hash: hmac::Tag,
}

impl Guard {
    pub(super) fn new(
        rule: &policy::Admin,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, AdminError> {
        let token = match &rule.token {
            None => None,
            Some(name) => {
                let token = environment(name).ok_or_else(|| AdminError::Unset(name.clone()))?;
                let short = || AdminError::Short(name.clone());
                Some(Token::new(&token).ok_or_else(short)?)
            }
        };
        Ok(Self { token, hosts: rule.hosts.clone() })
    }

    /// The answer to a request that may not do what it asks for.
    pub(super) fn check(&self, parts: &Parts) -> Result<(), Problem> {
        self.check_page(parts)?;
        self.check_token(&parts.headers)?;
        check_content_type(parts)
    }

    /// The answer to who may not even load a page that holds nothing: whoever may comes without
    /// the token, for which the page has yet to ask.
    pub(super) fn check_page(&self, parts: &Parts) -> Result<(), Problem> {
        self.check_host(&parts.headers)?;
        check_site(&parts.headers)
    }

    /// A page of another site can give itself this machine's address by its own name (DNS
    /// rebinding), but then that name is in Host.
    fn check_host(&self, fields: &HeaderMap) -> Result<(), Problem> {
        let mut lines = fields.get_all(HOST).iter();
        let only = lines.next().filter(|_| lines.next().is_none());
        let text = only.and_then(|line| line.to_str().ok()).unwrap_or_default();
        let is_ours = Host::parse(text, Scheme::Http).is_ok_and(|host| {
            let name = host.name();
            let address = name.trim_start_matches('[').trim_end_matches(']');
            address.parse::<IpAddr>().is_ok()
                || name == "localhost"
                || self.hosts.iter().any(|known| known == name)
        });
        match is_ours {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "This is no name of the admin listener.",
                "ask by its address, or name the host in `[admin] hosts`",
            )),
        }
    }

    fn check_token(&self, fields: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else { return Ok(()) };
        let shown = fields.get(AUTHORIZATION).and_then(|value| {
            let (scheme, shown) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| shown.trim_ascii())
        });
        match shown {
            Some(shown) if token.is(shown) => Ok(()),
            Some(_) => Err(unauthorized("This is not the token of this admin listener.")),
            None => Err(unauthorized("This admin listener wants its token.")),
        }
    }
}

fn unauthorized(detail: &str) -> Problem {
    let hint = "send `Authorization: Bearer …` with the token that `[admin] token` names";
    Problem::new(StatusCode::UNAUTHORIZED, detail, hint)
}

/// Browsers say from where a page asks.
fn check_site(fields: &HeaderMap) -> Result<(), Problem> {
    let text = |name| fields.get(name).map(|value: &http::HeaderValue| value.to_str());
    let same_site = match text(SEC_FETCH_SITE) {
        None | Some(Ok("same-origin" | "none")) => true,
        Some(_) => false,
    };
    let same_origin = match (text(ORIGIN), text(HOST)) {
        (None, _) => true,
        (Some(Ok(origin)), Some(Ok(host))) => {
            origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        }
        _ => false,
    };
    match same_site && same_origin {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "Pages of other sites may not operate this shim.",
            "ask from a program, or from a page of this listener",
        )),
    }
}

/// A page of another site can send a POST without asking us first, but not as JSON.
fn check_content_type(parts: &Parts) -> Result<(), Problem> {
    if !matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
        return Ok(());
    }
    let media = parts.headers.get(CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
    let media = media.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    match media.eq_ignore_ascii_case(b"application/json") {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "What changes something is sent as JSON.",
            "send `Content-Type: application/json`",
        )),
    }
}

impl Token {
    /// `None` if it is too short, or this machine gives no random bytes.
    fn new(token: &str) -> Option<Self> {
        let long_enough = token.len() >= TOKEN_MIN;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        let key = key.filter(|_| long_enough)?;
        Some(Self { hash: hmac::sign(&key, token.as_bytes()), key })
    }

    fn is(&self, shown: &[u8]) -> bool {
        hmac::verify(&self.key, shown, self.hash.as_ref()).is_ok()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.is_some();
        f.debug_struct("Guard").field("token", &token).field("hosts", &self.hosts).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(token: Option<&str>) -> Guard {
        let rule = policy::Admin {
            listen: "127.0.0.1:0".parse().unwrap(),
            token: token.map(|_| "TOKEN".into()),
            hosts: vec!["ops.example".into()],
            state: None,
        };
        Guard::new(&rule, &|_| token.map(String::from)).unwrap()
    }

    fn status(guard: &Guard, method: &str, fields: &[(&str, &str)]) -> u16 {
        let mut request = http::Request::builder().method(method).uri("/status");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        guard.check(&parts).map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused_so_that_rebinding_leads_nowhere() {
        let guard = guard(None);
        for host in ["127.0.0.1:9180", "[::1]:9180", "localhost", "LOCALHOST:1", "ops.example:80"] {
            assert_eq!(status(&guard, "GET", &[("host", host)]), 200, "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b"]
        {
            assert_eq!(status(&guard, "GET", &[("host", host)]), 421, "{host}");
        }
        assert_eq!(status(&guard, "GET", &[]), 421);
        assert_eq!(status(&guard, "GET", &[("host", "::1"), ("host", "evil.example")]), 421);
    }

    #[test]
    fn a_page_of_another_site_can_change_nothing() {
        let guard = guard(None);
        let host = ("host", "127.0.0.1:9180");
        let json = ("content-type", "application/json; charset=utf-8");
        let post = |fields: &[_]| status(&guard, "POST", &[&[host], fields].concat());
        assert_eq!(post(&[json]), 200);
        assert_eq!(post(&[]), 415);
        for simple in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            assert_eq!(post(&[("content-type", simple)]), 415, "{simple}");
        }
        assert_eq!(post(&[json, ("origin", "http://127.0.0.1:9180")]), 200);
        for origin in ["http://evil.example", "http://127.0.0.1:8080", "null"] {
            assert_eq!(post(&[json, ("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(post(&[json, ("sec-fetch-site", "same-origin")]), 200);
        for site in ["cross-site", "same-site"] {
            assert_eq!(post(&[json, ("sec-fetch-site", site)]), 403, "{site}");
        }
        assert_eq!(status(&guard, "GET", &[host, ("sec-fetch-site", "cross-site")]), 403);
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let guard = guard(Some("0123456789abcdef"));
        let shown = |value| status(&guard, "GET", &[("host", "[::1]"), ("authorization", value)]);
        assert_eq!(shown("Bearer 0123456789abcdef"), 200);
        assert_eq!(shown("bearer 0123456789abcdef"), 200);
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer ",
            "Bearer",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
            "",
        ] {
            assert_eq!(shown(wrong), 401, "{wrong}");
        }
        assert_eq!(status(&guard, "GET", &[("host", "[::1]")]), 401);
        assert!(!format!("{guard:?}").contains("0123"));
    }

    #[test]
    fn a_token_that_is_missing_or_short_is_an_error() {
        let rule = policy::Admin {
            listen: "0.0.0.0:0".parse().unwrap(),
            token: Some("TOKEN".into()),
            hosts: Vec::new(),
            state: None,
        };
        let error = |value: Option<&str>| {
            Guard::new(&rule, &|_| value.map(String::from)).unwrap_err().to_string()
        };
        assert!(error(None).contains("`TOKEN` is not set"));
        let short = error(Some("hunter2hunter2"));
        assert!(short.contains("shorter than 16 bytes") && !short.contains("hunter"), "{short}");
    }
}
