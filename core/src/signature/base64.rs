//! Byte sequences (RFC 9651 §3.3.5), as far as a signature is one: 32 bytes in padded base64
//! between colons.

use alloc::string::String;
use alloc::vec::Vec;

use crate::token::decode_base64url;

/// `bytes` between colons.
pub(super) fn encode(bytes: &[u8; 32]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(46);
    text.push(':');
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            let letter = LETTERS.get((bits >> (18 - 6 * at) & 63) as usize);
            text.push(letter.copied().unwrap_or(b'A').into());
        }
    }
    // Of 32 bytes the last two are alone.
    text.push_str("=:");
    text
}

/// The bytes of such a text, in that spelling alone.
pub(super) fn decode(text: &str) -> Option<[u8; 32]> {
    let letters = text.strip_prefix(':')?.strip_suffix("=:")?;
    if letters.contains(['-', '_']) {
        return None;
    }
    let letters: String = letters
        .chars()
        .map(|letter| match letter {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    let bytes: Vec<u8> = decode_base64url(&letters)?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_in_no_other_spelling() {
        for seed in 0..=255_u8 {
            let bytes = core::array::from_fn(|at| (at as u8).wrapping_mul(37).wrapping_add(seed));
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
        let text = encode(&[0xfb; 32]);
        assert!(text.contains('+'), "{text}");
        let without_padding = text.replace('=', "");
        for other in [&text[1..], &text.replace('+', "-"), &without_padding, ":=:", "::", ""] {
            assert_eq!(decode(other), None, "{other}");
        }
    }
}
