//! HTTP/1.1 as it comes over a connection: where it is cut makes no difference, and what is taken
//! for a message is one to every reader.

use bytes::Bytes;
use http::{Method, Version};
use tidegate_core::Scheme;

use crate::http1::Malformed;
use crate::http1::chunked::{ChunkedDecoder, Decoded};
use crate::http1::head::request::RequestHead;
use crate::http1::head::response::ResponseHead;
use crate::http1::head::{FieldLines, HeadEnd};

/// The first byte says how the rest is cut.
fn cut(data: &[u8]) -> (impl Iterator<Item = &[u8]>, &[u8]) {
    let (size, text) = data.split_first().map_or((1, data), |(size, text)| (*size, text));
    (text.chunks(usize::from(size).max(1)), text)
}

/// Where a head ends does not depend on how it is cut; a request that is read says once how long
/// its body is, names a host, and is the same when it is written and read again.
pub fn head(data: &[u8]) {
    let (pieces, text) = cut(data);
    let whole = HeadEnd::default().find(text);
    let (mut end, mut so_far, mut found) = (HeadEnd::default(), 0, Ok(None));
    for piece in pieces {
        so_far += piece.len();
        found = end.find(&text[..so_far]);
        if !matches!(found, Ok(None)) {
            break;
        }
    }
    assert_eq!(found, whole);
    let Ok(Some(extent)) = whole else { return };
    let text = &text[..extent.length];
    let _ = ResponseHead::read(text, &Method::GET);
    let Ok(head) = RequestHead::read(&Bytes::copy_from_slice(text), extent, Scheme::Http) else {
        return;
    };
    assert_eq!(head.fields.len(), extent.fields);
    let lines = |name| head.fields.get_all(name).iter().count();
    assert!(lines("host") == 1 || (lines("host") == 0 && head.version == Version::HTTP_10));
    assert!(lines("content-length") + lines("transfer-encoding") <= 1);
    let mut written = format!("{} {} {:?}\r\n", head.method, target(text), head.version).into_bytes();
    for (name, value) in &head.fields {
        assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        written.extend([name.as_str().as_bytes(), b":\t", value.as_bytes(), b" \r\n"].concat());
    }
    written.extend(b"\r\n");
    let extent = HeadEnd::default().find(&written).expect("a head").expect("all of it");
    let again = RequestHead::read(&Bytes::from(written), extent, Scheme::Http);
    assert_eq!(again.expect("what was read"), head);
}

/// The middle of the first line.
fn target(head: &[u8]) -> &str {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    str::from_utf8(line).ok().and_then(|line| line.split(' ').nth(1)).unwrap_or_default()
}

/// What comes of a chunked body does not depend on how it is cut, and is no more than was sent.
pub fn chunked(data: &[u8]) {
    let (pieces, text) = cut(data);
    let whole = decode([text].into_iter());
    if let Ok((data, _)) = &whole {
        assert!(data.len() <= text.len());
    }
    assert_eq!(decode(pieces), whole);
    assert!(FieldLines::of(text).take(1 << 20).count() < 1 << 20);
}

/// The data, and whether the body ends.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<(Vec<u8>, bool), Malformed> {
    let (mut decoder, mut data) = (ChunkedDecoder::default(), Vec::new());
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() && !decoder.is_ended() {
            rest = match decoder.decode(rest)? {
                Decoded::Nothing { taken } | Decoded::End { taken, .. } => &rest[taken..],
                Decoded::Data { skip, length } => {
                    data.extend_from_slice(&rest[skip..skip + length]);
                    &rest[skip + length..]
                }
            };
        }
    }
    Ok((data, decoder.is_ended()))
}
