//! The URL of a request, taken apart. The platform has parsed it already, so what is left is
//! to cut it; a whole URL parser would be a third of the worker's size.

use tidegate_core::Scheme;

/// The parts of an absolute `http` or `https` URL.
#[derive(Debug, PartialEq)]
pub(crate) struct Url<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) authority: &'a str,
    /// Path and query, beginning with a slash.
    pub(crate) target: &'a str,
}

impl<'a> Url<'a> {
    /// `None` for what no platform hands to a Worker.
    pub(crate) fn split(url: &'a str) -> Option<Self> {
        let (scheme, rest) = match url.split_once("://")? {
            ("https", rest) => (Scheme::Https, rest),
            ("http", rest) => (Scheme::Http, rest),
            _ => return None,
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, target) = rest.split_at(rest.find('/')?);
        Some(Self { scheme, authority, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_falls_apart_into_scheme_authority_and_target() {
        let url = Url::split("https://a.example:8787/x/y?z=http://b/#f").unwrap();
        assert_eq!((url.scheme, url.authority), (Scheme::Https, "a.example:8787"));
        assert_eq!(url.target, "/x/y?z=http://b/");
        assert_eq!(Url::split("http://a/").unwrap().target, "/");
        for url in ["", "ftp://a/", "http://a", "/x"] {
            assert_eq!(Url::split(url), None, "{url}");
        }
    }
}
