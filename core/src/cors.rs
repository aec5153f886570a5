//! Which pages of other sites may read answers: the CORS protocol of the Fetch standard (§3.3).
//!
//! A browser says by `Origin` whose page asks, and lets that page read the answer only if the
//! answer names it. Before a request that no form could make it asks, by OPTIONS, whether it may;
//! the policy answers that, the origin is not asked.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::headers::{Fields, FieldsMut};
use crate::method::Method;

/// What the policy says of pages of other sites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsRule {
    /// Whose pages may read.
    pub origins: Vec<SiteRange>,
    /// What they may ask by, besides GET, HEAD and POST as forms have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// The request fields that they may set, in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_fields: Vec<String>,
    /// The fields of answers that they may read besides the few that all may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<String>,
    /// Whether cookies and credentials of the browser go along.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub credentials: bool,
    /// How long a browser remembers that it may, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
}

/// Sites: one by its origin, all below a host, or all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SiteRange(String);

/// What a browser asks before it sends a request (Fetch §3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preflight<'a> {
    origin: &'a str,
    method: &'a str,
}

impl SiteRange {
    /// All sites.
    pub const ALL: &str = "*";

    /// Reads `https://app.example.com`, `https://*.example.com` or `*`, in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        if text == Self::ALL {
            return Some(Self(text.into()));
        }
        let (scheme, host) = text.split_once("://")?;
        let name = host.strip_prefix("*.").unwrap_or(host);
        let (name, port) = match name.rsplit_once(':') {
            Some((name, port)) if !name.starts_with('[') || name.ends_with(']') => {
                (name, Some(port))
            }
            _ => (name, None),
        };
        let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let is_scheme = !scheme.is_empty()
            && scheme.bytes().all(|b| is_letter(b) || matches!(b, b'+' | b'-' | b'.'));
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|b| is_letter(b) || matches!(b, b'-' | b'.' | b'_' | b'[' | b']' | b':'));
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
        // A browser leaves the usual port out, so that one would never be met.
        let is_usual = matches!((scheme, port), ("https", Some("443")) | ("http", Some("80")));
        (is_scheme && is_name && is_port && !is_usual).then(|| Self(text.into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether these are all sites.
    pub fn is_all(&self) -> bool {
        self.0 == Self::ALL
    }

    /// Whether an origin, as a browser writes it, is one of them. `null` never is.
    fn holds(&self, origin: &str) -> bool {
        match self.0.split_once("://*.") {
            None => self.0 == origin,
            Some((scheme, host)) => origin
                .strip_prefix(scheme)
                .and_then(|rest| rest.strip_prefix("://"))
                .and_then(|name| name.strip_suffix(host))
                .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        }
    }
}

impl CorsRule {
    /// Whether answers are for pages of all sites alike.
    fn is_for_all(&self) -> bool {
        !self.credentials && self.origins.iter().any(SiteRange::is_all)
    }

    fn allows(&self, origin: &str) -> bool {
        self.is_for_all() || self.origins.iter().any(|site| site.holds(origin))
    }

    /// What a browser asks by this request, if that is what it is.
    pub fn preflight<'a, F: Fields + ?Sized>(
        &self,
        method: &str,
        fields: &'a F,
    ) -> Option<Preflight<'a>> {
        let text = |name| fields.first(name).and_then(|value| str::from_utf8(value).ok());
        if method != "OPTIONS" {
            return None;
        }
        Some(Preflight { origin: text("origin")?, method: text("access-control-request-method")? })
    }

    /// Puts into `answer`, which is a 204, what a browser may do; nothing but `Vary` where its page
    /// may not.
    pub fn answer(&self, asked: &Preflight<'_>, answer: &mut impl FieldsMut) {
        self.name_origin(Some(asked.origin), answer);
        if !self.allows(asked.origin) {
            return;
        }
        let is_simple =
            matches!(Method::parse(asked.method), Method::Get | Method::Head | Method::Post);
        if !self.methods.is_empty() {
            answer.set("access-control-allow-methods", &self.methods.join(", "));
        } else if !is_simple {
            return;
        }
        if !self.request_fields.is_empty() {
            answer.set("access-control-allow-headers", &self.request_fields.join(", "));
        }
        if let Some(max_age) = self.max_age {
            answer.set_display("access-control-max-age", &max_age);
        }
    }

    /// Puts into `answer` which page may read it, in place of what the origin says of that.
    pub fn tell<F: Fields + ?Sized>(&self, request: &F, answer: &mut impl FieldsMut) {
        let origin = request.first("origin").and_then(|value| str::from_utf8(value).ok());
        self.name_origin(origin, answer);
        answer.remove("access-control-expose-headers");
        if origin.is_some_and(|origin| self.allows(origin)) && !self.exposed.is_empty() {
            answer.set("access-control-expose-headers", &self.exposed.join(", "));
        }
    }

    fn name_origin(&self, origin: Option<&str>, answer: &mut impl FieldsMut) {
        answer.remove("access-control-allow-origin");
        answer.remove("access-control-allow-credentials");
        if self.is_for_all() {
            return answer.set_static("access-control-allow-origin", "*");
        }
        // Also without: whoever keeps this must not give it to another page.
        answer.append("vary", "origin");
        let Some(origin) = origin.filter(|origin| self.allows(origin)) else { return };
        answer.set("access-control-allow-origin", origin);
        if self.credentials {
            answer.set_static("access-control-allow-credentials", "true");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::string::ToString;

    #[derive(Debug, Default, PartialEq)]
    struct Head(BTreeMap<String, String>);

    impl FieldsMut for Head {
        fn set(&mut self, name: &'static str, value: &str) {
            self.set_named(name, value);
        }
        fn set_named(&mut self, name: &str, value: &str) {
            self.0.insert(name.to_string(), value.to_string());
        }
        fn append(&mut self, name: &'static str, value: &str) {
            self.set_named(name, value);
        }
        fn remove(&mut self, name: &'static str) {
            self.0.remove(name);
        }
    }

    fn rule(origins: &[&str]) -> CorsRule {
        let origins = origins.iter().map(|text| SiteRange::parse(text).unwrap()).collect();
        CorsRule { origins, ..CorsRule::default() }
    }

    fn told(rule: &CorsRule, request: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut head = Head::default();
        head.set("access-control-allow-origin", "https://of-the-origin.example");
        rule.tell(&request.to_vec(), &mut head);
        head.0.into_iter().collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_string(), value.to_string())
    }

    #[test]
    fn p4_only_listed_sites_are_named_and_whoever_keeps_answers_is_told() {
        let rule = rule(&["https://app.example.com", "https://*.example.org"]);
        for origin in
            ["https://app.example.com", "https://a.example.org", "https://a.b.example.org"]
        {
            let expected = [pair("access-control-allow-origin", origin), pair("vary", "origin")];
            assert_eq!(told(&rule, &[("origin", origin)]), expected);
        }
        for origin in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://evil-example.org",
            "https://example.org",
            "https://.example.org",
            "null",
            "",
        ] {
            assert_eq!(told(&rule, &[("origin", origin)]), [pair("vary", "origin")], "{origin}");
        }
        assert_eq!(told(&rule, &[]), [pair("vary", "origin")]);
    }

    #[test]
    fn p4_all_sites_get_one_and_the_same_answer() {
        let mut rule = rule(&["*"]);
        rule.exposed = ["etag".to_string()].into();
        let all = pair("access-control-allow-origin", "*");
        assert_eq!(told(&rule, &[]), core::slice::from_ref(&all));
        let asked = [("origin", "https://x.example")];
        assert_eq!(told(&rule, &asked), [all, pair("access-control-expose-headers", "etag")]);
    }

    #[test]
    fn p4_a_preflight_is_answered_by_the_rule() {
        let mut rule = rule(&["https://app.example.com"]);
        rule.credentials = true;
        rule.max_age = Some(600);
        let asked = |origin: &'static str, method: &'static str| {
            [("origin", origin), ("access-control-request-method", method)]
        };
        let answer = |rule: &CorsRule, asked: &[(&str, &str)]| {
            let asked = asked.to_vec();
            let mut head = Head::default();
            rule.answer(&rule.preflight("OPTIONS", &asked).unwrap(), &mut head);
            head.0
        };
        let good = asked("https://app.example.com", "PUT");
        assert!(!answer(&rule, &good).contains_key("access-control-allow-methods"));
        rule.methods = ["PUT".to_string(), "DELETE".to_string()].into();
        rule.request_fields = ["authorization".to_string()].into();
        let head = answer(&rule, &good);
        assert_eq!(head["access-control-allow-origin"], "https://app.example.com");
        assert_eq!(head["access-control-allow-credentials"], "true");
        assert_eq!(head["access-control-allow-methods"], "PUT, DELETE");
        assert_eq!(head["access-control-allow-headers"], "authorization");
        assert_eq!(head["access-control-max-age"], "600");
        let bad = answer(&rule, &asked("https://evil.example", "PUT"));
        assert_eq!(bad.keys().collect::<Vec<_>>(), ["vary"]);
        assert_eq!(rule.preflight("GET", &good.to_vec()), None);
        assert_eq!(
            rule.preflight("OPTIONS", &[("origin", "https://app.example.com")].to_vec()),
            None
        );
    }

    #[test]
    fn sites_are_written_as_browsers_write_them() {
        for good in [
            "*",
            "https://a.example",
            "http://localhost:3000",
            "https://*.a.example",
            "http://[::1]:3000",
        ] {
            assert!(SiteRange::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "https://",
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "http://a.example:80",
            "https://a.example:x",
            "https://*",
            "https://a.*.example",
            "null",
        ] {
            assert_eq!(SiteRange::parse(bad), None, "{bad}");
        }
    }
}
