//! Adapters for the header map of the `http` crate.

use core::fmt::{self, Write};

use arrayvec::{ArrayString, ArrayVec};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

use crate::headers::{Fields, FieldsMut};

impl Fields for HeaderMap {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    // So that `known` is settled where they are called.
    #[inline(always)]
    fn lines_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let lines = match known(name) {
            Some(name) => self.get_all(name),
            None => self.get_all(name),
        };
        lines.iter().map(HeaderValue::as_bytes)
    }

    #[inline(always)]
    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        let line = match known(name) {
            Some(name) => self.get(name),
            None => self.get(name),
        };
        line.map(HeaderValue::as_bytes)
    }
}

/// A value that no field may hold (a line break, say) is left out: it never gets to the wire.
impl FieldsMut for HeaderMap {
    #[inline]
    fn set(&mut self, name: &'static str, value: &str) {
        Change::Set.make(self, Name::of(name), || HeaderValue::from_str(value).ok());
    }

    fn set_named(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            self.insert(name, value);
        }
    }

    #[inline]
    fn append(&mut self, name: &'static str, value: &str) {
        Change::Append.make(self, Name::of(name), || HeaderValue::from_str(value).ok());
    }

    #[inline]
    fn remove(&mut self, name: &'static str) {
        Change::Remove.make(self, Name::of(name), || None);
    }
}

/// Changes to a header map, made together when this is dropped: all their values share one
/// allocation, where each would take its own.
#[derive(Debug)]
pub struct Edits<'a> {
    headers: &'a mut HeaderMap,
    written: Written,
    waiting: ArrayVec<Edit, EDITS_MAX>,
}

/// Changes that wait at most; what an answer from the store and its limit need, and some.
const EDITS_MAX: usize = 12;

/// Bytes for the values that wait; a longer value makes the map change at once.
const ROOM: usize = 192;

/// A change that waits.
#[derive(Clone, Copy, Debug)]
struct Edit {
    change: Change,
    name: Name,
    value: Value,
}

/// The value of a change that waits.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// The piece between these positions of what has been written.
    Written(u16, u16),
    Static(&'static str),
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Set,
    Append,
    Remove,
}

impl<'a> Edits<'a> {
    /// No changes to `headers` so far.
    pub fn of(headers: &'a mut HeaderMap) -> Self {
        Self { headers, written: Written(ArrayString::new()), waiting: ArrayVec::new() }
    }

    /// Lets a change wait whose value `write` appends to a text, or displays as `otherwise`
    /// where there is no room for that.
    fn push(
        &mut self,
        change: Change,
        name: Name,
        write: impl Fn(&mut ArrayString<ROOM>) -> fmt::Result,
        otherwise: impl Fn() -> Option<HeaderValue>,
    ) {
        if self.waiting.is_full() {
            self.make();
        }
        if let Some(value) = self.write(&write) {
            return self.waiting.push(Edit { change, name, value });
        }
        // What waits goes first, so that the order holds.
        self.make();
        match self.write(&write) {
            Some(value) => self.waiting.push(Edit { change, name, value }),
            None => change.make(self.headers, name, otherwise),
        }
    }

    fn write(&mut self, write: impl Fn(&mut ArrayString<ROOM>) -> fmt::Result) -> Option<Value> {
        let text = &mut self.written.0;
        let start = text.len();
        if write(text).is_err() {
            text.truncate(start);
            return None;
        }
        Some(Value::Written(start as u16, text.len() as u16))
    }

    #[inline]
    fn push_text(&mut self, change: Change, name: Name, value: &str) {
        let write = |text: &mut ArrayString<ROOM>| text.try_push_str(value).or(Err(fmt::Error));
        self.push(change, name, write, || HeaderValue::from_str(value).ok());
    }

    #[inline]
    fn push_display(&mut self, change: Change, name: Name, value: &impl fmt::Display) {
        let write = |text: &mut ArrayString<ROOM>| write!(text, "{value}");
        self.push(change, name, write, || HeaderValue::try_from(alloc::format!("{value}")).ok());
    }

    fn push_static(&mut self, change: Change, name: Name, value: &'static str) {
        if self.waiting.is_full() {
            self.make();
        }
        self.waiting.push(Edit { change, name, value: Value::Static(value) });
    }

    /// Makes the changes that wait.
    fn make(&mut self) {
        let values = match self.written.0.is_empty() {
            true => Bytes::new(),
            false => Bytes::from_owner(self.written.clone()),
        };
        for Edit { change, name, value } in self.waiting.drain(..) {
            let value = || match value {
                Value::Written(start, end) => {
                    let value = values.slice(usize::from(start)..usize::from(end));
                    HeaderValue::from_maybe_shared(value).ok()
                }
                Value::Static(value) => {
                    HeaderValue::from_maybe_shared(Bytes::from_static(value.as_bytes())).ok()
                }
            };
            change.make(self.headers, name, value);
        }
        self.written.0.clear();
    }
}

