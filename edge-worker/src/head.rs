//! The head of a message, read out of JavaScript in one call and looked at as slices.

use tidegate_core::headers::Fields;
use worker::web_sys::{Request, Response};

use crate::platform;

/// A start line and header fields in one owned string.
pub(crate) struct Head {
    text: String,
    /// Where the start line ends.
    start: usize,
    fields: Vec<Field>,
}

/// The head of a request.
pub(crate) struct RequestHead {
    head: Head,
    method: usize,
}

/// The head of a response.
pub(crate) struct ResponseHead {
    head: Head,
    status: u16,
}

/// One line, as offsets into the text: `name:value`.
struct Field {
    name: usize,
    colon: usize,
    end: usize,
}

impl RequestHead {
    /// Copies the head of `request`.
    pub(crate) fn read(request: &Request) -> Self {
        Self::parse(platform::request_head(request))
    }

    /// Reads `METHOD\nURL` and the lines behind it.
    fn parse(text: String) -> Self {
        let method = text.find('\n').unwrap_or(text.len());
        let url_end =
            text[method..].match_indices('\n').nth(1).map_or(text.len(), |(i, _)| method + i);
        Self { head: Head::parse(text, url_end), method }
    }

    pub(crate) fn method(&self) -> &str {
        &self.head.text[..self.method]
    }

    /// The whole URL as the platform gives it.
    pub(crate) fn url(&self) -> &str {
        self.head.text.get(self.method + 1..self.head.start).unwrap_or_default()
    }

    pub(crate) fn fields(&self) -> &Head {
        &self.head
    }
}

impl ResponseHead {
    /// Copies the head of `response`.
    pub(crate) fn read(response: &Response) -> Self {
        Self::parse(platform::response_head(response))
    }

    /// Reads `STATUS` and the lines behind it.
    pub(crate) fn parse(text: String) -> Self {
        let start = text.find('\n').unwrap_or(text.len());
        let status = text[..start].parse().unwrap_or(0);
        Self { head: Head::parse(text, start), status }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn fields(&self) -> &Head {
        &self.head
    }
}

impl Head {
    fn parse(text: String, start: usize) -> Self {
        let mut fields = Vec::with_capacity(24);
        let (mut name, mut colon) = (start + 1, None);
        for (at, byte) in text.bytes().enumerate().skip(start + 1) {
            match byte {
                b':' if colon.is_none() => colon = Some(at),
                b'\n' => {
                    fields.extend(colon.take().map(|colon| Field { name, colon, end: at }));
                    name = at + 1;
                }
                _ => {}
            }
        }
        fields.extend(colon.map(|colon| Field { name, colon, end: text.len() }));
        Self { text, start, fields }
    }

    /// Bytes of the text.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// The head of these lines, `name:value` each.
    pub(crate) fn of_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut text = String::with_capacity(512);
        lines.for_each(|line| ["\n", line].iter().for_each(|part| text.push_str(part)));
        Self::parse(text, 0)
    }

    /// Every field line in its order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (self.name(field), &self.text[field.colon + 1..field.end]))
    }

    /// The first value of `name` (in lower case) as text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.pairs().find_map(|(n, value)| (n == name).then_some(value))
    }

    fn name(&self, field: &Field) -> &str {
        &self.text[field.name..field.colon]
    }
}

impl Fields for Head {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.pairs().map(|(name, value)| (name, value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(head: &Head) -> Vec<(&str, &str)> {
        head.pairs().collect()
    }

    #[test]
    fn a_request_head_keeps_colons_and_commas_in_values() {
        let text = "GET\nhttps://a.example/x?y=1:2\nhost:a.example:8787\nx-list:1, 2\nempty:";
        let head = RequestHead::parse(text.into());
        assert_eq!((head.method(), head.url()), ("GET", "https://a.example/x?y=1:2"));
        let expected = [("host", "a.example:8787"), ("x-list", "1, 2"), ("empty", "")];
        assert_eq!(lines(head.fields()), expected);
        assert_eq!(head.fields().text("empty"), Some(""));
        assert_eq!(head.fields().text("absent"), None);
    }

    #[test]
    fn heads_without_fields_are_whole() {
        let request = RequestHead::parse("POST\nhttp://a.example/".into());
        assert_eq!((request.method(), request.url()), ("POST", "http://a.example/"));
        assert_eq!(lines(request.fields()), []);
        let response = ResponseHead::parse("204".into());
        assert_eq!((response.status(), lines(response.fields())), (204, vec![]));
    }

    #[test]
    fn every_set_cookie_is_a_line_of_its_own() {
        let head = ResponseHead::parse("200\nset-cookie:a=1\nset-cookie:b=2; Path=/".into());
        assert_eq!(head.fields().lines_of("set-cookie").count(), 2);
    }
}
