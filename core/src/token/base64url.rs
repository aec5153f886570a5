//! base64url without padding, by the letter (RFC 7515 §2, RFC 4648 §5).

use alloc::vec::Vec;

/// The bytes of `text`. Anything but the 64 letters is refused, padding and white space
/// included, and so are bits behind the end (RFC 4648 §3.5): a token has one spelling.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for letters in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for letter in letters {
            bits = bits << 6 | value(*letter)?;
        }
        match letters.len() {
            4 => bytes.extend_from_slice(&bits.to_be_bytes()[1..]),
            3 if bits & 0b11 == 0 => bytes.extend_from_slice(&(bits >> 2).to_be_bytes()[2..]),
            2 if bits & 0b1111 == 0 => bytes.push((bits >> 4) as u8),
            _ => return None,
        }
    }
    Some(bytes)
}

/// Whether `text` has bytes in it, spelled as they should be.
pub(super) fn is_base64url(text: &str) -> bool {
    !text.is_empty() && decode(text).is_some()
}

/// How many bits the number in `text` has, without the zeros in front; `None` for zero.
pub(super) fn significant_bits(text: &str) -> Option<usize> {
    let bytes = decode(text)?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some((bytes.len() - first) * 8 - bytes[first].leading_zeros() as usize)
}

fn value(letter: u8) -> Option<u32> {
    Some(u32::from(match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

/// The text of `bytes`; only tests write tokens.
#[cfg(test)]
pub(super) fn encode(bytes: &[u8]) -> alloc::string::String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = alloc::string::String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_in_no_other_spelling() {
        for length in 0..70 {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 37 + 250) as u8).collect();
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
        assert_eq!(decode("AQAB"), Some(alloc::vec![1, 0, 1]));
        for text in ["A", "AA==", "AA=", "A+", "A/AA", "AQ AB", "AR", "AQB", "AAAAA", "ü"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn bits_are_counted_without_zeros_in_front() {
        assert_eq!(significant_bits("AQAB"), Some(17));
        assert_eq!(significant_bits(&encode(&[0, 0, 0x80])), Some(8));
        assert_eq!(significant_bits("AA"), None);
    }
}