impl Drop for Edits<'_> {
    fn drop(&mut self) {
        self.make();
    }
}

impl FieldsMut for Edits<'_> {
    #[inline]
    fn set(&mut self, name: &'static str, value: &str) {
        self.push_text(Change::Set, Name::of(name), value);
    }

    fn set_named(&mut self, name: &str, value: &str) {
        self.make();
        self.headers.set_named(name, value);
    }

    #[inline]
    fn append(&mut self, name: &'static str, value: &str) {
        self.push_text(Change::Append, Name::of(name), value);
    }

    #[inline]
    fn remove(&mut self, name: &'static str) {
        self.push_static(Change::Remove, Name::of(name), "");
    }

    #[inline]
    fn set_static(&mut self, name: &'static str, value: &'static str) {
        self.push_static(Change::Set, Name::of(name), value);
    }

    #[inline]
    fn set_display(&mut self, name: &'static str, value: &impl fmt::Display) {
        self.push_display(Change::Set, Name::of(name), value);
    }

    #[inline]
    fn append_display(&mut self, name: &'static str, value: &impl fmt::Display) {
        self.push_display(Change::Append, Name::of(name), value);
    }
}

impl Change {
    /// Makes this change. A value that no field may hold takes what it would replace with it.
    #[inline]
    fn make(
        self,
        headers: &mut HeaderMap,
        name: Name,
        value: impl FnOnce() -> Option<HeaderValue>,
    ) {
        match name {
            Name::Known(name) => self.make_at(headers, name, value),
            Name::Other(name) => self.make_at(headers, &HeaderName::from_static(name), value),
        }
    }

    #[inline]
    fn make_at(
        self,
        headers: &mut HeaderMap,
        name: &HeaderName,
        value: impl FnOnce() -> Option<HeaderValue>,
    ) {
        match self {
            Self::Set => match value() {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            },
            Self::Append => {
                if let Some(value) = value() {
                    headers.append(name, value);
                }
            }
            Self::Remove => drop(headers.remove(name)),
        }
    }
}

/// The name of a field, ready made where possible: reading one costs more than finding its
/// line.
#[derive(Clone, Copy, Debug)]
enum Name {
    Known(&'static HeaderName),
    Other(&'static str),
}

impl Name {
    #[inline(always)]
    fn of(name: &'static str) -> Self {
        known(name).map_or(Self::Other(name), Self::Known)
    }
}

/// The names that decisions look up or write. Callers give constants, for which the compiler
/// settles this when it is inlined.
#[inline(always)]
fn known(name: &str) -> Option<&'static HeaderName> {
    Some(match name {
        "accept-encoding" => &header::ACCEPT_ENCODING,
        "age" => &header::AGE,
        "cache-control" => &header::CACHE_CONTROL,
        "cache-status" => &header::CACHE_STATUS,
        "cdn-cache-control" => &header::CDN_CACHE_CONTROL,
        "content-encoding" => &header::CONTENT_ENCODING,
        "content-range" => &header::CONTENT_RANGE,
        "content-type" => &header::CONTENT_TYPE,
        "etag" => &header::ETAG,
        "expires" => &header::EXPIRES,
        "pragma" => &header::PRAGMA,
        "ratelimit" => &RATELIMIT,
        "ratelimit-policy" => &RATELIMIT_POLICY,
        "set-cookie" => &header::SET_COOKIE,
        "vary" => &header::VARY,
        "x-cache" => &X_CACHE,
        "x-no-compression" => &X_NO_COMPRESSION,
        "x-ratelimit-limit" => &X_RATELIMIT_LIMIT,
        "x-ratelimit-remaining" => &X_RATELIMIT_REMAINING,
        "x-ratelimit-reset" => &X_RATELIMIT_RESET,
        _ => return None,
    })
}

static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static X_NO_COMPRESSION: HeaderName = HeaderName::from_static("x-no-compression");
static X_CACHE: HeaderName = HeaderName::from_static("x-cache");
static X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Values, one behind the other.
#[derive(Clone, Debug)]
struct Written(ArrayString<ROOM>);

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::headers::rate_limit::Quota;
    use crate::rate::{Admission, Limit, State, Verdict};
    use alloc::string::String;
    use alloc::vec::Vec;
    use core::time::Duration;

