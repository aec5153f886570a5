//! Maintenance: the policy's word that nobody gets through for a while, but for health checks
//! and those who work on it.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Network, Pattern, Policy, RouteTable};
use crate::headers::{Fields, accept};
use crate::request::Request;
use crate::respond::Problem;
use crate::time::{Timestamp, as_millis, ceil_secs};

/// For how long clients are told to wait where nothing says when maintenance ends.
pub const RETRY_AFTER: Duration = Duration::from_secs(300);

/// Paths that pass where the policy names none: what asks whether a service is alive.
pub const HEALTH_PATHS: [&str; 4] = ["/healthz", "/health", "/api/health", "/ready"];

/// The longest page, in bytes: it travels inside the policy.
pub const PAGE_MAX: usize = 64 * 1024;

/// What the policy says of maintenance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Maintenance {
    /// Whether it is on.
    #[serde(skip_serializing_if = "is_false")]
    pub enabled: bool,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// A sentence for clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// For how long clients are told to wait.
    #[serde(with = "as_millis")]
    pub retry_after: Duration,
    /// The page for browsers; one of ours without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
    /// Clients that get through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Network>,
    /// Paths that get through.
    pub allow_paths: Vec<Pattern>,
    /// Whether what is stored is still served.
    #[serde(skip_serializing_if = "is_false")]
    pub serve_cached: bool,
}

/// A page in HTML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Page {
    /// Its text.
    Text(String),
    /// The file that it is in. Whoever reads the policy puts the text in its place, since
    /// only a shell has files: see [`Policy::page_file`].
    File(String),
}

/// Maintenance keeps a request out.
#[derive(Clone, Copy, Debug)]
pub struct Closed<'p>(&'p Maintenance);

impl Policy {
    /// Whether maintenance keeps `request` out, which comes from `client`, at the time `now`.
    ///
    /// Ask this before the limits: what is kept out is not counted. Unless
    /// [`Closed::serves_cached`], answer at once with [`Closed::problem`]. Where it does, go on
    /// as ever, but never to the origin: a stored answer serves, fresh or within its stale
    /// windows ([`crate::reuse::serves_on_error`] says whether it may where
    /// [`crate::reuse::reuse`] would ask the origin), nothing is refreshed, and all else is
    /// answered with the problem. On a tier where overrides come from elsewhere, ask the policy
    /// that [`Policy::with`] makes.
    pub fn maintenance<F: Fields + ?Sized>(
        &self,
        request: &Request<'_, F>,
        client: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<Closed<'_>> {
        if !self.is_in_maintenance(now) {
            return None;
        }
        let rule = &self.model.maintenance;
        let is_allowed = |client: IpAddr| rule.allow.iter().any(|block| block.contains(client));
        let passes = client.is_some_and(is_allowed) || self.is_health_check(request);
        (!passes).then_some(Closed(rule))
    }

    /// Whether maintenance is on at `now`.
    pub fn is_in_maintenance(&self, now: Timestamp) -> bool {
        let rule = &self.model.maintenance;
        rule.enabled && rule.until.is_none_or(|until| now < until)
    }

    /// Whether `request` asks whether the service is alive, which passes in maintenance and
    /// without a signature of the edge. A path that servers may read differently does not.
    pub fn is_health_check<F: Fields + ?Sized>(&self, request: &Request<'_, F>) -> bool {
        let target = request.target;
        target.ambiguity().is_none() && self.passing.find(target.path(), "").is_some()
    }

    /// The file with the page for maintenance, if the policy names one that was not read yet.
    pub fn page_file(&self) -> Option<&str> {
        match &self.model.maintenance.page {
            Some(Page::File(file)) => Some(file),
            Some(Page::Text(_)) | None => None,
        }
    }

    /// The same policy with this page for maintenance; `None` if it is longer than
    /// [`PAGE_MAX`].
    pub fn with_page(mut self, html: String) -> Option<Self> {
        if html.len() > PAGE_MAX {
            return None;
        }
        self.model.maintenance.page = Some(Page::Text(html));
        Some(self)
    }
}

impl Closed<'_> {
    /// Whether what is stored may serve.
    pub const fn serves_cached(&self) -> bool {
        self.0.serve_cached
    }

    /// The answer: 503 with Retry-After (RFC 9110 §15.6.4), as a page where the client prefers
    /// one, else as problem details.
    pub fn problem<F: Fields + ?Sized>(&self, request: &Request<'_, F>, now: Timestamp) -> Problem {
        let Self(rule) = self;
        let wait = rule.until.map_or(rule.retry_after, |until| until.since(now));
        let detail = rule.message.as_deref().unwrap_or("This service is down for maintenance.");
        let page = accept::prefers_html(request.fields).then(|| {
            let custom = match &rule.page {
                Some(Page::Text(html)) => html,
                Some(Page::File(_)) | None => OUR_PAGE,
            };
            fill(custom, detail, ceil_secs(wait))
        });
        Problem::maintenance(detail, wait, page)
    }
}

