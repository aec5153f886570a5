//! Entity tags of coded bodies (RFC 9110 §8.8.3.3): the origin's strong tag `"a"` becomes
//! `"a;gzip"`, since other bytes need another tag. A weak one stands for all codings alike, and
//! stays.

use alloc::string::String;
use core::fmt;

use super::Offer;
use crate::headers::accept_encoding::Coding;
use crate::headers::etag::{ETag, tags};
use crate::headers::{Fields, list};

/// Stands between what the origin calls a body and the coding. No tag of an origin is likely to
/// end like ours; were it to, its body would be asked for once more than needed.
const MARK: u8 = b';';

/// The tag that a coded body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodedTag<'a> {
    /// The origin's, which is weak or not there.
    Same,
    /// The origin's with the coding behind it.
    Suffixed(&'a str, Coding),
    /// None: the origin's is malformed, and nobody could tell the bodies apart by it.
    None,
}

impl<'a> CodedTag<'a> {
    /// The tag of a body in `coding` whose head has this ETag.
    pub fn of(etag: Option<&'a [u8]>, coding: Coding) -> Self {
        let Some(value) = etag else { return Self::Same };
        let Some(tag) = ETag::parse(value) else { return Self::None };
        match core::str::from_utf8(tag.opaque()) {
            _ if tag.is_weak() => Self::Same,
            Ok(opaque) => Self::Suffixed(opaque, coding),
            Err(_) => Self::None,
        }
    }
}

/// As it stands in ETag; empty where [`CodedTag::Same`] or [`CodedTag::None`] says that nothing
/// is to be written.
impl fmt::Display for CodedTag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suffixed(opaque, coding) => {
                write!(f, "\"{opaque}{}{}\"", char::from(MARK), coding.as_str())
            }
            Self::Same | Self::None => Ok(()),
        }
    }
}

/// The origin's tag and the coding, if this is one of ours. A cache on the way may have made it
/// weak.
fn split<'a>(tag: &ETag<'a>) -> Option<(&'a [u8], Coding)> {
    let opaque = tag.opaque();
    let at = opaque.iter().rposition(|b| *b == MARK)?;
    let coding = Coding::ALL.into_iter().find(|c| c.as_str().as_bytes() == &opaque[at + 1..])?;
    Some((&opaque[..at], coding))
}

/// Whether the client names a coded body of the answer with this tag, in a coding that it
/// accepts: then it has it, and 304 suffices (RFC 9110 §13.1.2). A cache names all bodies it
/// holds, for a client that may not be able to decode every one of them.
pub fn client_has_coded(
    offer: &Offer<'_>,
    request: &(impl Fields + ?Sized),
    etag: Option<&[u8]>,
) -> bool {
    coded(offer, request, etag).next().is_some()
}

/// The tag of a 304 in place of the origin's, where it is a coded body that the client has: the
/// one it would get, or else the first it names. `None` leaves the origin's.
pub fn of_not_modified<'a>(
    offer: &Offer<'_>,
    request: &(impl Fields + ?Sized),
    etag: Option<&'a [u8]>,
) -> Option<CodedTag<'a>> {
    let preferred = coded(offer, request, etag).find(|coding| offer.coding == Ok(*coding));
    let names_plain = || {
        let current = etag.and_then(ETag::parse);
        let mut named = request.lines_of("if-none-match").flat_map(tags);
        named.any(|tag| current.is_some_and(|current| tag.matches_weakly(&current)))
    };
    let coding = match preferred {
        Some(coding) => coding,
        None if names_plain() => return None,
        None => coded(offer, request, etag).next()?,
    };
    Some(CodedTag::of(etag, coding))
}

/// The codings in which the client has the answer with this tag.
fn coded<'a, F: Fields + ?Sized>(
    offer: &Offer<'a>,
    request: &'a F,
    etag: Option<&'a [u8]>,
) -> impl Iterator<Item = Coding> + use<'a, F> {
    let offer = *offer;
    let current = etag.and_then(ETag::parse).filter(|tag| !tag.is_weak());
    let named = request.lines_of("if-none-match").flat_map(tags);
    named.filter_map(move |tag| {
        let (opaque, coding) = split(&tag)?;
        let is_current = current.is_some_and(|current| current.opaque() == opaque);
        (is_current && offer.accepts(coding)).then_some(coding)
    })
}

/// The tags of an If-Match or If-None-Match as the origin knows them: it has never heard of our
/// codings. `None` where there is nothing of ours in the line.
///
/// With If-None-Match the client says what it has: a coded body that it does not accept is
/// left as it stands, to match nothing. With If-Match it says what state it means, whatever the
/// coding.
pub fn for_origin(line: &[u8], offer: &Offer<'_>, condition: Condition) -> Option<String> {
    let is_ours = |tag: &ETag<'_>| match split(tag) {
        Some((_, coding)) => condition == Condition::Match || offer.accepts(coding),
        None => false,
    };
    // A list with a malformed tag, or one that is not text, travels on as it is.
    let text = core::str::from_utf8(line).ok().filter(|_| tags(line).any(|tag| is_ours(&tag)))?;
    if list::members(line).any(|member| member == b"*") {
        return None;
    }
    let mut translated = String::with_capacity(text.len());
    for tag in tags(line) {
        let opaque = match split(&tag).filter(|_| is_ours(&tag)) {
            Some((opaque, _)) => opaque,
            None => tag.opaque(),
        };
        if !translated.is_empty() {
            translated.push_str(", ");
        }
        translated.push_str(if tag.is_weak() { "W/\"" } else { "\"" });
        // Pieces of a text between ASCII characters are text.
        translated.push_str(core::str::from_utf8(opaque).unwrap_or_default());
        translated.push('"');
    }
    Some(translated)
}

/// Which condition a list of tags is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// If-Match (RFC 9110 §13.1.1).
    Match,
    /// If-None-Match (§13.1.2).
    NoneMatch,
}
