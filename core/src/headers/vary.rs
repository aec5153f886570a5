//! Vary (RFC 9110 §12.5.5) and the secondary key it makes (RFC 9111 §4.1).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Fields, list};

/// Which request fields chose this answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Vary {
    /// No request field did: the answer suits every request for its key.
    #[default]
    Nothing,
    /// These did: lower-case names, sorted, each once.
    Fields(Box<[Box<str>]>),
    /// `*`: something no cache can see did, so the answer suits no other request.
    Anything,
}

/// The values a request has for the fields of a [`Vary`]: equal signatures choose the same answer.
///
/// Every part is length-prefixed, so that no two requests that differ share a signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VariantSignature(Box<[u8]>);

impl Vary {
    /// Reads all Vary lines of a response. A member that is no field name counts as `*`,
    /// since nobody can tell what it was meant to depend on.
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut names: Vec<Box<str>> = Vec::new();
        for member in lines.flat_map(list::members) {
            if member == b"*" || !member.iter().copied().all(list::is_token_byte) {
                return Self::Anything;
            }
            names.push(String::from_utf8_lossy(member).to_ascii_lowercase().into());
        }
        if names.is_empty() {
            return Self::Nothing;
        }
        names.sort_unstable();
        names.dedup();
        Self::Fields(names.into())
    }

    /// The lower-case names, sorted; empty for [`Vary::Nothing`] and [`Vary::Anything`].
    pub fn names(&self) -> &[Box<str>] {
        match self {
            Self::Fields(names) => names,
            Self::Nothing | Self::Anything => &[],
        }
    }

    /// What `request` has for these fields.
    ///
    /// White space around list members and the split into lines do not count (§4.1
    /// allows both to be normalised); an absent field differs from an empty one.
    pub fn signature(&self, request: &impl Fields) -> VariantSignature {
        let mut bytes = Vec::new();
        for name in self.names() {
            put(&mut bytes, name.as_bytes());
            let present = request.first(name).is_some();
            bytes.push(u8::from(present));
            let members = request.lines_of(name).flat_map(list::members);
            let members: Vec<Cow<'_, [u8]>> = match is_weighted(name) {
                true => by_weight(members),
                false => members.map(Cow::Borrowed).collect(),
            };
            bytes.extend_from_slice(&(members.len() as u32).to_be_bytes());
            for member in members {
                put(&mut bytes, &member);
            }
        }
        VariantSignature(bytes.into())
    }
}

impl VariantSignature {
    /// The signature as bytes, to be compared or hashed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Fields whose members have weights and no order (RFC 9110 §12.4.2, §12.5.2 to §12.5.4), in
/// which case does not matter.
fn is_weighted(name: &str) -> bool {
    matches!(name, "accept-charset" | "accept-encoding" | "accept-language")
}

/// The members with their weights spelt alike and in one order: what §4.1 calls normalising
/// in a way that is known to have identical semantics.
fn by_weight<'a>(members: impl Iterator<Item = &'a [u8]>) -> Vec<Cow<'a, [u8]>> {
    let mut members: Vec<Cow<'_, [u8]>> = members
        .map(|member| {
            let (range, parameter) = match member.iter().position(|b| *b == b';') {
                Some(at) => (member[..at].trim_ascii(), member[at + 1..].trim_ascii()),
                None => (member, &b"q=1"[..]),
            };
            let mut normal = range.to_ascii_lowercase();
            match weight(parameter) {
                Some(weight) => {
                    normal.extend_from_slice(&[b';', (weight >> 8) as u8, weight as u8])
                }
                None => return Cow::Borrowed(member),
            }
            Cow::Owned(normal)
        })
        .collect();
    members.sort_unstable();
    members
}

/// `q=0.5` in thousandths; `None` for what is no weight.
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', whole @ (b'0' | b'1'), fraction @ ..] = parameter else { return None };
    let digits = match fraction {
        [] => &[],
        [b'.', digits @ ..] => digits,
        _ => return None,
    };
    if digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let scale = [1000, 100, 10, 1][digits.len()];
    let fraction = digits.iter().fold(0, |n, b| n * 10 + u16::from(b - b'0')) * scale;
    Some(u16::from(whole - b'0') * 1000 + fraction).filter(|weight| *weight <= 1000)
}

/// Appends `part` behind its length, so that parts cannot run into each other.
fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
    bytes.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vary(lines: &[&'static str]) -> Vary {
        Vary::parse(lines.iter().map(|l| l.as_bytes()))
    }

    #[test]
    fn lines_case_order_and_repeats_do_not_matter() {
        assert_eq!(vary(&["Accept, accept-encoding"]), vary(&["Accept-Encoding", "ACCEPT,accept"]));
        assert_eq!(vary(&[""]), Vary::Nothing);
    }

    #[test]
    fn a_star_or_nonsense_anywhere_suits_no_other_request() {
        assert_eq!(vary(&["accept", "*"]), Vary::Anything);
        assert_eq!(vary(&["accept, we ird"]), Vary::Anything);
    }

    #[test]
    fn signatures_ignore_white_space_but_not_values() {
        let vary = vary(&["accept"]);
        let one = [("accept", "a, b")];
        let two = [("accept", "a"), ("accept", " b ")];
        let three = [("accept", "b,a")];
        assert_eq!(vary.signature(&one), vary.signature(&two));
        assert_ne!(vary.signature(&one), vary.signature(&three));
    }

    #[test]
    fn weighted_lists_have_no_order_and_no_case() {
        let vary = vary(&["accept-language"]);
        let signature = |value| vary.signature(&[("accept-language", value)]);
        for same in ["de, EN", "en;q=1, de", "de;q=1.000,en;Q=1.0"] {
            assert_eq!(signature("en, de"), signature(same), "{same}");
        }
        assert_eq!(signature("de;q=0.5, en"), signature("en , de; q=0.500"));
        for other in ["en;q=0.9, de", "en", "en, de, fr", "en, de;q=x"] {
            assert_ne!(signature("en, de"), signature(other), "{other}");
        }
    }

    #[test]
    fn an_absent_field_differs_from_an_empty_one() {
        let vary = vary(&["cookie"]);
        let absent: [(&str, &str); 0] = [];
        assert_ne!(vary.signature(&absent), vary.signature(&[("cookie", "")]));
    }
}
