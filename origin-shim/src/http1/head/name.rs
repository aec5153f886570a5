//! The names of fields that requests often have: finding one here is quicker than reading it.

use http::header::{self, HeaderName};

use crate::http1::Malformed;

/// The name that these bytes spell, in any case.
pub(super) fn read(bytes: &[u8]) -> Result<HeaderName, Malformed> {
    match often(bytes) {
        Some(name) => Ok(name.clone()),
        None => HeaderName::from_bytes(bytes).map_err(|_| Malformed::FieldName),
    }
}

/// By length and first letter, and where several have both by the letter that differs.
fn often(bytes: &[u8]) -> Option<&'static HeaderName> {
    let first = bytes.first()?.to_ascii_lowercase();
    let name = match (bytes.len(), first) {
        (2, b't') => &header::TE,
        (3, b'd') => &header::DNT,
        (3, b'v') => &header::VIA,
        (4, b'h') => &header::HOST,
        (5, b'r') => &header::RANGE,
        (6, b'a') => &header::ACCEPT,
        (6, b'c') => &header::COOKIE,
        (6, b'o') => &header::ORIGIN,
        (6, b'p') => &header::PRAGMA,
        (7, b'r') => &header::REFERER,
        (8, b'p') => &PRIORITY,
        (9, b's') => &SEC_CH_UA,
        (9, b'x') => &X_REAL_IP,
        (10, b'c') => &header::CONNECTION,
        (10, b'u') => &header::USER_AGENT,
        (12, b'c') => &header::CONTENT_TYPE,
        (13, b'a') => &header::AUTHORIZATION,
        (13, b'c') => &header::CACHE_CONTROL,
        (13, b'i') => &header::IF_NONE_MATCH,
        (14, b'c') => &header::CONTENT_LENGTH,
        (14, b's') => match bytes[10].to_ascii_lowercase() {
            b'd' => &SEC_FETCH_DEST,
            b'm' => &SEC_FETCH_MODE,
            b's' => &SEC_FETCH_SITE,
            _ => &SEC_FETCH_USER,
        },
        (15, b'a') => match bytes[7].to_ascii_lowercase() {
            b'e' => &header::ACCEPT_ENCODING,
            _ => &header::ACCEPT_LANGUAGE,
        },
        (15, b'x') => &X_FORWARDED_FOR,
        (16, b's') => &SEC_CH_UA_MOBILE,
        (17, b'i') => &header::IF_MODIFIED_SINCE,
        (17, b'x') => &X_FORWARDED_PROTO,
        (18, b's') => &SEC_CH_UA_PLATFORM,
        (25, b'u') => &header::UPGRADE_INSECURE_REQUESTS,
        _ => return None,
    };
    name.as_str().as_bytes().eq_ignore_ascii_case(bytes).then_some(name)
}

static PRIORITY: HeaderName = HeaderName::from_static("priority");
static SEC_CH_UA: HeaderName = HeaderName::from_static("sec-ch-ua");
static SEC_CH_UA_MOBILE: HeaderName = HeaderName::from_static("sec-ch-ua-mobile");
static SEC_CH_UA_PLATFORM: HeaderName = HeaderName::from_static("sec-ch-ua-platform");
static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
static SEC_FETCH_USER: HeaderName = HeaderName::from_static("sec-fetch-user");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_whether_it_comes_often_or_not() {
        let names = "te dnt via host range accept cookie origin pragma referer priority sec-ch-ua \
            x-real-ip connection user-agent content-type authorization cache-control \
            if-none-match content-length sec-fetch-dest sec-fetch-mode sec-fetch-site \
            sec-fetch-user accept-encoding accept-language x-forwarded-for sec-ch-ua-mobile \
            if-modified-since x-forwarded-proto sec-ch-ua-platform upgrade-insecure-requests";
        for name in names.split_whitespace() {
            assert!(often(name.as_bytes()).is_some(), "{name}");
            for spelt in [name.to_owned(), name.to_uppercase(), format!("{name}x")] {
                let expected = HeaderName::from_bytes(spelt.as_bytes()).unwrap();
                assert_eq!(read(spelt.as_bytes()), Ok(expected), "{spelt}");
            }
        }
        for like in ["accept-datetime", "accept-features", "x-forwarded-by", "sec-fetch-xser"] {
            assert_eq!(read(like.as_bytes()), Ok(HeaderName::from_static(like)));
        }
        assert_eq!(read(b""), Err(Malformed::FieldName));
        assert_eq!(read(&b"x".repeat(70_000)), Err(Malformed::FieldName));
    }
}
