//! The formats, and which one a log has.

use std::fmt;

use super::json;

/// A format of access logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// NCSA's common log format, perhaps with the virtual host in front.
    Common,
    /// The same with referer and user agent behind it: what Apache and nginx write by default.
    Combined,
    /// JSON that nginx writes, under the names of its variables.
    Nginx,
    /// What Caddy writes as JSON.
    Caddy,
    /// What Cloudflare's Logpush writes of HTTP requests.
    Cloudflare,
}

/// A log of which nobody here knows the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFormat {
    line: String,
}

/// Lines that are looked at.
const LOOKED_AT: usize = 50;

impl Format {
    /// All of them, by the names that they are asked for by.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Common, "common"),
        (Self::Combined, "combined"),
        (Self::Nginx, "nginx"),
        (Self::Caddy, "caddy"),
        (Self::Cloudflare, "cloudflare"),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(format, _)| *format == self).map_or("", |(_, name)| name)
    }

    /// The format that the first of these lines has which has one; `None` where there are no lines.
    pub fn detect(begin: &[u8]) -> Result<Option<Self>, UnknownFormat> {
        let lines = begin.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let mut lines = lines.filter(|line| !line.is_empty()).take(LOOKED_AT).peekable();
        let Some(first) = lines.peek().copied() else { return Ok(None) };
        lines.find_map(of).map(Some).ok_or_else(|| UnknownFormat {
            line: String::from_utf8_lossy(first).chars().take(160).collect(),
        })
    }
}

fn of(line: &[u8]) -> Option<Format> {
    match line.first()? {
        b'{' => json::format_of(line),
        _ => super::clf::parse(line, |asked| match asked.fields {
            [] if !line.ends_with(b"\"") => Format::Common,
            _ => Format::Combined,
        })
        .ok(),
    }
}

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no format of access logs that is known here: `{}`\n= hint: common and combined (also with \
             the virtual host in front), JSON of nginx with the names of its variables, JSON of \
             Caddy, and Logpush of Cloudflare are; --format says which it is",
            self.line.escape_debug()
        )
    }
}

impl std::error::Error for UnknownFormat {}
