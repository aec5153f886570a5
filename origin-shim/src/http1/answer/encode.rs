//! Heads as bytes.

use http::{HeaderMap, StatusCode, Version};
use tidegate_core::headers::Fields;

use super::{Asker, Sending, date, has_content};
use crate::clock;
use crate::name_bits;
use crate::overlay::Overlay;
use crate::stored_head::is_of_framing;

/// What an answer says of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http1) enum Connection {
    /// It carries further requests.
    Persists,
    /// It closes after this answer.
    Closes,
    /// Another protocol is spoken from here on.
    Upgrades,
}

/// Writes a head. Fields of the connection are written here alone; whatever `fields` says of it
/// is left out.
pub(in crate::http1) fn head(
    out: &mut Vec<u8>,
    asker: &Asker,
    status: StatusCode,
    fields: Head<'_>,
    sending: Sending,
    exact: Option<u64>,
    connection: Connection,
) {
    status_line(out, status);
    let mut seen = Seen { upgrades: connection == Connection::Upgrades, ..Seen::default() };
    match fields {
        Head::Map(fields) => {
            for (name, value) in fields {
                if seen.passes(name.as_str(), value.as_bytes()) {
                    field(out, name.as_str(), value.as_bytes());
                }
            }
        }
        Head::Overlay(overlay) => {
            match overlay.untouched() {
                Some(stored) => {
                    out.extend_from_slice(stored.steady_lines());
                    seen.date = stored.has_date();
                    // What the body is long is said of it, but where there is none.
                    if sending == Sending::Nothing {
                        seen.length = stored.first("content-length");
                    }
                }
                None => {
                    for (name, value) in overlay.kept() {
                        if seen.passes(name, value) {
                            field(out, name, value);
                        }
                    }
                }
            }
            match overlay.may_say_any(SPECIAL) {
                false => overlay.write_said(out),
                true => {
                    for (name, value) in overlay.said() {
                        if seen.passes(name, value) {
                            field(out, name, value);
                        }
                    }
                }
            }
        }
    }
    if !seen.date {
        date::put(out, clock::now());
    }
    framing(out, status, sending, exact, seen.length);
    match (connection, asker.version) {
        (Connection::Upgrades, _) => field(out, "connection", b"upgrade"),
        (Connection::Closes, _) => field(out, "connection", b"close"),
        (Connection::Persists, Version::HTTP_10) => field(out, "connection", b"keep-alive"),
        (Connection::Persists, _) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Where the fields of an answer are.
#[derive(Clone, Copy, Debug)]
pub(in crate::http1) enum Head<'a> {
    Map(&'a HeaderMap),
    Overlay(&'a Overlay),
}

/// What was among the fields.
#[derive(Default)]
struct Seen<'a> {
    date: bool,
    length: Option<&'a [u8]>,
    /// The fields say to which protocol.
    upgrades: bool,
}

/// The names that [`Seen::passes`] knows.
const SPECIAL: u64 = name_bits::bits(&[
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "date",
]);

impl<'a> Seen<'a> {
    /// Whether a field is written as it is.
    fn passes(&mut self, name: &str, value: &'a [u8]) -> bool {
        // Most names have other lengths.
        if !matches!(name.len(), 4 | 7 | 10 | 14 | 16 | 17) {
            return true;
        }
        match name {
            "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" => false,
            "upgrade" => self.upgrades,
            "content-length" => {
                self.length = self.length.or(Some(value));
                false
            }
            "date" => {
                self.date = true;
                true
            }
            _ => true,
        }
    }
}

fn framing(
    out: &mut Vec<u8>,
    status: StatusCode,
    sending: Sending,
    exact: Option<u64>,
    said: Option<&[u8]>,
) {
    match sending {
        Sending::Length(length) => number(out, length),
        Sending::Chunked { .. } => field(out, "transfer-encoding", b"chunked"),
        Sending::UntilClose => {}
        // 1xx and 204 have no length (RFC 9110 §8.6); HEAD and 304 have that of the body which
        // they do not send.
        Sending::Nothing if has_content(status) || status == StatusCode::NOT_MODIFIED => {
            match (said, exact) {
                (Some(said), _) => field(out, "content-length", said),
                (None, Some(exact @ 1..)) => number(out, exact),
                (None, _) => {}
            }
        }
        Sending::Nothing => {}
    }
}

fn number(out: &mut Vec<u8>, length: u64) {
    field(out, "content-length", itoa::Buffer::new().format(length).as_bytes());
}

/// Writes an interim answer.
pub(in crate::http1) fn interim(out: &mut Vec<u8>, status: StatusCode, fields: &HeaderMap) {
    status_line(out, status);
    for (name, value) in fields {
        if !is_of_framing(name.as_str()) {
            field(out, name.as_str(), value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a field.
pub(super) fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes the line before a chunk of this length.
pub(super) fn chunk_size(out: &mut Vec<u8>, length: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|at| DIGITS[length >> (4 * at) & 0xf]));
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_says_its_length_in_hexadecimal() {
        for length in [0, 1, 9, 10, 15, 16, 255, 256, 4096, 0xfedc_ba98] {
            let mut out = Vec::new();
            chunk_size(&mut out, length);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{length:x}\r\n"));
        }
    }
}
