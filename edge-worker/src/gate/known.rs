//! What is stored for a request that must go to the origin all the same.

use tidegate_core::forward::is_kept_on_update;
use tidegate_core::headers::range::ContentRange;
use tidegate_core::headers::{Fields, FieldsMut};
use tidegate_core::partial::may_combine;

use crate::cache_store::entry::{self, Entry, Validators};
use crate::connection;
use crate::edits::Edits;
use crate::head::{Head, ResponseHead};

/// What is stored.
pub(super) enum Known {
    /// Nothing that could help.
    Nothing,
    /// An answer that may serve if the origin fails.
    Fallback(Entry),
    /// The same, and the origin may confirm it.
    ToConfirm(Entry),
    /// A part that lacks what is asked for; the origin may complete it.
    Part(Entry),
}

impl Known {
    /// A stale answer, to be confirmed where it has something to ask with.
    pub(super) fn to_confirm(entry: Entry) -> Self {
        match entry.stored.has_validator {
            true => Self::ToConfirm(entry),
            false => Self::Fallback(entry),
        }
    }

    /// The answer that may be confirmed, or serve if the origin fails.
    pub(super) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Nothing | Self::Part(_) => None,
            Self::Fallback(entry) | Self::ToConfirm(entry) => Some(entry),
        }
    }

    /// All that is stored, to be let go.
    pub(super) fn into_entry(self) -> Option<Entry> {
        match self {
            Self::Nothing => None,
            Self::Fallback(entry) | Self::ToConfirm(entry) | Self::Part(entry) => Some(entry),
        }
    }
}

/// Asks whether what has these fields is still good (RFC 9111 §4.3.1).
pub(super) fn ask_for_confirmation(question: &mut Edits, stored: &Validators<'_>) {
    for (validator, condition) in
        [("etag", "if-none-match"), ("last-modified", "if-modified-since")]
    {
        if let Some(value) = stored.first(validator).and_then(|value| str::from_utf8(value).ok()) {
            question.set(condition, value);
        }
    }
}

/// Asks for what a stored begin lacks, or for the whole if it is another by now.
pub(super) fn ask_for_the_rest(question: &mut Edits, begin: &Entry) {
    question.remove("if-range");
    question.set("range", &format!("bytes={}-", begin.body_len().unwrap_or(0)));
    if let Some(tag) = begin.fields.text("etag").filter(|tag| !tag.starts_with("W/")) {
        question.set("if-range", tag);
    }
}

/// Whether an answer is the rest of which `begin` is the begin (RFC 9111 §3.4).
pub(super) fn is_rest_of(begin: &Entry, answer: &ResponseHead) -> bool {
    let fields = answer.fields();
    let rest = fields.first("content-range").and_then(ContentRange::parse);
    let fits = rest.is_some_and(|rest| {
        begin.body_len().is_some_and(|length| rest.first == length as u64)
            && rest.complete == Some(rest.last + 1)
    });
    // What is stored is decoded, so what is coded does not continue it.
    answer.status() == 206 && fits && !entry::is_coded(fields) && may_combine(&begin.fields, fields)
}

/// Whether what a HEAD was told of a resource differs from what is stored (RFC 9111 §4.3.5).
pub(super) fn contradicts(entry: &Entry, said: &Head) -> bool {
    let differs = |name: &str, stored: Option<&[u8]>| {
        said.first(name).is_some_and(|said| stored != Some(said))
    };
    // The length of a body that is stored decoded is not known.
    let length = entry.fields.first("content-length");
    let validators = entry.validators();
    differs("etag", validators.first("etag"))
        || differs("last-modified", validators.first("last-modified"))
        || (length.is_some() && differs("content-length", length))
}

/// The stored fields, those of `update` in place of their namesakes (RFC 9111 §3.2).
pub(super) fn merge<'a>(entry: &'a Entry, update: &'a Head) -> Vec<(&'a str, &'a [u8])> {
    merged(&entry.fields, update, entry.origin_tag.is_some())
}

/// The same; a tag that is `ours` stands for the body as it is stored, and the origin's for
/// another.
fn merged<'a>(stored: &'a Head, update: &'a Head, ours: bool) -> Vec<(&'a str, &'a [u8])> {
    let is_kept = |name: &str| is_kept_on_update(name) || (ours && name == "etag");
    let updates = |name: &str| !is_kept(name) && !connection::ends(update, name);
    let stays = |name: &str| !updates(name) || update.first(name).is_none();
    let old = stored.lines().filter(|(name, _)| stays(name));
    old.chain(update.lines().filter(|(name, _)| updates(name))).collect()
}

/// The head of a begin and its rest together.
pub(super) fn completed<'a>(begin: &'a Head, rest: &'a Head) -> Vec<(&'a str, &'a [u8])> {
    let is_of_parts = |name: &str| matches!(name, "content-range" | "content-length");
    let old = begin.lines().filter(|(name, _)| rest.first(name).is_none());
    old.chain(rest.lines()).filter(|(name, _)| !is_of_parts(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> Head {
        Head::of_lines(lines.lines())
    }

    fn lines(stored: &str, update: &str, ours: bool) -> Vec<String> {
        let (stored, update) = (head(stored), head(update));
        let lines = merged(&stored, &update, ours);
        lines
            .iter()
            .map(|(name, value)| format!("{name}:{}", str::from_utf8(value).unwrap()))
            .collect()
    }

    #[test]
    fn a_304_updates_what_does_not_describe_the_stored_body() {
        let stored = "content-type:text/css\ncontent-length:5\nx-a:1\nx-a:2\nx-b:1";
        let update = "content-type:text/html\ncontent-length:0\nx-a:3\nx-c:1";
        assert_eq!(
            lines(stored, update, false),
            ["content-length:5", "x-b:1", "content-type:text/html", "x-a:3", "x-c:1"]
        );
    }

    #[test]
    fn what_a_304_says_of_its_connection_updates_nothing() {
        let update = "connection:x-hop\nx-hop:1\nkeep-alive:timeout=5";
        assert_eq!(lines("x-hop:0", update, false), ["x-hop:0"]);
    }

    #[test]
    fn a_tag_of_ours_stays_and_one_of_the_origins_is_updated() {
        assert_eq!(lines("etag:W/\"1\"", "etag:\"1\"", true), ["etag:W/\"1\""]);
        assert_eq!(lines("etag:\"1\"", "etag:W/\"1\"", false), ["etag:W/\"1\""]);
    }
}
