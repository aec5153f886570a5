//! Keys of limits as people read and write them: `user:ada`, `ip:192.0.2.1`,
//! `ip:2001:db8:1:2::/64`, `route:search`, `anonymous`.
//!
//! What a header field or a cookie says may be a secret, so its SHA-256 stands for it
//! (`header-sha256:…`), as it does for any value too long for a key.

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use arrayvec::ArrayVec;
use sha2::{Digest, Sha256};

use super::LimitKey;

/// Kinds of keys, in capitals where the SHA-256 of the value stands for it.
const WORDS: [(u8, &str); 5] =
    [(b'u', "user"), (b'i', "ip"), (b'r', "route"), (b'h', "header"), (b'c', "cookie")];
const ANONYMOUS: &str = "anonymous";
const SHA256: &str = "-sha256";

impl LimitKey {
    /// The key of the client that `limit`, a name, counts under this text, if it reads as one.
    /// A short value of a header field or a cookie cannot be told from its SHA-256.
    pub fn parse(limit: &str, text: &str) -> Option<Self> {
        if text == ANONYMOUS {
            return Some(Self::of_parts(limit, b'a', &[]));
        }
        let (word, value) = text.split_once(':')?;
        let (name, is_digest) = match word.strip_suffix(SHA256) {
            Some(name) => (name, true),
            None => (word, false),
        };
        let (kind, _) = WORDS.into_iter().find(|(_, word)| *word == name)?;
        match (kind, is_digest) {
            (_, true) => Some(Self::of_parts(limit, kind.to_ascii_uppercase(), &from_hex(value)?)),
            (b'h' | b'c', _) => None,
            (b'i', _) => Some(Self::of_parts(limit, kind, &network(value)?)),
            _ => Some(Self::of_parts(limit, kind, value.as_bytes())),
        }
    }

    fn read(&self) -> Option<(u8, &[u8])> {
        let (_limit, rest) = split_part(self.as_bytes())?;
        let (kind, rest) = rest.split_first()?;
        let (value, _) = split_part(rest)?;
        Some((*kind, value))
    }
}

impl fmt::Display for LimitKey {
    /// The client, without the limit. [`LimitKey::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, value) = self.read().unwrap_or((b'a', &[]));
        let word = WORDS.into_iter().find(|(word, _)| kind.eq_ignore_ascii_case(word));
        let Some((_, word)) = word else { return f.write_str(ANONYMOUS) };
        match kind {
            b'A'..=b'Z' => write!(f, "{word}{SHA256}:{}", Hex(value)),
            b'h' | b'c' => write!(f, "{word}{SHA256}:{}", Hex(&Sha256::digest(value))),
            b'i' => match (<[u8; 4]>::try_from(value), <[u8; 8]>::try_from(value)) {
                (Ok(address), _) => write!(f, "{word}:{}", IpAddr::from(address)),
                (_, Ok(network)) => {
                    let mut address = [0; 16];
                    address[..8].copy_from_slice(&network);
                    write!(f, "{word}:{}/64", Ipv6Addr::from(address))
                }
                _ => write!(f, "{word}{SHA256}:{}", Hex(&Sha256::digest(value))),
            },
            _ => write!(f, "{word}:{}", alloc::string::String::from_utf8_lossy(value)),
        }
    }
}

/// Bytes in lower-case hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| Some(char::from(byte).to_digit(16)? as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != 32 {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// An address, or an IPv6 network that the /64 of it counts for.
fn network(text: &str) -> Option<ArrayVec<u8, 8>> {
    let address = match text.strip_suffix("/64") {
        Some(network) => IpAddr::V6(network.parse().ok()?),
        None => text.parse().ok()?,
    };
    Some(super::network(address))
}

/// A part behind its length, and what follows.
fn split_part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*len) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::super::{ClientFacts, KeyPart, Limit};
    use super::*;
    use alloc::string::ToString;
    use core::num::NonZeroU32;
    use core::time::Duration;

    fn key(part: KeyPart, user: Option<&str>, ip: Option<&str>) -> LimitKey {
        let limit = Limit::new("l", NonZeroU32::MIN, Duration::from_secs(1));
        let limit = Limit { key: alloc::vec![part], ..limit };
        let ip = ip.map(|ip| ip.parse().unwrap());
        let client = ClientFacts { user, ip, route: Some("search") };
        LimitKey::of(&limit, &client, &[("x-api-key", "s3cr3t"), ("cookie", "id=7")])
    }

    #[test]
    fn a_key_reads_as_it_was_written() {
        let long = "u".repeat(65);
        for (key, text) in [
            (key(KeyPart::Identity, Some("ada"), None), "user:ada"),
            (key(KeyPart::Identity, Some("a:b sha256"), None), "user:a:b sha256"),
            (key(KeyPart::ClientIp, None, Some("192.0.2.1")), "ip:192.0.2.1"),
            (key(KeyPart::ClientIp, None, Some("::ffff:192.0.2.1")), "ip:192.0.2.1"),
            (key(KeyPart::ClientIp, None, Some("2001:db8:1:2::9")), "ip:2001:db8:1:2::/64"),
            (key(KeyPart::Route, None, None), "route:search"),
            (key(KeyPart::Identity, None, None), "anonymous"),
        ] {
            assert_eq!(key.to_string(), text);
            assert_eq!(LimitKey::parse("l", text), Some(key.clone()), "{text}");
            assert_ne!(LimitKey::parse("m", text), Some(key), "of another limit");
        }
        let one = key(KeyPart::ClientIp, None, Some("2001:db8:1:2::9"));
        assert_eq!(LimitKey::parse("l", "ip:2001:db8:1:2::9"), Some(one));
        let long = key(KeyPart::Identity, Some(&long), None);
        assert!(long.to_string().starts_with("user-sha256:"));
        assert_eq!(LimitKey::parse("l", &long.to_string()), Some(long));
    }

    #[test]
    fn what_clients_send_is_not_shown() {
        for part in [KeyPart::Header("x-api-key".into()), KeyPart::Cookie("id".into())] {
            let text = key(part, None, None).to_string();
            let (word, digits) = text.split_once("-sha256:").unwrap();
            assert!(matches!(word, "header" | "cookie"), "{word}");
            assert!(digits.len() == 64 && !text.contains("s3cr3t"), "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_key() {
        for text in [
            "",
            "ada",
            "user",
            "ip:",
            "ip:nobody",
            "ip:192.0.2.1/64",
            "header:a",
            "planet:mars",
            "user-sha256:00",
        ] {
            assert_eq!(LimitKey::parse("l", text), None, "{text}");
        }
    }
}
