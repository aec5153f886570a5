//! Until when a certificate is valid (RFC 5280 §4.1.2.5). The library that verifies certificates
//! keeps that to itself.

use tidegate_core::Timestamp;
use tidegate_core::time::rfc3339;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version of a certificate, which may be left out.
const VERSION: u8 = 0xa0;

/// The `notAfter` of a certificate in DER; `None` where it has none that can be read.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let certificate = &mut expect(&mut &*certificate, SEQUENCE)?;
    let rest = &mut expect(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        take(rest)?;
    }
    let (_serial, _algorithm, _issuer) = (take(rest)?, take(rest)?, take(rest)?);
    let validity = &mut expect(rest, SEQUENCE)?;
    let _not_before = take(validity)?;
    let (kind, text) = take(validity)?;
    let text = str::from_utf8(text).ok()?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            // Of two digits, 50 and above are of the last century.
            let century = if year.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            (format!("{century}{year}"), rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    let parts = [0, 2, 4, 6, 8].map(|at| rest.get(at..at + 2));
    let [Some(month), Some(day), Some(hour), Some(minute), Some(second)] = parts else {
        return None;
    };
    let zone = rest.get(10..)?;
    rfc3339::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}{zone}"))
}

fn expect<'a>(rest: &mut &'a [u8], kind: u8) -> Option<&'a [u8]> {
    take(rest).filter(|(found, _)| *found == kind).map(|(_, content)| content)
}

/// The kind and content of what comes next.
fn take<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let kind = *rest.split_off_first()?;
    let length = match *rest.split_off_first()? {
        short @ ..0x80 => usize::from(short),
        long => {
            // Four bytes of length are more than any certificate has.
            let bytes = rest.split_off(..usize::from(long & 0x7f)).filter(|b| b.len() <= 4)?;
            bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
        }
    };
    Some((kind, rest.split_off(..length)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind, 0x82][..], &length, content].concat()
    }

    fn certificate(version: &[u8], not_after: &[u8]) -> Vec<u8> {
        let some = value(SEQUENCE, b"");
        let validity = [&value(UTC_TIME, b"200101000000Z"), not_after].concat();
        let fields = [version, &[2, 1, 7], &some, &some, &value(SEQUENCE, &validity), &some];
        value(SEQUENCE, &value(SEQUENCE, &fields.concat()))
    }

    #[test]
    fn the_end_of_validity_is_read_in_both_forms() {
        let version = value(VERSION, &[2, 1, 2]);
        for (kind, text, expected) in [
            (UTC_TIME, "261122013000Z", "2026-11-22T01:30:00Z"),
            (UTC_TIME, "491231235959Z", "2049-12-31T23:59:59Z"),
            (UTC_TIME, "991231235959Z", "1999-12-31T23:59:59Z"),
            (GENERALIZED_TIME, "99991231235959Z", "9999-12-31T23:59:59Z"),
        ] {
            let certificate = certificate(&version, &value(kind, text.as_bytes()));
            assert_eq!(not_after(&certificate), rfc3339::parse(expected), "{text}");
        }
        let first = certificate(b"", &value(UTC_TIME, b"261122013000Z"));
        assert_eq!(not_after(&first), rfc3339::parse("2026-11-22T01:30:00Z"));
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        let good = certificate(b"", &value(UTC_TIME, b"261122013000Z"));
        for length in 0..good.len() {
            assert_eq!(not_after(&good[..length]), None, "{length}");
        }
        for time in [&b"2611220130Z"[..], b"26112201300\xffZ", b"261322013000Z", b""] {
            assert_eq!(not_after(&certificate(b"", &value(UTC_TIME, time))), None, "{time:?}");
        }
        assert_eq!(not_after(&certificate(b"", &value(4, b"261122013000Z"))), None);
        assert_eq!(not_after(&[SEQUENCE, 0xff]), None);
    }
}
