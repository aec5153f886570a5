//! The head of an answer out of memory: what is stored, and what is said beside it or in place of
//! it. Nothing stored is copied before it is written to the client: most of what a hit would cost
//! otherwise is copying a map of fields to change a few of them.

mod changes;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use tidegate_core::forward;
use tidegate_core::headers::rate_limit::Quota;
use tidegate_core::headers::{Fields, FieldsMut, Spelled};
use tidegate_core::http_types::Edits;

use self::changes::{Begun, Change, Changes, display, spell};
use crate::answer_store::Answer;
use crate::body::Body;
use crate::name_bits::{bit, bits};
use crate::stored_head::StoredHead;

/// A stored head with changes, and the body that goes with it.
pub struct Overlay {
    stored: Arc<Answer>,
    body: Bytes,
    changes: Changes,
    /// Something stored is not said, or something else in its place.
    hides_some: bool,
    /// What describes content is left out: that of a 304 stays where it is.
    is_not_modified: bool,
}

impl Overlay {
    /// The stored head as it is.
    pub(crate) fn on(stored: Arc<Answer>) -> Self {
        let (body, changes) = (Bytes::new(), Changes::none());
        Self { stored, body, changes, hides_some: false, is_not_modified: false }
    }

    /// Leaves out what describes content (RFC 9110 §15.4.5).
    pub(crate) fn leave_content_out(&mut self) {
        self.is_not_modified = true;
    }

    /// The answer with this head. A body that is not whole gets a head of its own.
    pub(crate) fn with(mut self, status: StatusCode, body: Body) -> Response<Body> {
        let mut response = match body {
            Body::Whole(body) => {
                self.body = body.unwrap_or_default();
                Response::new(Body::Stored(self))
            }
            body => {
                let mut response = Response::new(body);
                *response.headers_mut() = self.to_map();
                response
            }
        };
        *response.status_mut() = status;
        response
    }

    /// What is left of the body.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Takes the body out.
    pub(crate) fn take_body(&mut self) -> Bytes {
        std::mem::take(&mut self.body)
    }

    /// The stored head, where all of it is said.
    pub(crate) fn untouched(&self) -> Option<&StoredHead> {
        (!self.hides_some && !self.is_not_modified).then_some(&self.stored.head)
    }

    /// The stored fields that are said.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.stored.head.lines().filter(|(name, _)| !self.hides(name))
    }

    /// What is said beside those.
    pub(crate) fn said(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.changes.said()
    }

    /// Whether a name with one of these [`bits`] may be among what is said beside those; if not,
    /// none is.
    pub(crate) fn may_say_any(&self, bits: u64) -> bool {
        self.changes.may_have_any(bits)
    }

    /// The same of all that is stored or said.
    fn may_have_any(&self, bits: u64) -> bool {
        self.stored.head.may_have_any(bits) || self.changes.may_have_any(bits)
    }

    /// Appends what is said beside those to a head.
    pub(crate) fn write_said(&self, head: &mut Vec<u8>) {
        self.changes.write(head);
    }

    /// Makes a change with the value that `write` appends. Most names are known to the compiler,
    /// and so are their bits.
    #[inline(always)]
    fn make(&mut self, change: Change, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let begun = self.begin(change, name, write);
        self.changes.end(begun);
    }

    #[inline(always)]
    fn begin(&mut self, change: Change, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Begun {
        self.hides_some |= change != Change::Append && self.stored.head.has(name);
        let (begun, text) = self.changes.begin(change, name, bit(name));
        write(text);
        begun
    }

    /// The same with a value that is there.
    #[inline(always)]
    fn make_with(&mut self, change: Change, name: &str, value: &str) {
        self.make(change, name, |text| text.extend_from_slice(value.as_bytes()));
    }

    /// Says all lines of `fields`, each in place of those of its name.
    pub(crate) fn say(&mut self, fields: &StoredHead) {
        if self.may_have_any(fields.names()) {
            for (name, value) in fields.lines() {
                self.set_named(name, &String::from_utf8_lossy(value));
            }
        } else {
            self.changes.say(fields);
        }
    }

    fn hides(&self, name: &str) -> bool {
        self.hides_some && self.changes.hide(name)
            || (self.is_not_modified && forward::describes_content(name))
    }

    /// The same as a map.
    fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.stored.head.len() + self.changes.count());
        for (name, value) in self.lines() {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
        map
    }
}

impl FieldsMut for Overlay {
    #[inline]
    fn set(&mut self, name: &'static str, value: &str) {
        self.make_with(Change::Set, name, value);
    }

    fn set_named(&mut self, name: &str, value: &str) {
        self.make_with(Change::Set, name, value);
    }

    #[inline]
    fn append(&mut self, name: &'static str, value: &str) {
        self.make_with(Change::Append, name, value);
    }

    #[inline]
    fn remove(&mut self, name: &'static str) {
        self.make(Change::Remove, name, |_| {});
    }

    #[inline]
    fn set_display(&mut self, name: &'static str, value: &impl fmt::Display) {
        self.make(Change::Set, name, |text| display(text, value));
    }