impl Maintenance {
    /// Whether it says nothing that is not so without it.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The paths that pass, to be looked up.
    pub(super) fn passing(&self) -> RouteTable {
        let paths = self.allow_paths.iter().enumerate();
        RouteTable::build(paths.map(|(at, pattern)| (at, pattern, &[][..])))
    }
}

impl Default for Maintenance {
    fn default() -> Self {
        Self {
            enabled: false,
            until: None,
            message: None,
            retry_after: RETRY_AFTER,
            page: None,
            allow: Vec::new(),
            // Each is a pattern, as a test says.
            allow_paths: HEALTH_PATHS.iter().filter_map(|path| Pattern::parse(path).ok()).collect(),
            serve_cached: false,
        }
    }
}

/// The page with what it says of this time in its places.
fn fill(page: &str, message: &str, seconds: u64) -> String {
    page.replace("{{message}}", &escape(message)).replace("{{retry_after}}", &seconds.to_string())
}

/// Text that cannot become markup.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

const OUR_PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Down for maintenance</title>
<style>
:root { color-scheme: light dark }
body { margin: 0; min-height: 100vh; display: grid; place-items: center;
  font: 1.125rem/1.5 system-ui, sans-serif }
main { max-width: 32rem; padding: 2rem }
h1 { font-size: 1.5rem; line-height: 1.2 }
</style>
</head>
<body>
<main>
<h1>We will be back soon</h1>
<p>{{message}}</p>
</main>
</body>
</html>
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Host, Method, Scheme, Target};
    use alloc::format;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn policy(maintenance: &str) -> Policy {
        let json = format!(r#"{{"schema":1,"maintenance":{{{maintenance}}}}}"#);
        Policy::from_json(&json).unwrap()
    }

    fn ask(policy: &Policy, path: &str, client: &str, now: Timestamp) -> Option<Problem> {
        let (host, target) =
            (Host::parse("h", Scheme::Https).unwrap(), Target::parse(path).unwrap());
        let fields = [("accept", "text/html")];
        let request = Request::read(Method::Get, Scheme::Https, &host, &target, &fields);
        let closed = policy.maintenance(&request, client.parse().ok(), now);
        closed.map(|closed| closed.problem(&request, now))
    }

    #[test]
    fn r9_all_are_kept_out_but_health_checks_and_who_is_allowed() {
        let policy = policy(r#""enabled":true,"allow":["10.0.0.0/8"]"#);
        let is_kept_out = |path, client| ask(&policy, path, client, NOW).is_some();
        assert!(is_kept_out("/", "192.0.2.1") && is_kept_out("/", "unknown"));
        assert!(!is_kept_out("/", "10.1.2.3"));
        for path in HEALTH_PATHS {
            assert!(!is_kept_out(path, "192.0.2.1"), "{path}");
        }
        assert!(!is_kept_out("/./health?a=b", "192.0.2.1"), "paths are normalised");
        for path in ["/healthz/x", "//health", "/api/x%2fhealth", "/health;x"] {
            assert!(is_kept_out(path, "192.0.2.1"), "{path}");
        }
    }

    #[test]
    fn r9_it_ends_at_its_time_and_says_how_long_that_is() {
        let until = NOW + Duration::from_millis(90_500);
        let policy = policy(&format!(r#""enabled":true,"until":{}"#, until.as_millis()));
        assert_eq!(ask(&policy, "/", "192.0.2.1", NOW).unwrap().retry_after, Some(91));
        assert_eq!(ask(&policy, "/", "192.0.2.1", until), None);
        assert_eq!(ask(&super::Policy::from_json(r#"{"schema":1}"#).unwrap(), "/", "", NOW), None);
    }

    #[test]
    fn a_message_is_text_on_the_page_and_never_markup() {
        let ours = policy(r#""enabled":true,"message":"<script>alert('1')</script> & more""#);
        let problem = ask(&ours, "/", "192.0.2.1", NOW).unwrap();
        let body = problem.body();
        assert!(
            body.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; more"),
            "{body}"
        );
        assert_eq!(problem.content_type(), "text/html; charset=utf-8");
        let own = policy(
            r#""enabled":true,"retry_after":60000,"page":{"text":"<p>{{message}} {{retry_after}}"}"#,
        );
        let body = ask(&own, "/", "192.0.2.1", NOW).unwrap().body();
        assert_eq!(body, "<p>This service is down for maintenance. 60");
    }

    #[test]
    fn a_policy_that_says_nothing_of_it_is_written_without_it() {
        let policy = Policy::from_json(r#"{"schema":1}"#).unwrap();
        assert!(!policy.to_json().contains("maintenance"));
        assert_eq!(policy.model().maintenance.allow_paths.len(), HEALTH_PATHS.len());
    }
}
