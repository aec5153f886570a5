//! What came back.

use std::fmt;

use serde_json::Value;

/// A complete response, as it came over the wire but for the body's framing.
#[derive(Clone, PartialEq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header lines in their order and spelling, repeats included.
    pub headers: Vec<(String, String)>,
    /// The body, its transfer coding undone and its content coding not.
    pub body: Vec<u8>,
}

impl Response {
    /// The values of all lines under `name`, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = name.to_owned();
        self.headers
            .iter()
            .filter(move |(present, _)| present.eq_ignore_ascii_case(&name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of the only line under `name`.
    ///
    /// # Panics
    /// If there are several: a test that cares says so with [`Self::all`].
    #[track_caller]
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.all(name);
        let first = lines.next();
        assert!(lines.next().is_none(), "`{name}` came more than once in {self:?}");
        first
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is something else.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }
}

/// Prints like a transcript, so that a failed assertion can be read.
impl fmt::Debug for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST_SHOWN: usize = 600;
        writeln!(out, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(out, "{name}: {value}")?;
        }
        let shown = &self.body[..self.body.len().min(MOST_SHOWN)];
        write!(out, "\n{}", String::from_utf8_lossy(shown))?;
        match self.body.len() - shown.len() {
            0 => Ok(()),
            more => write!(out, "… and {more} bytes more"),
        }
    }
}
