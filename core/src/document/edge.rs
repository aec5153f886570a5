//! `[edge]`: how the worker runs, routes aside.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText, Located};
use super::isolate_memory::{self, Memory};
use super::secret::SecretName;
use super::shape::Shape;
use super::signature::{self, SignatureSection};
use super::values::Ttl;
use crate::policy::edge::RequestLog;
use crate::policy::{Edge, Malformed};
use crate::purge::Purge;
use crate::{Host, Scheme};

/// URLs to warm that a policy may list; a `warm_list` may have as many.
const WARM_MAX: usize = 200;

/// Whoever waits longer has gone.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

section! {
    /// What the worker at the edge needs besides the routes.
    struct EdgeSection, "`[edge]`" {
        /// Whether answers say in `Server-Timing` where their time went: off without it, since it
        /// tells everybody how long your origin takes.
        default server_timing: bool,
        /// What each isolate keeps in its own memory, before the Cache API: `false`, or what
        /// differs from the rule without it. Purges and invalidations void it, too.
        optional memory: Memory,
        /// Which requests are a line of JSON each in the Worker's log: `none` without it,
        /// `forwarded` those that the cache did not answer, or `all`.
        optional log: RequestLog,
        /// How requests to the shim are signed, so that it knows them from those that go around
        /// the edge. Without it they are not.
        optional signature: Located<SignatureSection>,
        /// How long the origin may take until its answer begins, `60s` without it; what has
        /// begun may go on for as long as it does. Then a stored answer serves where the route
        /// allows that on errors, else 504. GET, HEAD and OPTIONS without a body are sent once
        /// more if no connection was to be had.
        optional timeout: Located<Ttl>,
        /// Where the Worker is reached, `https://www.example.com`: the shim and the commands send
        /// purges there, and warming asks for paths on this host.
        optional url: EdgeUrl,
        /// The name of the secret that lets purge and debug, written `${NAME}`: 16 bytes or more,
        /// for the Worker by `npx wrangler secret put NAME`, for the shim and the commands in the
        /// environment. Without it nobody may. With `url` and this, what writes through the shim
        /// invalidate is purged at the edge, too.
        optional token: SecretName,
        /// What is asked for at each call of the Worker's cron trigger, so that it is stored: paths
        /// on the host of `url`, or URLs. 200 at most.
        default warm: Located<Vec<WarmUrl>>,
        /// The path or URL of a plain text with more of them, one in a line, which is asked for
        /// through the same rules. Lines that begin with `#` are comments.
        optional warm_list: Located<WarmUrl>,
    }
}

/// Scheme and host.
#[derive(Debug)]
pub(super) struct EdgeUrl(String);

/// A URL, or a path on our host.
#[derive(Debug)]
pub(super) struct WarmUrl(String);

words!(RequestLog, "choice of requests", {
    "none" => Self::None,
    "forwarded" => Self::Forwarded,
    "all" => Self::All,
});

pub(super) fn resolve(section: Option<EdgeSection>, context: &mut Context<'_>) -> Edge {
    let Some(section) = section else { return Edge::default() };
    let EdgeSection { memory, server_timing, log, signature, timeout, url, token, warm, warm_list } =
        section;
    let asked = warm.value.iter().map(|url| (url, &warm.span));
    let list = warm_list.iter().map(|list| (&list.value, &list.span));
    let on_our_host = asked.chain(list).find(|(WarmUrl(url), _)| url.starts_with('/'));
    if let Some((WarmUrl(path), span)) = on_our_host.filter(|_| url.is_none()) {
        let message = format!("nothing says on which host `{path}` is");
        context.report(span.clone(), message, "add `url = \"https://www.example.com\"`");
    }
    if warm.value.len() > WARM_MAX {
        let message = format!("{} URLs to warm, of {WARM_MAX}", warm.value.len());
        context.report(warm.span.clone(), message, "name those that most people ask for");
    }
    let timeout = timeout.map(|timeout| {
        let Ttl(value) = timeout.value;
        if value.is_zero() || value > TIMEOUT_MAX {
            let hint = "write `\"60s\"`, or what your slowest answer takes to begin";
            context.report(timeout.span, "a `timeout` lies between `1ms` and `10m`", hint);
        }
        value
    });
    let signature = signature.map(|section| signature::resolve(section, context));
    let memory = isolate_memory::resolve(memory, context);
    Edge {
        memory,
        server_timing,
        log: log.unwrap_or_default(),
        signature,
        timeout,
        url: url.map(|EdgeUrl(url)| url),
        token: token.map(|SecretName(name)| name),
        warm: warm.value.into_iter().map(|WarmUrl(url)| url).collect(),
        warm_list: warm_list.map(|list| list.value.0),
    }
}

impl FromText for EdgeUrl {
    fn shape() -> Shape {
        Shape::Text("scheme and host, like `https://www.example.com`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        let (scheme, host) = match text.split_once("://") {
            Some(("https", host)) => (Scheme::Https, host),
            Some(("http", host)) => (Scheme::Http, host),
            _ => (Scheme::Https, ""),
        };
        match Host::parse(host.trim_end_matches('/'), scheme) {
            Ok(host) => Ok(Self(format!("{}://{}", scheme.as_str(), host.as_str()))),
            Err(_) => Err(Malformed::new(
                format!("`{text}` is not scheme and host"),
                "write `https://www.example.com`, without a path",
            )),
        }
    }
}

impl FromText for WarmUrl {
    fn shape() -> Shape {
        Shape::Text("a path, or a URL")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        // What can be purged can be asked for.
        Purge::url(text).map(|_| Self(text.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn report(section: &str) -> String {
        match read(&format!("schema = 1\n[edge]\n{section}\n"), &|_| None) {
            Ok(_) => "good".into(),
            Err(report) => report.to_string(),
        }
    }

    #[test]
    fn c4_c9_what_the_edge_is_told_stands_in_the_policy_and_secrets_by_name_alone() {
        let source = "schema = 1\n[edge]\nurl = \"https://WWW.example.com:443/\"\n\
            token = \"${TIDEGATE_EDGE_TOKEN}\"\nwarm = [\"/\", \"https://b.example/x?y\"]\n\
            warm_list = \"/warm.txt\"\n";
        let policy = read(source, &|_| Some("hunter2".into())).unwrap();
        let edge = &policy.model().edge;
        assert_eq!(edge.url.as_deref(), Some("https://www.example.com"));
        assert_eq!(edge.token.as_deref(), Some("TIDEGATE_EDGE_TOKEN"));
        assert_eq!(edge.warm, ["/", "https://b.example/x?y"]);
        assert_eq!(edge.warm_list.as_deref(), Some("/warm.txt"));
        assert!(!policy.to_json().contains("hunter2"));
        let again = crate::Policy::from_json(&policy.to_json()).unwrap();
        assert_eq!(again.to_json(), policy.to_json());
    }

    #[test]
    fn what_makes_no_sense_is_an_error_at_its_place() {
        let many = format!("url = \"http://h\"\nwarm = [{}]", "\"/\", ".repeat(WARM_MAX + 1));
        for (section, expected) in [
            ("url = \"www.example.com\"", "is not scheme and host"),
            ("url = \"https://a.example/x\"", "is not scheme and host"),
            ("token = \"hunter2\"", "a secret stands in the environment"),
            ("warm = [\"x\"]", "cannot be asked for"),
            ("warm = [\"/x\"]", "on which host `/x` is"),
            ("warm_list = \"/x\"", "on which host `/x` is"),
            (&many, "201 URLs to warm, of 200"),
        ] {
            assert!(report(section).contains(expected), "{section}\n{}", report(section));
        }
    }
}
