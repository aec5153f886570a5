//! Heads on the wire: those of requests as they are written, those of answers as they are taken
//! out of what was read.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{Method, StatusCode, Version};
use tidegate_core::headers::list;

use crate::http1::Malformed;
use crate::http1::framing::Framing;
use crate::http1::head::HeadEnd;
use crate::http1::head::response::ResponseHead;

/// How the body of a request is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// There is none.
    Nothing,
    /// It has so many bytes.
    Length(u64),
    /// Nobody knows how many; whether a chunk has begun.
    Chunked { begun: bool },
}

/// The head of an answer.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) status: StatusCode,
    pub(super) framing: Framing,
    pub(super) fields: HeaderMap,
}

/// Writes the head of a request. Fields that say where it ends are written here and nowhere else.
pub(super) fn write(
    to: &mut BytesMut,
    method: &Method,
    target: &str,
    fields: &HeaderMap,
    told: Told,
) {
    let lengths = fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    to.reserve(method.as_str().len() + target.len() + lengths.sum::<usize>() + 64);
    to.put_slice(method.as_str().as_bytes());
    to.put_u8(b' ');
    to.put_slice(target.as_bytes());
    to.put_slice(b" HTTP/1.1\r\n");
    // Host first (RFC 9110 §7.2).
    for value in fields.get_all(HOST) {
        line(to, &HOST, value);
    }
    for (name, value) in fields {
        if *name != HOST && *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING {
            line(to, name, value);
        }
    }
    match told {
        Told::Nothing => {}
        Told::Length(length) => {
            to.put_slice(b"content-length: ");
            put_decimal(to, length);
            to.put_slice(b"\r\n");
        }
        Told::Chunked { .. } => to.put_slice(b"transfer-encoding: chunked\r\n"),
    }
    to.put_slice(b"\r\n");
}

/// Writes the line of a field.
pub(super) fn line(to: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    to.put_slice(name.as_str().as_bytes());
    to.put_slice(b": ");
    to.put_slice(value.as_bytes());
    to.put_slice(b"\r\n");
}

fn put_decimal(to: &mut BytesMut, mut number: u64) {
    let (mut digits, mut at) = ([0; 20], 20);
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    to.put_slice(&digits[at..]);
}

/// Takes the head of an answer to a request of method `asked` off the front of `buffer`; `None` if
/// it is not whole yet. Nothing is taken off before, and `end` knows how far it was looked.
pub(super) fn take(
    buffer: &mut BytesMut,
    end: &mut HeadEnd,
    asked: &Method,
) -> Result<Option<Head>, Malformed> {
    // Whoever speaks another protocol, and waits for us to go on, is found out at once.
    let begin = b"HTTP/1.";
    let length = buffer.len().min(begin.len());
    if buffer[..length] != begin[..length] {
        return Err(Malformed::StatusLine);
    }
    let Some(extent) = end.find(buffer)? else { return Ok(None) };
    *end = HeadEnd::default();
    // A copy of its own: what is stored of it must not hold a whole buffer.
    let head = Bytes::copy_from_slice(&buffer[..extent.length]);
    let _ = buffer.split_to(extent.length);
    let read = ResponseHead::read(&head, asked)?;
    let mut fields = HeaderMap::with_capacity(extent.fields);
    for field in read.fields() {
        let (name, value) = field?;
        let name = HeaderName::from_bytes(name).map_err(|_| Malformed::FieldName)?;
        let value = HeaderValue::from_maybe_shared(head.slice_ref(value));
        fields.append(name, value.map_err(|_| Malformed::Control)?);
    }
    let status = StatusCode::from_u16(read.status).map_err(|_| Malformed::StatusLine)?;
    Ok(Some(Head { version: read.version, status, framing: read.framing, fields }))
}