    /// Makes the same changes one by one and together.
    fn both(changes: impl Fn(&mut dyn FnMut(Change, &'static str, &str))) -> HeaderMap {
        let mut start = HeaderMap::new();
        start.insert("age", HeaderValue::from_static("1"));
        start.insert("expires", HeaderValue::from_static("0"));
        let (mut single, mut together) = (start.clone(), start);
        let mut edits = Edits::of(&mut together);
        changes(&mut |change, name, value| {
            make(&mut single, change, name, value);
            make(&mut edits, change, name, value);
        });
        drop(edits);
        assert_eq!(single, together);
        together
    }

    fn make(fields: &mut impl FieldsMut, change: Change, name: &'static str, value: &str) {
        match change {
            Change::Set => fields.set_display(name, &value),
            Change::Append => fields.append(name, value),
            Change::Remove => fields.remove(name),
        }
    }

    #[test]
    fn changes_made_together_are_those_made_one_by_one() {
        let headers = both(|change| {
            change(Change::Set, "age", "42");
            change(Change::Append, "cache-status", "tidegate-origin; hit");
            change(Change::Append, "cache-status", "");
            change(Change::Remove, "expires", "");
            change(Change::Set, "x-cache", "HIT");
        });
        assert_eq!(headers.get_all("cache-status").iter().count(), 2);
        assert_eq!(headers["age"], "42");
        assert!(!headers.contains_key("expires"));
    }

    #[test]
    fn what_does_not_fit_is_made_all_the_same_and_in_order() {
        let long = "x".repeat(ROOM + 1);
        both(|change| {
            change(Change::Append, "cache-status", "first");
            change(Change::Append, "cache-status", &long);
            change(Change::Append, "cache-status", &long[2..]);
            for _ in 0..40 {
                change(Change::Append, "cache-status", "more");
            }
        });
    }

    #[test]
    fn a_value_that_no_field_may_hold_is_left_out() {
        let headers = both(|change| {
            change(Change::Set, "age", "1\r\nset-cookie: a=b");
            change(Change::Append, "x-cache", "a\nb");
            change(Change::Set, "via", "fine");
        });
        assert_eq!(headers.len(), 2, "expires and via");
    }

    #[test]
    fn r7_what_a_hop_behind_says_stays_where_it_is_stricter() {
        let limit = Limit::new("ours", core::num::NonZeroU32::MIN, Duration::from_secs(60));
        let (reset, next_state) = (Duration::from_secs(9), State::Paced { until: 0 });
        let mut verdict = Verdict::default();
        verdict.add(&limit, Ok(Admission::Allow { remaining: 5, reset, next_state }));
        for (theirs, told) in [(4, "\"theirs\";r=4;t=1"), (6, "\"ours\";r=5;t=9")] {
            let theirs = alloc::format!("\"theirs\";r={theirs};t=1");
            let mut fields = HeaderMap::new();
            fields.insert("ratelimit", theirs.parse().unwrap());
            let quota = Quota::told(&fields);
            crate::respond::rate_limit(&mut fields, &verdict, quota);
            assert_eq!(fields.first("ratelimit"), Some(told.as_bytes()));
        }
    }

    #[test]
    fn r7_a_quota_that_nobody_knows_is_not_made_up() {
        let limit = Limit::new("ours", core::num::NonZeroU32::MIN, Duration::from_secs(60));
        let tell = |admission, theirs: Option<&'static str>| {
            let mut verdict = Verdict::default();
            verdict.add(&limit, Ok(admission));
            let mut fields = HeaderMap::new();
            fields.extend(theirs.map(|text| {
                (http::header::HeaderName::from_static("ratelimit"), text.parse().unwrap())
            }));
            let quota = Quota::told(&fields);
            crate::respond::rate_limit(&mut fields, &verdict, quota);
            let mut said: Vec<_> = fields.iter().map(|(name, _)| name.as_str().into()).collect();
            said.sort();
            (said, fields.first("ratelimit").map(<[u8]>::to_vec))
        };
        let strings = |names: &[&str]| names.iter().map(|n| String::from(*n)).collect::<Vec<_>>();
        let policy = strings(&["ratelimit-policy", "x-ratelimit-limit"]);
        assert_eq!(tell(Admission::Pass, None), (policy, None));
        // What a hop behind knows is more than we do.
        let theirs = "\"theirs\";r=9;t=1";
        let kept = (strings(&["ratelimit"]), Some(theirs.into()));
        assert_eq!(tell(Admission::Pass, Some(theirs)), kept);
        let no = crate::rate::colo::admission(&limit, false, Timestamp::EPOCH);
        assert_eq!(tell(no, None).1.as_deref(), Some(&b"\"ours\";r=0;t=60"[..]));
    }
}
