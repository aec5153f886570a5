//! What people ask about: URLs.

use core::fmt;

use crate::host::Scheme;

/// A URL taken apart, and not yet normalised: its host may be none, and its target may not be
/// allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'t> {
    /// The scheme.
    pub scheme: Scheme,
    /// The authority, as it stands there.
    pub host: &'t str,
    /// Path and query.
    pub target: &'t str,
}

/// Why a text is no URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadUrl<'t> {
    /// There is no scheme, and it does not begin with a `/`.
    NoScheme(&'t str),
    /// Its scheme is another than http and https.
    OtherScheme(&'t str),
}

impl<'t> Url<'t> {
    /// What to write.
    pub const HINT: &'static str =
        "write a URL like http://localhost:8080/plugins/app.js, or a path";

    /// Takes a URL apart, or a path on localhost. A fragment is left out, since no browser sends
    /// it.
    pub fn parse(text: &'t str) -> Result<Self, BadUrl<'t>> {
        let asked = text.split('#').next().unwrap_or_default();
        if asked.starts_with('/') {
            return Ok(Self { scheme: Scheme::Http, host: "localhost", target: asked });
        }
        let (scheme, rest) = asked.split_once("://").ok_or(BadUrl::NoScheme(text))?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return Err(BadUrl::OtherScheme(text)),
        };
        // A query without a path is no target, and is said to be none.
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let target = if end == rest.len() { "/" } else { &rest[end..] };
        Ok(Self { scheme, host: &rest[..end], target })
    }
}

impl fmt::Display for BadUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme(text) => write!(f, "`{text}` is no URL"),
            Self::OtherScheme(text) => write!(f, "`{text}` has neither http nor https"),
        }
    }
}

impl core::error::Error for BadUrl<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_paths_are_taken_apart_as_they_are() {
        let url = |scheme, host, target| Ok(Url { scheme, host, target });
        for (text, parsed) in [
            (
                "https://a.example:8443/b/../c?d#e",
                url(Scheme::Https, "a.example:8443", "/b/../c?d"),
            ),
            ("HTTP://A", url(Scheme::Http, "A", "/")),
            ("http://a?b", url(Scheme::Http, "a", "?b")),
            ("/b?c#d", url(Scheme::Http, "localhost", "/b?c")),
            ("http://", url(Scheme::Http, "", "/")),
            ("ftp://a/b", Err(BadUrl::OtherScheme("ftp://a/b"))),
            ("a/b", Err(BadUrl::NoScheme("a/b"))),
            ("", Err(BadUrl::NoScheme(""))),
        ] {
            assert_eq!(Url::parse(text), parsed, "{text}");
        }
    }
}
