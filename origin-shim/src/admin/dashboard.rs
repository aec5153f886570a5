//! `GET /`: the dashboard, a page for people, and what it is made of.
//!
//! Whoever reaches the listener may load it, since a browser sends no token with an address that
//! is typed: there is nothing in it. All it shows it asks for by the paths that programs use,
//! with the token that it is given.

use http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY};
use http::{HeaderMap, Response};

use super::answer::{Body, text};

/// Scripts and styles of this listener alone, and nobody's frame.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                   connect-src 'self'; base-uri 'none'; form-action 'none'; \
                   frame-ancestors 'none'; require-trusted-types-for 'script'";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// A file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! script {
    ($name:literal) => {
        File {
            path: concat!("/dashboard/", $name),
            content_type: "text/javascript; charset=utf-8",
            text: include_str!(concat!("dashboard/", $name)),
        }
    };
}

const FILES: [File; 14] = [
    File {
        path: "/",
        content_type: "text/html; charset=utf-8",
        text: include_str!("dashboard/index.html"),
    },
    File {
        path: "/dashboard/style.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("dashboard/style.css"),
    },
    File {
        path: "/dashboard/icon.svg",
        content_type: "image/svg+xml",
        text: include_str!("dashboard/icon.svg"),
    },
    script!("main.js"),
    script!("access.js"),
    script!("events.js"),
    script!("recent.js"),
    script!("words.js"),
    script!("table.js"),
    script!("chart.js"),
    script!("head.js"),
    script!("sections.js"),
    script!("limits.js"),
    script!("operate.js"),
];

/// The file at `path`, if it is one of the page's.
pub(super) fn file(path: &str) -> Option<Response<Body>> {
    let file = FILES.iter().find(|file| file.path == path)?;
    let mut response = text(file.content_type, file.text.to_owned());
    protect(response.headers_mut(), CSP);
    Some(response)
}

/// What keeps pages of other sites away from one of ours.
pub(super) fn protect(fields: &mut HeaderMap, content_security_policy: &'static str) {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, content_security_policy),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_that_is_named_is_there_and_none_is_forgotten() {
        let mut named = BTreeSet::from(["/".to_owned()]);
        for file in &FILES {
            for quoted in file.text.split('"').filter(|text| text.len() < 40) {
                if let Some(name) = quoted.strip_prefix("./").filter(|name| name.ends_with(".js")) {
                    named.insert(format!("/dashboard/{name}"));
                } else if quoted.starts_with("/dashboard/") {
                    named.insert(quoted.to_owned());
                }
            }
        }
        let there: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(named, there);
    }

    #[test]
    fn nothing_comes_from_elsewhere_or_stands_in_the_page_itself() {
        let page = FILES[0].text;
        for unwanted in ["<style", " style=", " onclick", "javascript:", "//cdn", "https://"] {
            assert!(!page.contains(unwanted), "{unwanted}");
        }
        assert_eq!(
            page.matches("<script").count(),
            page.matches("<script type=\"module\" src=").count()
        );
    }
}
