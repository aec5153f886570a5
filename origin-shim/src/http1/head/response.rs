//! The heads of answers (RFC 9112 §4).

use http::{Method, Version};

use super::{FieldLines, first_line, version};
use crate::http1::Malformed;
use crate::http1::framing::{Framing, FramingFields};

/// What the head of an answer says besides its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// The version of whoever answers.
    pub version: Version,
    /// Three digits, from 100 to 599 (RFC 9110 §15).
    pub status: u16,
    /// How the end of the body is told.
    pub framing: Framing,
    /// The fields, each checked: reading them again gives no error.
    pub rest: &'a [u8],
}

impl<'a> ResponseHead<'a> {
    /// Reads a whole head, its empty line included, that answers a request of method `asked`.
    /// Linear; allocates nothing.
    pub fn read(head: &'a [u8], asked: &Method) -> Result<Self, Malformed> {
        let (line, rest) = first_line(head)?;
        let (version, status) = status_line(line)?;
        let mut said = FramingFields::default();
        for field in FieldLines::of(rest) {
            let (name, value) = field?;
            match name.len() {
                14 if name.eq_ignore_ascii_case(b"content-length") => said.content_length(value)?,
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    said.transfer_encoding(value)?;
                }
                _ => {}
            }
        }
        let framing = said.of_response(version, status, asked)?;
        Ok(Self { version, status, framing, rest })
    }

    /// Its fields.
    pub fn fields(&self) -> FieldLines<'a> {
        FieldLines::of(self.rest)
    }
}

/// Version, status and reason; many servers leave the space before a missing reason out, and
/// nobody can take that for something else.
fn status_line(line: &[u8]) -> Result<(Version, u16), Malformed> {
    let Some((protocol, [b' ', rest @ ..])) = line.split_at_checked(8) else {
        return Err(Malformed::StatusLine);
    };
    let version = version(protocol)?;
    let ([a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'], reason) =
        rest.split_first_chunk().ok_or(Malformed::StatusLine)?
    else {
        return Err(Malformed::StatusLine);
    };
    let reason = match reason {
        [] => reason,
        [b' ', reason @ ..] => reason,
        _ => return Err(Malformed::StatusLine),
    };
    if super::has_control(reason) {
        return Err(Malformed::Control);
    }
    let digit = |byte: &u8| u16::from(byte - b'0');
    Ok((version, digit(a) * 100 + digit(b) * 10 + digit(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(u16, Framing), Malformed> {
        ResponseHead::read(text.as_bytes(), &Method::GET).map(|head| (head.status, head.framing))
    }

    #[test]
    fn an_answer_has_version_status_and_reason() {
        assert_eq!(read("HTTP/1.1 200 OK\r\n\r\n"), Ok((200, Framing::UntilClose)));
        assert_eq!(
            read("HTTP/1.0 404 \r\ncontent-length: 3\r\n\r\n"),
            Ok((404, Framing::Length(3)))
        );
        assert_eq!(read("HTTP/1.1 599\r\n\r\n"), Ok((599, Framing::UntilClose)));
        assert_eq!(read("HTTP/1.1 200 Gr\u{fc}n\r\n\r\n"), Ok((200, Framing::UntilClose)));
        for (text, malformed) in [
            ("\r\n\r\n", Malformed::StatusLine),
            ("HTTP/1.1\r\n\r\n", Malformed::StatusLine),
            ("HTTP/1.1 \r\n\r\n", Malformed::StatusLine),
            ("HTTP/1.1  200 OK\r\n\r\n", Malformed::StatusLine),
            ("HTTP/1.1 20 OK\r\n\r\n", Malformed::StatusLine),
            ("HTTP/1.1 2000 OK\r\n\r\n", Malformed::StatusLine),
            ("HTTP/1.1 099 OK\r\n\r\n", Malformed::StatusLine),
            ("HTTP/1.1 600 OK\r\n\r\n", Malformed::StatusLine),
            ("HTTP/1.1\t200 OK\r\n\r\n", Malformed::StatusLine),
            ("HTTP/2.0 200 OK\r\n\r\n", Malformed::UnknownVersion),
            ("http/1.1 200 OK\r\n\r\n", Malformed::Version),
            ("HTTP/1.1 200 O\0K\r\n\r\n", Malformed::Control),
            ("HTTP/1.1 200 O\rK\r\n\r\n", Malformed::BareCarriageReturn),
            ("HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", Malformed::Folded),
        ] {
            assert_eq!(read(text), Err(malformed), "{text:?}");
        }
    }
}