impl Head {
    /// Whether the connection may carry another exchange (RFC 9112 §9.3).
    pub(super) fn keeps_alive(&self) -> bool {
        let says = |option: &[u8]| {
            let lines = self.fields.get_all(CONNECTION).iter();
            let mut options = lines.flat_map(|line| list::tokens(line.as_bytes()));
            options.any(|said| said.eq_ignore_ascii_case(option))
        };
        match self.version {
            Version::HTTP_10 => says(b"keep-alive") && !says(b"close"),
            _ => !self.fields.contains_key(CONNECTION) || !says(b"close"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Option<Head>, Malformed> {
        take(&mut BytesMut::from(text), &mut HeadEnd::default(), &Method::GET)
    }

    #[test]
    fn a_head_is_read_and_what_follows_is_left() {
        let text =
            b"HTTP/1.1 200 OK\r\nA: 1\r\nb:\t 2 x \r\na:\r\nC: \xc3\xa4\r\ncontent-length: 4\r\n\r\nbody";
        for cut in 0..text.len() - 4 {
            let (mut buffer, mut end) = (BytesMut::from(&text[..cut]), HeadEnd::default());
            let take = |buffer: &mut BytesMut, end: &mut HeadEnd| take(buffer, end, &Method::GET);
            assert_eq!(take(&mut buffer, &mut end), Ok(None), "{cut}");
            buffer.extend_from_slice(&text[cut..]);
            let head = take(&mut buffer, &mut end).unwrap().unwrap();
            assert_eq!((head.version, head.status), (Version::HTTP_11, StatusCode::OK));
            assert_eq!(head.framing, Framing::Length(4));
            let fields: Vec<_> =
                head.fields.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).take(4).collect();
            let expected: [(&str, &[u8]); 4] =
                [("a", b"1"), ("a", b""), ("b", b"2 x"), ("c", b"\xc3\xa4")];
            assert_eq!(fields, expected);
            assert_eq!(&buffer[..], b"body");
        }
    }

    #[test]
    fn who_speaks_another_protocol_is_found_out_by_its_first_bytes() {
        for begin in ["SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03", "H\r", "HTTP/2 200", "\r\n", " HTTP"] {
            assert_eq!(read(begin.as_bytes()), Err(Malformed::StatusLine), "{begin:?}");
        }
    }

    #[test]
    fn a_connection_goes_on_unless_one_of_both_wants_it_to_end() {
        let keeps_alive = |head: &str| read(head.as_bytes()).unwrap().unwrap().keeps_alive();
        assert!(keeps_alive("HTTP/1.1 200 OK\r\n\r\n"));
        assert!(keeps_alive("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\n"));
        assert!(!keeps_alive("HTTP/1.1 200 OK\r\nconnection: x, Close\r\n\r\n"));
        assert!(!keeps_alive("HTTP/1.0 200 OK\r\n\r\n"));
        assert!(keeps_alive("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\n\r\n"));
    }

    #[test]
    fn a_request_is_written_with_one_framing_and_host_first() {
        let mut fields = HeaderMap::new();
        fields.insert("accept", HeaderValue::from_static("*/*"));
        fields.insert("content-length", HeaderValue::from_static("99"));
        fields.insert("host", HeaderValue::from_static("a.example"));
        let written = |told| {
            let mut to = BytesMut::new();
            write(&mut to, &Method::PUT, "/x?y", &fields, told);
            String::from_utf8(to.to_vec()).unwrap()
        };
        let head = "PUT /x?y HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\n";
        assert_eq!(written(Told::Nothing), format!("{head}\r\n"));
        assert_eq!(written(Told::Length(0)), format!("{head}content-length: 0\r\n\r\n"));
        let largest = written(Told::Length(u64::MAX));
        assert_eq!(largest, format!("{head}content-length: 18446744073709551615\r\n\r\n"));
        let chunked = written(Told::Chunked { begun: false });
        assert_eq!(chunked, format!("{head}transfer-encoding: chunked\r\n\r\n"));
    }
}