    #[inline]
    fn set_spelled(&mut self, name: &'static str, value: &impl Spelled) {
        self.make(Change::Set, name, |text| spell(text, value));
    }

    #[inline]
    fn set_static(&mut self, name: &'static str, value: &'static str) {
        let begun = self.begin(Change::Set, name, |text| text.extend_from_slice(value.as_bytes()));
        self.changes.end_good(begun);
    }

    #[inline]
    fn set_number(&mut self, name: &'static str, value: u64) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value).as_bytes();
        let begun = self.begin(Change::Set, name, |text| text.extend_from_slice(digits));
        self.changes.end_good(begun);
    }

    #[inline]
    fn append_spelled(&mut self, name: &'static str, value: &impl Spelled) {
        self.make(Change::Append, name, |text| spell(text, value));
    }
}

impl Fields for Overlay {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.kept().chain(self.said())
    }

    fn lines_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let kept = (!self.hides(name)).then(|| self.stored.head.lines_of(name));
        kept.into_iter().flatten().chain(self.changes.values_of(name))
    }

    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        let kept = if self.hides(name) { None } else { self.stored.head.first(name) };
        kept.or_else(|| self.changes.values_of(name).next())
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("changes", &self.changes).finish_non_exhaustive()
    }
}

/// The first line of this name among the fields of an answer, wherever they are.
pub(crate) fn first<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a [u8]> {
    match response.body() {
        Body::Stored(overlay) => overlay.first(name),
        _ => response.headers().first(name),
    }
}

/// The last of them.
pub(crate) fn last<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a [u8]> {
    match response.body() {
        Body::Stored(overlay) => overlay.lines_of(name).last(),
        _ => response.headers().lines_of(name).last(),
    }
}

/// What an answer leaves the client by what it says already.
pub(crate) fn quota(response: &Response<Body>) -> Option<Quota> {
    const NAMES: u64 = bits(&["ratelimit", "x-ratelimit-remaining"]);
    match response.body() {
        // As nearly always.
        Body::Stored(overlay) if !overlay.may_have_any(NAMES) => None,
        Body::Stored(overlay) => Quota::told(overlay),
        _ => Quota::told(response.headers()),
    }
}

/// Changes the fields of an answer, wherever they are. Changes to a map are made together when
/// this is dropped.
pub(crate) fn fields_mut(response: &mut Response<Body>) -> impl FieldsMut {
    match response.body() {
        Body::Stored(_) => PlaceMut { map: None, overlay: response.body_mut().overlay() },
        _ => PlaceMut { map: Some(Edits::of(response.headers_mut())), overlay: None },
    }
}

/// Where fields are: in one of the two.
struct PlaceMut<'a> {
    map: Option<Edits<'a>>,
    overlay: Option<&'a mut Overlay>,
}

impl PlaceMut<'_> {
    fn in_either(&mut self, map: impl FnOnce(&mut Edits<'_>), overlay: impl FnOnce(&mut Overlay)) {
        if let Some(fields) = &mut self.map {
            map(fields);
        }
        if let Some(fields) = &mut self.overlay {
            overlay(fields);
        }
    }
}

impl FieldsMut for PlaceMut<'_> {
    fn set(&mut self, name: &'static str, value: &str) {
        self.in_either(|map| map.set(name, value), |overlay| overlay.set(name, value));
    }

    fn set_named(&mut self, name: &str, value: &str) {
        self.in_either(|map| map.set_named(name, value), |overlay| overlay.set_named(name, value));
    }

    fn append(&mut self, name: &'static str, value: &str) {
        self.in_either(|map| map.append(name, value), |overlay| overlay.append(name, value));
    }

    fn remove(&mut self, name: &'static str) {
        self.in_either(|map| map.remove(name), |overlay| overlay.remove(name));
    }

    fn set_static(&mut self, name: &'static str, value: &'static str) {
        self.in_either(
            |map| map.set_static(name, value),
            |overlay| overlay.set_static(name, value),
        );
    }

    fn set_display(&mut self, name: &'static str, value: &impl fmt::Display) {
        self.in_either(
            |map| map.set_display(name, value),
            |overlay| overlay.set_display(name, value),
        );
    }

    fn set_spelled(&mut self, name: &'static str, value: &impl Spelled) {
        self.in_either(
            |map| map.set_spelled(name, value),
            |overlay| overlay.set_spelled(name, value),
        );
    }

    fn set_number(&mut self, name: &'static str, value: u64) {
        self.in_either(
            |map| map.set_number(name, value),
            |overlay| overlay.set_number(name, value),
        );
    }

    fn append_spelled(&mut self, name: &'static str, value: &impl Spelled) {
        self.in_either(
            |map| map.append_spelled(name, value),
            |overlay| overlay.append_spelled(name, value),
        );
    }
}

