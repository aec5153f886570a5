//! The host that a request is for (RFC 9110 §4.2.3, §7.2): part of every key.

use alloc::borrow::Cow;
use core::fmt;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, port 80.
    Http,
    /// `https`, port 443.
    Https,
}

impl Scheme {
    /// The scheme as it stands in a URI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host with its port, in lower case, without the port that its scheme implies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    text: Cow<'a, str>,
    /// The length of its name, which stands first.
    name: usize,
}

/// A Host field that names no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHost;

impl fmt::Display for BadHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the Host field is missing, repeated or malformed")
    }
}

impl core::error::Error for BadHost {}

impl<'a> Host<'a> {
    /// Reads a Host field or the authority of a URI; user information is refused.
    pub fn parse(text: &'a str, scheme: Scheme) -> Result<Self, BadHost> {
        let (name, port) = split_port(text)?;
        if !is_name(name) {
            return Err(BadHost);
        }
        let text = match port.map(read_port).transpose()? {
            Some(port) if port == scheme.default_port() => name,
            _ => text,
        };
        let name = name.len();
        let text = match text.bytes().any(|b| b.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
        Ok(Self { text, name })
    }

    /// `host` or `host:port`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host without its port, which is what routes match by.
    pub fn name(&self) -> &str {
        &self.text[..self.name]
    }
}

/// Splits `name[:port]`, where the name may be an IPv6 literal in brackets.
fn split_port(text: &str) -> Result<(&str, Option<&str>), BadHost> {
    let name_end = match text.strip_prefix('[') {
        Some(literal) => literal.find(']').ok_or(BadHost)? + 2,
        // Behind a name comes a port or nothing.
        None => text.bytes().position(|b| !IS_NAME[usize::from(b)]).unwrap_or(text.len()),
    };
    match text.split_at(name_end) {
        (name, "") => Ok((name, None)),
        (name, port) => Ok((name, Some(port.strip_prefix(':').ok_or(BadHost)?))),
    }
}

fn read_port(port: &str) -> Result<u16, BadHost> {
    // `parse` alone would take a sign.
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    port.parse().ok().filter(|_| digits).ok_or(BadHost)
}

/// Whether what [`split_port`] takes for a name is one.
fn is_name(name: &str) -> bool {
    if let Some(literal) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        return literal.parse::<core::net::Ipv6Addr>().is_ok();
    }
    !name.is_empty() && name.len() <= 255
}

/// What registered names hold as they are used: what DNS and container names do.
const IS_NAME: [bool; 256] = {
    let mut name = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        name[byte] =
            (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'.' | b'_');
        byte += 1;
    }
    name
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_default_port_do_not_matter() {
        for (text, scheme) in [
            ("Example.COM", Scheme::Http),
            ("example.com:80", Scheme::Http),
            ("example.com:443", Scheme::Https),
        ] {
            assert_eq!(Host::parse(text, scheme).unwrap().as_str(), "example.com");
        }
        assert_eq!(Host::parse("a:443", Scheme::Http).unwrap().as_str(), "a:443");
    }

    #[test]
    fn the_name_goes_without_its_port() {
        for (text, name) in [
            ("a.b:8080", "a.b"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(Host::parse(text, Scheme::Https).unwrap().name(), name);
        }
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for text in [
            "",
            ":80",
            "a b",
            "a/b",
            "user@a",
            "a:b",
            "a:99999",
            "a:+1",
            "[::1",
            "[x]",
            "[::1]x",
            "a:1:2",
            "é",
            "a:443:443",
            "a:80:443",
            "a:",
        ] {
            assert_eq!(Host::parse(text, Scheme::Https), Err(BadHost), "{text}");
        }
    }
}
