//! Vary (RFC 9110 §12.5.5) and the secondary key it makes (RFC 9111 §4.1).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::weight::weighted;
use super::{Fields, list};
use crate::sort::sort_by;

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
        for member in lines.flat_map(list::tokens) {
            if member == b"*" || !member.iter().copied().all(list::is_token_byte) {
                return Self::Anything;
            }
            names.push(String::from_utf8_lossy(member).to_ascii_lowercase().into());
        }
        if names.is_empty() {
            return Self::Nothing;
        }
        sort_by(&mut names, |one, other| one < other);
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

    /// The same for a cache that asks with the same value of `name` (in lower case) whoever asks:
    /// so that field tells none of its answers apart.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        let Self::Fields(names) = self else { return self };
        let others: Box<[_]> = names.into_iter().filter(|other| **other != *name).collect();
        match others.is_empty() {
            true => Self::Nothing,
            false => Self::Fields(others),
        }
    }

    /// What `request` has for these fields.
    ///
    /// White space around list members and the split into lines do not count (§4.1
    /// allows both to be normalised); an absent field differs from an empty one.
    pub fn signature(&self, request: &(impl Fields + ?Sized)) -> VariantSignature {
        let mut bytes = Vec::new();
        self.spell(request, &mut |part: &[u8]| {
            bytes.extend_from_slice(part);
            true
        });
        VariantSignature(bytes.into())
    }

    /// Whether a stored answer suits `request`, of which another with this `signature` chose it.
    /// Allocates nothing, unless a field has more than [`WEIGHTED_MAX`] members with weights.
    pub fn suits(&self, signature: &VariantSignature, request: &(impl Fields + ?Sized)) -> bool {
        let mut rest = &*signature.0;
        let is_next = &mut |part: &[u8]| {
            let behind = rest.strip_prefix(part);
            rest = behind.unwrap_or(rest);
            behind.is_some()
        };
        *self != Self::Anything && self.spell(request, is_next) && rest.is_empty()
    }

    /// Hands the signature of `request` on piece by piece, until `take` says that it is enough;
    /// whether it never did.
    fn spell<F: Fields + ?Sized>(&self, request: &F, take: &mut impl FnMut(&[u8]) -> bool) -> bool {
        self.names().iter().all(|name| {
            let members = || request.lines_of(name).flat_map(list::members);
            let present = request.first(name).is_some();
            if !(spell_part(name.as_bytes(), take) && take(&[u8::from(present)])) {
                return false;
            }
            if is_weighted(name) {
                return spell_by_weight(members(), take);
            }
            let count = members().count() as u32;
            take(&count.to_be_bytes()) && members().all(|member| spell_part(member, take))
        })
    }
}

impl VariantSignature {
    /// A signature that was stored as bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

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

/// Members with weights that are put into order without an allocation.
pub const WEIGHTED_MAX: usize = 16;

/// A member of a list with weights.
#[derive(Clone, Copy)]
struct Weighted<'a> {
    text: &'a [u8],
    /// In thousandths; none where the member is malformed, and stays as it is.
    weight: Option<u16>,
}

impl<'a> Weighted<'a> {
    fn read(member: &'a [u8]) -> Self {
        match weighted(member) {
            Some((text, weight)) => Self { text, weight: Some(weight) },
            None => Self { text: member, weight: None },
        }
    }

    fn len(self) -> usize {
        self.text.len() + if self.weight.is_some() { 3 } else { 0 }
    }

    /// One spelling for all that mean the same.
    fn bytes(self) -> impl Iterator<Item = u8> {
        let folds = self.weight.is_some();
        let fold = move |byte: &u8| if folds { byte.to_ascii_lowercase() } else { *byte };
        let behind = self.weight.map(|weight| [b';', (weight >> 8) as u8, weight as u8]);
        self.text.iter().map(fold).chain(behind.into_iter().flatten())
    }
}

/// The members with their weights spelt alike and in one order: what §4.1 calls normalising
/// in a way that is known to have identical semantics.
fn spell_by_weight<'a>(
    mut members: impl Iterator<Item = &'a [u8]>,
    take: &mut impl FnMut(&[u8]) -> bool,
) -> bool {
    let mut few: ArrayVec<Weighted<'_>, WEIGHTED_MAX> =
        members.by_ref().take(WEIGHTED_MAX).map(Weighted::read).collect();
    let mut many: Vec<Weighted<'_>> = members.map(Weighted::read).collect();
    let sorted = match many.is_empty() {
        true => few.as_mut_slice(),
        false => {
            many.extend_from_slice(&few);
            many.as_mut_slice()
        }
    };
    sort_by(sorted, |one, other| one.bytes().lt(other.bytes()));
    take(&(sorted.len() as u32).to_be_bytes())
        && sorted.iter().all(|member| {
            take(&(member.len() as u32).to_be_bytes()) && member.bytes().all(|byte| take(&[byte]))
        })
}

/// Hands `part` on behind its length, so that parts cannot run into each other.
fn spell_part(part: &[u8], take: &mut impl FnMut(&[u8]) -> bool) -> bool {
    take(&(part.len() as u32).to_be_bytes()) && take(part)
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
    fn a_field_that_is_always_the_same_tells_nothing_apart() {
        assert_eq!(vary(&["accept, cookie"]).without("accept"), vary(&["cookie"]));
        assert_eq!(vary(&["accept"]).without("accept"), Vary::Nothing);
        assert_eq!(vary(&["*"]).without("accept"), Vary::Anything);
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
    fn more_members_than_fit_are_ordered_all_the_same() {
        let vary = vary(&["accept-language"]);
        let up: Vec<String> = (10..60).map(|n| alloc::format!("l{n}")).collect();
        let down: Vec<String> = up.iter().rev().cloned().collect();
        let (up, down) = (up.join(","), down.join(", ").to_ascii_uppercase());
        let signature = vary.signature(&[("accept-language", up)]);
        assert_eq!(signature, vary.signature(&[("accept-language", &down)]));
        assert!(vary.suits(&signature, &[("accept-language", &down)]));
    }

    #[test]
    fn nothing_suits_what_depends_on_anything() {
        let fields = [("accept", "a")];
        assert!(Vary::Nothing.suits(&Vary::Nothing.signature(&fields), &fields));
        assert!(!Vary::Anything.suits(&Vary::Anything.signature(&fields), &fields));
    }

    #[test]
    fn an_absent_field_differs_from_an_empty_one() {
        let vary = vary(&["cookie"]);
        let absent: [(&str, &str); 0] = [];
        assert_ne!(vary.signature(&absent), vary.signature(&[("cookie", "")]));
    }
}
