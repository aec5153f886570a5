//! What an invalidation leaves behind for answers that it cannot find (RFC 9111 §4.4): the Cache
//! API lists nothing, so whoever reads an answer asks for the marks of the names it goes by.

use tidegate_core::Timestamp;
use tidegate_core::invalidate::{Resource, Tag};
use worker::web_sys;

use crate::digest;
use crate::edits::Edits;
use crate::head::ResponseHead;

/// Until when all that was stored under a name is void: milliseconds since 1970.
const UNTIL: &str = "tidegate-void-until";
/// As long as any answer is of use: a mark that is forgotten voids nothing.
const LIFETIME: &str = "max-age=31536000";

/// The name of the answers for a resource.
pub(crate) fn resource(resource: &Resource) -> String {
    digest::hex(resource.as_str().as_bytes())
}

/// The name of the answers with a tag: no tag looks like a resource to the digest.
pub(crate) fn tag(tag: &Tag) -> String {
    digest::hex(["\n", tag.as_str()].concat().as_bytes())
}

/// The head of the mark that voids what was stored before `now`.
pub(super) fn head(now: Timestamp) -> Edits {
    let mut head = Edits::default();
    head.add("cache-control", LIFETIME);
    head.add(UNTIL, &now.as_millis().to_string());
    head
}

/// When the mark was set.
pub(super) fn read(mark: &web_sys::Response) -> Option<Timestamp> {
    let head = ResponseHead::read(mark);
    head.fields().text(UNTIL)?.parse().ok().map(Timestamp::from_millis)
}
