//! Where a body ends (RFC 9112 §6). A message that says so twice, or in words that others could
//! read differently, is refused: whoever believes the other word is smuggled requests.

use http::{Method, Version};

use super::Malformed;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its length in bytes; 0 where there is no body.
    Length(u64),
    /// By the last chunk (§7.1).
    Chunked,
    /// By the end of the connection: answers alone (§6.3).
    UntilClose,
}

/// What a head's fields say of the body.
#[derive(Clone, Copy, Debug, Default)]
pub struct FramingFields {
    length: Option<u64>,
    is_chunked: bool,
}

impl FramingFields {
    /// Takes a line of Content-Length in.
    pub fn content_length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let length = content_length(value).ok_or(Malformed::ContentLength)?;
        match self.length.replace(length) {
            None => Ok(()),
            // The same number twice may be a list to the next reader.
            Some(_) => Err(Malformed::ContentLength),
        }
    }

    /// Takes a line of Transfer-Encoding in.
    pub fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Malformed> {
        if self.is_chunked {
            return Err(Malformed::TransferEncoding);
        }
        self.is_chunked = true;
        match value.eq_ignore_ascii_case(b"chunked") {
            true => Ok(()),
            false => Err(refused_coding(value)),
        }
    }

    /// Where the body of a request ends.
    pub fn of_request(self, version: Version) -> Result<Framing, Malformed> {
        match self.checked(version)? {
            Self { is_chunked: true, .. } => Ok(Framing::Chunked),
            Self { length, .. } => Ok(Framing::Length(length.unwrap_or(0))),
        }
    }

    /// Where the body of an answer with this status ends, to a request of this method.
    pub fn of_response(
        self,
        version: Version,
        status: u16,
        asked: &Method,
    ) -> Result<Framing, Malformed> {
        let said = self.checked(version)?;
        if *asked == Method::HEAD || matches!(status, 100..=199 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        Ok(match said {
            Self { is_chunked: true, .. } => Framing::Chunked,
            Self { length: Some(length), .. } => Framing::Length(length),
            Self { length: None, .. } => Framing::UntilClose,
        })
    }

    fn checked(self, version: Version) -> Result<Self, Malformed> {
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Malformed::TwoLengths),
            (true, None) if version != Version::HTTP_11 => Err(Malformed::CodingInHttp10),
            _ => Ok(self),
        }
    }
}

/// Digits and nothing else, below 2^64 (RFC 9110 §8.6).
pub fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |length, byte| match byte {
        b'0'..=b'9' => length.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// What is wrong with codings that are not just `chunked`: they are not known here if `chunked`
/// ends them; else nobody can tell where the body ends.
fn refused_coding(value: &[u8]) -> Malformed {
    let trim = |coding: &[u8]| coding.trim_ascii().to_ascii_lowercase();
    let mut codings: Vec<Vec<u8>> = value.split(|byte| *byte == b',').map(trim).collect();
    let ends = codings.pop().is_some_and(|last| last == b"chunked");
    let known = |coding: &Vec<u8>| coding.is_empty() || coding == b"chunked";
    match ends && !codings.iter().any(known) {
        true => Malformed::UnknownCoding,
        false => Malformed::TransferEncoding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits() {
        assert_eq!(content_length(b"0"), Some(0));
        assert_eq!(content_length(b"007"), Some(7));
        assert_eq!(content_length(b"18446744073709551615"), Some(u64::MAX));
        for bad in
            ["", "+1", "-1", "1 ", "1,1", "1, 1", "0x1", "1.0", "18446744073709551616", "\u{661}"]
        {
            assert_eq!(content_length(bad.as_bytes()), None, "{bad:?}");
        }
    }

    fn request(lengths: &[&str], codings: &[&str]) -> Result<Framing, Malformed> {
        let mut said = FramingFields::default();
        lengths.iter().try_for_each(|value| said.content_length(value.as_bytes()))?;
        codings.iter().try_for_each(|value| said.transfer_encoding(value.as_bytes()))?;
        said.of_request(Version::HTTP_11)
    }

    #[test]
    fn a_request_says_once_where_it_ends() {
        assert_eq!(request(&[], &[]), Ok(Framing::Length(0)));
        assert_eq!(request(&["5"], &[]), Ok(Framing::Length(5)));
        assert_eq!(request(&[], &["Chunked"]), Ok(Framing::Chunked));
        assert_eq!(request(&["5", "5"], &[]), Err(Malformed::ContentLength));
        assert_eq!(request(&["0"], &["chunked"]), Err(Malformed::TwoLengths));
        assert_eq!(request(&[], &["chunked", "chunked"]), Err(Malformed::TransferEncoding));
        for coding in
            ["chunked, chunked", "identity", "gzip", "chunked, gzip", "xchunked", "", "chunked,"]
        {
            assert_eq!(request(&[], &[coding]), Err(Malformed::TransferEncoding), "{coding}");
        }
        for coding in ["gzip, chunked", "x , Chunked"] {
            assert_eq!(request(&[], &[coding]), Err(Malformed::UnknownCoding), "{coding}");
        }
    }

    #[test]
    fn http_1_0_has_no_codings() {
        let said = FramingFields { length: None, is_chunked: true };
        assert_eq!(said.of_request(Version::HTTP_10), Err(Malformed::CodingInHttp10));
        let answered = said.of_response(Version::HTTP_10, 200, &Method::GET);
        assert_eq!(answered, Err(Malformed::CodingInHttp10));
    }

    #[test]
    fn an_answer_ends_as_rfc_9112_6_3_says() {
        let end = |length, is_chunked, status, method| {
            FramingFields { length, is_chunked }.of_response(Version::HTTP_11, status, &method)
        };
        assert_eq!(end(Some(5), false, 200, Method::GET), Ok(Framing::Length(5)));
        assert_eq!(end(None, true, 200, Method::GET), Ok(Framing::Chunked));
        assert_eq!(end(None, false, 200, Method::GET), Ok(Framing::UntilClose));
        assert_eq!(end(Some(5), true, 200, Method::GET), Err(Malformed::TwoLengths));
        for status in [100, 103, 204, 304] {
            assert_eq!(end(Some(5), false, status, Method::GET), Ok(Framing::Length(0)));
        }
        assert_eq!(end(Some(5), false, 200, Method::HEAD), Ok(Framing::Length(0)));
        assert_eq!(end(None, false, 200, Method::HEAD), Ok(Framing::Length(0)));
    }
}
