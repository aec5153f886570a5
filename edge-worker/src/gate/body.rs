//! Which bytes of a stored body a client gets (RFC 9110 §14).

use std::ops::Range;

use tidegate_core::headers::range::ContentRange;
use tidegate_core::headers::{Fields, FieldsMut};
use tidegate_core::partial::{self, Selection};
use tidegate_core::{Method, Stored};
use worker::wasm_bindgen::JsValue;
use worker::web_sys::ReadableStream;

use super::answer::Whole;
use super::passage::Passage;
use crate::cache_store::{Entry, Kept};
use crate::clock;
use crate::edits::Edits;
use crate::platform;

impl Passage<'_> {
    /// What of a stored answer suits the request's Range.
    pub(super) fn select(&self, entry: &Entry) -> Selection {
        let Kept { fields, stored, .. } = &**entry;
        self.select_of(&Whole { fields, stored, body_len: entry.body_len() })
    }

    /// The same, if there is a Range that counts: only GET has ranges, and only of 200 and 206
    /// (§14.2), and of a body of unknown length none can be cut.
    fn select_of(&self, whole: &Whole<'_, impl Fields>) -> Selection {
        let Stored { status, part, .. } = *whole.stored;
        let has_ranges = self.asked.method == Method::Get && matches!(status, 200 | 206);
        match whole.body_len.filter(|_| self.asked.has_range && has_ranges) {
            Some(length) => {
                let now = clock::now();
                partial::select(part, length, self.asked.fields, whole.fields, now)
            }
            None if part.is_some() => Selection::Missing,
            None => Selection::Whole,
        }
    }

    /// The status and the body of an answer from what is stored, whose head is in `head`; `None`
    /// for the stored body as it is.
    pub(super) fn fill(
        &self,
        head: &mut Edits,
        whole: &Whole<'_, impl Fields>,
        entry: &Entry,
    ) -> (u16, Option<JsValue>) {
        let status = whole.stored.status;
        // What came without a body is stored with an empty one, which the platform takes for one.
        if self.asked.method == Method::Head || matches!(status, 204 | 205 | 304) {
            entry.discard();
            return (status, Some(JsValue::NULL));
        }
        let selection = self.select_of(whole);
        let stream = || entry.source.response()?.body();
        let stored = match selection {
            Selection::Piece { .. } | Selection::Pieces(_) => stream(),
            _ => None,
        };
        match (selection, stored) {
            (Selection::Piece { bytes, content_range }, Some(stored)) => {
                head.set("content-range", &content_range.to_string());
                head.remove("content-length");
                let piece = pieces([(String::new(), bytes)]);
                (206, Some(platform::cut(&stored, &piece, "").into()))
            }
            (Selection::Pieces(ranges), Some(stored)) if are_in_order(&ranges) => {
                (206, Some(self.multipart(head, whole, &ranges, &stored).into()))
            }
            (Selection::Unsatisfiable { length }, _) => {
                entry.discard();
                head.set("content-range", &format!("bytes */{length}"));
                head.remove("content-length");
                (416, Some(JsValue::NULL))
            }
            // What is missing is never served: see `Gate::answer`. What is wanted out of order
            // would have to wait in memory for what comes before it: the whole is allowed, too.
            _ => (status, None),
        }
    }

    /// Several pieces in one body (§14.6).
    fn multipart(
        &self,
        head: &mut Edits,
        whole: &Whole<'_, impl Fields>,
        ranges: &[Range<usize>],
        stored: &ReadableStream,
    ) -> ReadableStream {
        // Random, so that nobody can have put it into the body in advance.
        let boundary = platform::random_uuid();
        let own = whole.fields.first("content-type").and_then(|own| str::from_utf8(own).ok());
        let own = own.map(|own| format!("Content-Type: {own}\r\n")).unwrap_or_default();
        let complete = whole.body_len.map(|length| length as u64);
        let pieces = pieces(ranges.iter().map(|range| {
            let (first, last) = (range.start as u64, (range.end as u64).saturating_sub(1));
            let range_of_it = ContentRange { first, last, complete };
            let text = format!("\r\n--{boundary}\r\n{own}Content-Range: {range_of_it}\r\n\r\n");
            (text, range.clone())
        }));
        head.set("content-type", &format!("multipart/byteranges; boundary={boundary}"));
        head.remove("content-length");
        platform::cut(stored, &pieces, &format!("\r\n--{boundary}--\r\n"))
    }
}

/// Whether each piece begins behind the end of the one before it.
fn are_in_order(ranges: &[Range<usize>]) -> bool {
    ranges.windows(2).all(|two| matches!(two, [one, next] if one.end <= next.start))
}

/// Pieces with the text before each, as the platform takes them.
fn pieces(of: impl IntoIterator<Item = (String, Range<usize>)>) -> String {
    let pieces: Vec<(String, usize, usize)> =
        of.into_iter().map(|(text, range)| (text, range.start, range.end)).collect();
    serde_json::to_string(&pieces).unwrap_or_default()
}
