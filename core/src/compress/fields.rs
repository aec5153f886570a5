//! What the head says of a body that is compressed here.

use super::tag::{self, CodedTag};
use super::{Coding, Offer, Verdict};
use crate::headers::{Fields, FieldsMut, list};
use crate::text::Text;

/// What we ask upstream for, whoever asks: each answer once, without coding.
pub const ASKED_OF_ORIGIN: &str = "identity";

/// What says something of the bytes before they were coded: their length and digests (RFC 9530),
/// and that ranges of them can be had.
const OF_OTHER_BYTES: [&str; 7] = [
    "content-length",
    "content-md5",
    "content-digest",
    "repr-digest",
    "digest",
    "accept-ranges",
    "etag",
];

/// Makes a head that came from upstream, or from the store, say what `verdict` makes of its
/// body. `head` is that head, `fields` its copy that leaves. The length is left to whoever has
/// the coded body.
pub fn write(fields: &mut impl FieldsMut, head: &(impl Fields + ?Sized), verdict: &Verdict) {
    if verdict.varies {
        vary(fields, head);
    }
    if let Ok(coding) = verdict.coding {
        fields.set_static("content-encoding", coding.as_str());
        of_coded_bytes(fields, head, coding);
    }
}

fn of_coded_bytes(fields: &mut impl FieldsMut, head: &(impl Fields + ?Sized), coding: Coding) {
    let tag = CodedTag::of(head.first("etag"), coding);
    for name in OF_OTHER_BYTES {
        let goes = match (name, tag) {
            ("etag", CodedTag::Same | CodedTag::Suffixed(..)) => false,
            _ => head.first(name).is_some(),
        };
        if goes {
            fields.remove(name);
        }
    }
    if matches!(tag, CodedTag::Suffixed(..)) {
        fields.set_display("etag", &tag);
    }
}

/// Names Accept-Encoding in Vary, beside what the origin names there.
fn vary(fields: &mut impl FieldsMut, head: &(impl Fields + ?Sized)) {
    let named = || head.lines_of("vary").flat_map(list::members);
    let has_it = |name: &[u8]| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding");
    if named().any(has_it) {
        return;
    }
    if named().next().is_none() {
        fields.set_static("vary", "Accept-Encoding");
        return;
    }
    let mut all = Text::new();
    for name in named() {
        // A name that is not text names no field.
        all.push_str(core::str::from_utf8(name).unwrap_or("*"));
        all.push_str(", ");
    }
    all.push_str("Accept-Encoding");
    fields.set("vary", &all);
}

/// Gives a 304 the tag of the coded body that the client has, if it is one. `head` is the head
/// that came from upstream or from the store.
pub fn write_not_modified(
    fields: &mut impl FieldsMut,
    offer: &Offer<'_>,
    request: &(impl Fields + ?Sized),
    head: &(impl Fields + ?Sized),
) {
    if let Some(tag @ CodedTag::Suffixed(..)) =
        tag::of_not_modified(offer, request, head.first("etag"))
    {
        fields.set_display("etag", &tag);
    }
}
