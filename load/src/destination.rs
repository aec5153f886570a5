//! Whom a load test may ask.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// A place that may be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    url: Url,
    is_loopback: bool,
}

/// Why a place may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotToBeLoaded {
    /// It is no URL of a website.
    NoUrl {
        /// What was said.
        said: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is on another machine, and nobody said that this is allowed.
    Elsewhere {
        /// Whose it is.
        host: String,
    },
}

impl Destination {
    /// The website of this URL: on this machine, or elsewhere `with_permission`.
    ///
    /// # Errors
    /// [`NotToBeLoaded`].
    pub fn new(said: &str, with_permission: bool) -> Result<Self, NotToBeLoaded> {
        let no_url = |why: String| NotToBeLoaded::NoUrl { said: said.into(), why };
        let url = Url::parse(said).map_err(|error| no_url(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(no_url(format!("{}: is not asked by HTTP", url.scheme())));
        }
        if url.path() != "/" || url.query().is_some() {
            return Err(no_url(
                "the mix says which paths are asked for, so it must have none".into(),
            ));
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_loopback = host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !is_loopback && !with_permission {
            return Err(NotToBeLoaded::Elsewhere { host: host.into() });
        }
        Ok(Self { url, is_loopback })
    }

    /// Whether it is on this machine.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Scheme and authority, without a slash behind.
    pub(crate) fn base(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }
}

impl fmt::Display for NotToBeLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUrl { said, why } => {
                write!(f, "\"{said}\" is no place to load: {why}; say it as http://127.0.0.1:8080")
            }
            Self::Elsewhere { host } => write!(
                f,
                "{host} is not this machine: a load test there looks like an attack, and may cost \
                 its owner money. If it is yours, or its owner has agreed, add --with-permission"
            ),
        }
    }
}

impl std::error::Error for NotToBeLoaded {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_may_be_loaded() {
        for said in ["http://127.0.0.1:8080", "http://localhost/", "https://[::1]:8443"] {
            assert!(Destination::new(said, false).unwrap().is_loopback(), "{said}");
        }
        assert_eq!(
            Destination::new("http://127.0.0.1:1/", false).unwrap().base(),
            "http://127.0.0.1:1"
        );
    }

    #[test]
    fn another_machine_is_refused_until_somebody_says_that_it_may() {
        let error = Destination::new("https://www.example.com", false).unwrap_err();
        assert_eq!(error, NotToBeLoaded::Elsewhere { host: "www.example.com".into() });
        assert!(error.to_string().contains("--with-permission"), "{error}");
        assert!(Destination::new("http://localhost.example.com", false).is_err());
        assert!(Destination::new("http://127.0.0.1.example.com", false).is_err());
        assert!(!Destination::new("https://www.example.com", true).unwrap().is_loopback());
    }

    #[test]
    fn what_is_no_website_is_said_to_be_none() {
        for said in ["127.0.0.1:8080", "ftp://127.0.0.1", "http://127.0.0.1/path", ""] {
            let error = Destination::new(said, true).unwrap_err().to_string();
            assert!(error.starts_with(&format!("\"{said}\" is no place to load: ")), "{error}");
        }
    }
}