/// An answer whose head is a map, for those who know no other.
pub(crate) fn complete(response: Response<Body>) -> Response<Body> {
    let Body::Stored(overlay) = response.body() else { return response };
    let mut map = overlay.to_map();
    let (mut head, body) = response.into_parts();
    // Whoever did not ask where the fields are meant these in place of the others.
    for name in head.headers.keys() {
        map.remove(name);
    }
    for (name, value) in &head.headers {
        map.append(name.clone(), value.clone());
    }
    head.headers = map;
    let body = match body {
        Body::Stored(mut overlay) => Body::whole(overlay.take_body()),
        body => body,
    };
    Response::from_parts(head, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidegate_core::http_types::Edits;

    fn stored(fields: &[(&'static str, &'static str)]) -> Arc<Answer> {
        let head = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut answer = crate::answer_store::tests::answer(b"", "", &HeaderMap::new());
        answer.head = StoredHead::of(&head.collect());
        Arc::new(answer)
    }

    const NAMES: [&str; 5] = ["age", "cache-status", "x-cache", "via", "content-type"];

    #[derive(Clone, Debug)]
    enum Made {
        Set(usize, String),
        Append(usize, String),
        Remove(usize),
        Named(usize, String),
        Said(Vec<(usize, String)>),
    }

    fn made() -> impl Strategy<Value = Made> {
        let value = "[a-z ]{0,6}|x\n";
        prop_oneof![
            (0..NAMES.len(), value).prop_map(|(name, value)| Made::Set(name, value)),
            (0..NAMES.len(), value).prop_map(|(name, value)| Made::Append(name, value)),
            (0..NAMES.len()).prop_map(Made::Remove),
            (0..NAMES.len(), value).prop_map(|(name, value)| Made::Named(name, value)),
            prop::collection::vec((0..NAMES.len(), "[a-z ]{0,6}"), 0..4).prop_map(Made::Said),
        ]
    }

    fn make(fields: &mut impl FieldsMut, changes: &[Made]) {
        for change in changes {
            match change {
                Made::Set(name, value) => fields.set(NAMES[*name], value),
                Made::Append(name, value) => fields.append(NAMES[*name], value),
                Made::Remove(name) => fields.remove(NAMES[*name]),
                // The policy has no such values.
                Made::Named(name, value) => {
                    fields.set_named(NAMES[*name], &value.replace('\n', ""))
                }
                Made::Said(lines) => {
                    lines.iter().for_each(|(name, value)| fields.set_named(NAMES[*name], value));
                }
            }
        }
    }

    fn sorted<'a>(lines: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<Vec<u8>>)> {
        let mut all: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
        for (name, value) in lines {
            match all.iter_mut().find(|(other, _)| other == name) {
                Some((_, values)) => values.push(value.into()),
                None => all.push((name.into(), vec![value.into()])),
            }
        }
        all.sort();
        all
    }

    proptest! {
        #[test]
        fn changes_come_to_the_same_as_in_a_map(changes in prop::collection::vec(made(), 0..12)) {
            let stored = stored(&[("age", "7"), ("via", "1.1 a"), ("via", "1.1 b"), ("etag", "x")]);
            let (mut map, mut overlay) = (stored.head.to_map(), Overlay::on(Arc::clone(&stored)));
            make(&mut Edits::of(&mut map), &changes);
            for change in &changes {
                match change {
                    Made::Said(_) => {
                        let mut said = HeaderMap::new();
                        make(&mut said, std::slice::from_ref(change));
                        overlay.say(&StoredHead::of(&said));
                    }
                    change => make(&mut overlay, std::slice::from_ref(change)),
                }
            }
            prop_assert_eq!(sorted(overlay.lines()), sorted(map.lines()));
            prop_assert_eq!(sorted(overlay.to_map().lines()), sorted(map.lines()));
            for name in NAMES {
                let of = |fields: Vec<&[u8]>| fields.concat();
                prop_assert_eq!(of(overlay.lines_of(name).collect()), of(map.lines_of(name).collect()));
            }
        }
    }

    #[test]
    fn a_304_leaves_out_what_describes_content() {
        let mut overlay = Overlay::on(stored(&[("content-type", "a/b"), ("etag", "x")]));
        overlay.leave_content_out();
        overlay.set("x-cache", "HIT");
        assert_eq!(overlay.lines().map(|(name, _)| name).collect::<Vec<_>>(), ["etag", "x-cache"]);
    }

    #[test]
    fn who_knows_maps_alone_gets_one() {
        let mut overlay = Overlay::on(stored(&[("etag", "x"), ("age", "1"), ("vary", "a")]));
        overlay.set("age", "2");
        let mut response = overlay.with(StatusCode::NOT_FOUND, Body::whole("body"));
        fields_mut(&mut response).append("vary", "b");
        response.headers_mut().insert("etag", HeaderValue::from_static("y"));
        let response = complete(response);
        assert_eq!(response.status(), 404);
        let fields = response.headers();
        assert_eq!(
            (&fields["etag"], &fields["age"]),
            (&"y".parse().unwrap(), &"2".parse().unwrap())
        );
        assert_eq!(fields.get_all("vary").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(matches!(response.body(), Body::Whole(Some(body)) if body == "body"));
    }
}
