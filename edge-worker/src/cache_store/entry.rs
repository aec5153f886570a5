//! A stored answer as it lies in the Cache API: with its own fields, but for the few which the
//! cache reads or rewrites, and with all of them once more in a field of ours, beside our facts.

use core::cell::OnceCell;
use core::ops::Deref;
use core::str;
use std::rc::Rc;

use tidegate_core::forward::is_stored;
use tidegate_core::headers::vary::VariantSignature;
use tidegate_core::headers::{Fields, Vary};
use tidegate_core::invalidate::Tag;
use tidegate_core::reuse::Answer;
use tidegate_core::{Stored, Tier, Timestamp, response};
use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::JsValue;
use worker::web_sys;

use crate::connection;
use crate::edits::Edits;
use crate::head::{Head, ResponseHead};
use crate::hex;
use crate::platform::{self, discard};

/// All that is known of the answer, its own head included, in one field: to read one costs the
/// same whatever stands in it. It also tells one put from another.
pub(super) const ENTRY: &str = "tidegate-entry";
/// On an answer whose own fields on caches go by other names, see [`masked`].
const MASKED: &str = "tidegate-masked";
/// Before the name of a field of an answer that is masked.
const KEPT: &str = "tidegate-kept-";
/// Bytes of all tags that Cloudflare reads.
const CACHE_TAG_FIELD_MAX: usize = 16_384;
/// Between that, with the line's number, and the name: what cannot be joined to one line.
const LINE: char = '.';

/// What the cache has beside the fields of the answer, or in their place.
const BESIDE: [&str; 7] =
    ["cache-control", "content-length", "date", "age", "cf-cache-status", "cache-tag", ENTRY];

/// A stored answer, taken out.
pub(crate) struct Entry {
    pub(super) kept: Rc<Kept>,
    pub(crate) source: Source,
}

/// Where the body of a stored answer comes from.
pub(crate) enum Source {
    /// As the cache gave it; the body is unread.
    Cache(web_sys::Response),
    /// Out of this isolate's memory.
    Memory(Uint8Array),
}

/// A stored answer without its body.
pub(crate) struct Kept {
    /// Where it lies.
    pub(crate) url: String,
    /// The fields of the answer.
    pub(crate) fields: Head,
    /// What is known of it besides.
    pub(crate) stored: Stored,
    /// The origin's tag, where that in the fields is ours.
    pub(crate) origin_tag: Option<String>,
    /// When it was asked for: what is voided later voids it.
    pub(crate) asked_at: Timestamp,
    /// Which variants belong to it, if it is the first.
    pub(super) generation: Timestamp,
    /// The names by which it can be voided.
    pub(super) names: Vec<String>,
    pub(super) variant: String,
    /// The fields as the platform has them, once they were wanted more than once.
    prepared: OnceCell<web_sys::Headers>,
}

/// The fields by which the origin tells a stored answer from others, as it gave them.
pub(crate) type Validators<'a> = Vec<(&'a str, &'a [u8])>;

/// What is known of an answer to be stored, besides its own head.
pub(crate) struct Facts<'a> {
    /// What the core remembers of it.
    pub(crate) stored: &'a Stored,
    /// The origin's tag, if the one in its head is a weakened one.
    pub(crate) origin_tag: Option<&'a str>,
    /// Which variant it is.
    pub(crate) variant: VariantSignature,
    /// When it was asked for, or confirmed.
    pub(crate) asked_at: Timestamp,
    /// The variants that it belongs with.
    pub(crate) generation: Timestamp,
    /// The names by which it can be voided, see [`super::voided`].
    pub(crate) names: Vec<String>,
    /// The tags among them, for a purge of the zone by tag.
    pub(crate) tags: &'a [Tag],
}

impl Entry {
    /// `None` for what this version did not put there.
    pub(crate) fn read(url: &str, response: web_sys::Response) -> Option<Self> {
        let record = platform::field(&response, ENTRY)?;
        let mut chunks = Chunks(&record);
        let stored = Stored::from_text(chunks.next()?)?;
        let variant = chunks.next()?.into();
        let mut time = || Some(Timestamp::from_millis(chunks.next()?.parse().ok()?));
        let (asked_at, generation) = (time()?, time()?);
        let origin_tag = chunks.next().map(str::to_owned).filter(|tag| !tag.is_empty());
        let names = chunks.next()?.split(' ').filter(|name| !name.is_empty());
        let names = names.map(str::to_owned).collect();
        let fields = Head::of_lines(chunks);
        let (url, prepared) = (url.into(), OnceCell::new());
        let kept = Kept {
            url,
            fields,
            stored,
            origin_tag,
            asked_at,
            generation,
            names,
            variant,
            prepared,
        };
        Some(Self { kept: Rc::new(kept), source: Source::Cache(response) })
    }

    /// Lets go of the body, which nobody will read.
    pub(crate) fn discard(&self) {
        if let Source::Cache(response) = &self.source {
            discard(response);
        }
    }

    /// Puts into `head` what makes a copy of the fields that the platform has the answer's own: to
    /// copy them is quicker than to write them.
    pub(crate) fn begin(&self, head: &mut Edits) {
        if !self.is_from_memory() {
            for name in BESIDE {
                head.drop(name);
            }
            head.add_all(self.fields.lines().filter(|(name, _)| is_the_caches(name)));
        }
    }

    /// An answer with a copy of those fields, edited, and with `body`, or else the stored one.
    pub(crate) fn respond(
        &self,
        code: u16,
        body: Option<JsValue>,
        edits: &str,
    ) -> Result<web_sys::Response, JsValue> {
        match (&self.source, body) {
            (Source::Cache(stored), None) => platform::respond_from(stored, code, edits),
            (Source::Cache(stored), Some(body)) => {
                platform::respond_copied(code, &body, &stored.headers(), edits)
            }
            (Source::Memory(_), body) => {
                let body = body.unwrap_or_else(|| self.source.body());
                platform::respond_copied(code, &body, self.prepared(), edits)
            }
        }
    }

    /// Whether a field of this name may be among those that were copied.
    pub(crate) fn may_be_copied(&self, name: &str) -> bool {
        BESIDE.contains(&name) || self.fields.first(name).is_some()
    }

    /// Whether it came out of this isolate's memory.
    pub(crate) fn is_from_memory(&self) -> bool {
        matches!(self.source, Source::Memory(_))
    }
}

impl Source {
    /// The body for one answer: a stream, bytes, or nothing.
    pub(crate) fn body(&self) -> JsValue {
        match self {
            Self::Cache(response) => response.body().map_or(JsValue::NULL, JsValue::from),
            Self::Memory(bytes) if bytes.length() == 0 => JsValue::NULL,
            Self::Memory(bytes) => bytes.into(),
        }
    }

    /// A response with this body, to be copied or cut.
    pub(crate) fn response(&self) -> Option<web_sys::Response> {
        match self {
            Self::Cache(response) => Some(Clone::clone(response)),
            Self::Memory(_) => platform::respond_with(200, &self.body(), "").ok(),
        }
    }
}

impl Deref for Entry {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.kept
    }
}

impl Kept {
    /// What the origin is asked by whether this answer is still good (RFC 9111 §4.3.1).
    pub(crate) fn validators(&self) -> Validators<'_> {
        let is_validator =
            |(name, _): &(&str, &[u8])| matches!(*name, "etag" | "last-modified" | "date");
        let as_given = |(name, value)| match &self.origin_tag {
            Some(tag) if name == "etag" => (name, tag.as_bytes()),
            _ => (name, value),
        };
        self.fields.lines().filter(is_validator).map(as_given).collect()
    }

    /// How long the stored body is, where that is known.
    pub(crate) fn body_len(&self) -> Option<usize> {
        match self.stored.part {
            Some(part) => usize::try_from(part.last - part.first + 1).ok(),
            None => self.fields.text("content-length")?.parse().ok(),
        }
    }

    /// Out of memory an answer comes again and again, so that its head is made ready once.
    fn prepared(&self) -> &web_sys::Headers {
        self.prepared.get_or_init(|| {
            let mut head = Edits::default();
            head.add_all(self.fields.lines());
            platform::prepared(head.as_str())
        })
    }

    /// Which request fields chose this answer.
    pub(crate) fn vary(&self) -> Vary {
        Vary::parse(self.fields.lines_of("vary"))
    }

    /// Whether the answer is for requests with these fields (RFC 9111 §4.1).
    pub(crate) fn suits(&self, request: &impl Fields) -> bool {
        hex::encode(self.vary().signature(request).as_bytes()) == self.variant
    }
}

impl Answer for Entry {
    fn stored(&self) -> &Stored {
        &self.stored
    }
}

/// The head to store: `fields` of the answer, and what is known of it.
///
/// A body is decoded when it is stored: what the platform would do with an encoded one
/// depends on who reads it, and some readers encode it a second time. So the coding goes,
/// with the length, and what was a strong validator of the coded bytes becomes a weak one. The
/// origin is still asked by its own.
pub(crate) fn head(fields: &impl Fields, facts: &Facts<'_>, now: Timestamp) -> Edits {
    let mut head = Edits::default();
    let mut origin_tag = facts.origin_tag;
    let directives = response::directives(Tier::Edge, fields);
    let is_coded = is_coded(fields);
    let mut own = String::new();
    for (name, value) in fields.lines() {
        let Ok(value) = str::from_utf8(value) else { continue };
        let mut weakened = None;
        match name {
            "content-encoding" | "content-length" if is_coded => continue,
            "etag" if is_coded && !value.starts_with("W/") => {
                weakened = Some(format!("W/{value}"));
                origin_tag = Some(value);
            }
            _ if !is_stored(name, &directives)
                || connection::ends(fields, name)
                || name.starts_with("tidegate-") =>
            {
                continue;
            }
            _ => {}
        }
        let value = weakened.as_deref().unwrap_or(value);
        if !is_the_caches(name) {
            head.add(name, value);
        }
        put_chunk(&mut own, &[name, ":", value]);
    }
    let Facts { stored, variant, asked_at, generation, names, .. } = facts;
    let lifetime = stored.useful_until().since(now).as_secs().max(1);
    head.add("cache-control", &format!("max-age={lifetime}"));
    let tags = cache_tag(facts.tags);
    if !tags.is_empty() {
        head.add("cache-tag", &tags);
    }
    let mut record = String::with_capacity(own.len() + 256);
    for fact in [
        &*stored.to_text(),
        &hex::encode(variant.as_bytes()),
        &asked_at.as_millis().to_string(),
        &generation.as_millis().to_string(),
        origin_tag.unwrap_or_default(),
        &names.join(" "),
    ] {
        put_chunk(&mut record, &[fact]);
    }
    record.push_str(&own);
    head.add(ENTRY, &record);
    head
}

/// Writes `LENGTH:TEXT`, of which any number may stand behind each other.
fn put_chunk(record: &mut String, parts: &[&str]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    record.push_str(&length.to_string());
    record.push(':');
    parts.iter().for_each(|part| record.push_str(part));
}

/// The chunks of a record, until one is not as [`put_chunk`] writes it.
struct Chunks<'a>(&'a str);

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_once(':')?;
        let (chunk, rest) = rest.split_at_checked(length.parse().ok()?)?;
        self.0 = rest;
        Some(chunk)
    }
}

/// An answer that no cache may keep, as it passes one: its own words on that by other names.
pub(crate) fn masked(
    response: &web_sys::Response,
    head: &ResponseHead,
) -> Option<web_sys::Response> {
    let mut edits = Edits::default();
    let caches = |(name, _): &(&str, &str)| is_the_caches(name) && *name != "content-length";
    for (line, (name, value)) in head.fields().pairs().filter(caches).enumerate() {
        edits.drop(name);
        edits.add(&format!("{KEPT}{line}{LINE}{name}"), value);
    }
    edits.add("cache-control", "no-store");
    edits.add(MASKED, "1");
    platform::respond_like(response, response.body().as_ref(), edits.as_str()).ok()
}

/// An answer as it was before it was masked; `None` if it never was.
pub(crate) fn unmasked(masked: &web_sys::Response) -> Option<web_sys::Response> {
    let head = ResponseHead::read(masked);
    head.fields().text(MASKED)?;
    let mut edits = Edits::default();
    edits.drop(MASKED);
    edits.drop("cache-control");
    for (name, value) in head.fields().pairs() {
        let own = name.strip_prefix(KEPT).and_then(|kept| kept.split_once(LINE));
        if let Some((_, own)) = own {
            edits.drop(name);
            edits.add(own, value);
        }
    }
    platform::respond_like(masked, masked.body().as_ref(), edits.as_str()).ok()
}

/// As many of the tags as a field can hold that Cloudflare still reads.
fn cache_tag(tags: &[Tag]) -> String {
    let mut field = String::new();
    for tag in tags.iter().filter_map(Tag::in_cache_tag) {
        if field.len() + tag.len() >= CACHE_TAG_FIELD_MAX {
            break;
        }
        if !field.is_empty() {
            field.push(',');
        }
        field.push_str(tag);
    }
    field
}

/// Whether the platform decodes a body with this head when it is read: other codings, and
/// other spellings of these, it leaves alone.
pub(crate) fn is_coded(fields: &impl Fields) -> bool {
    matches!(fields.first("content-encoding"), Some(b"gzip" | b"br"))
}

/// Whether the Cache API decides by this field, changes it, or adds it: one in a stored head is not
/// the answer's.
fn is_the_caches(name: &str) -> bool {
    matches!(
        name,
        "cache-control"
            | "cache-tag"
            | "cdn-cache-control"
            | "cloudflare-cdn-cache-control"
            | "expires"
            | "pragma"
            | "date"
            | "age"
            | "cf-cache-status"
            | "content-length"
            | "content-range"
            | "set-cookie"
            | ENTRY
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    /// Fresh for 60 s, of use on errors for 300 s.
    const FACTS: Stored = Stored {
        status: 200,
        received_at: NOW,
        initial_age_ms: 0,
        fresh_until: Timestamp::from_secs(1_795_000_060),
        serve_while_refreshing_until: Timestamp::from_secs(1_795_000_060),
        serve_on_error_until: Timestamp::from_secs(1_795_000_300),
        forbids_stale: false,
        always_revalidate: false,
        has_validator: false,
        part: None,
    };

    fn stored_head(fields: &[(&str, &str)]) -> String {
        tagged_head(fields, &[])
    }

    fn tagged_head(fields: &[(&str, &str)], tags: &[Tag]) -> String {
        let fields = fields.to_vec();
        let variant = Vary::Nothing.signature(&fields);
        let facts = Facts {
            stored: &FACTS,
            origin_tag: None,
            variant,
            asked_at: NOW,
            generation: NOW,
            names: Vec::new(),
            tags,
        };
        head(&fields, &facts, NOW).as_str().into()
    }

    /// What the record in a stored head says of the answer's own fields.
    fn own(head: &str) -> Vec<String> {
        let record = head.lines().find_map(|line| line.strip_prefix("+tidegate-entry:")).unwrap();
        Chunks(record).skip(6).map(str::to_owned).collect()
    }

    fn other(head: &str) -> Vec<&str> {
        head.lines().filter(|line| !line.starts_with("+tidegate-entry:")).collect()
    }

    #[test]
    fn c4_the_cache_is_told_all_tags_that_it_can_purge_by_and_the_client_those_of_the_origin() {
        let tags = ["team:1", "with space", "", "team:2"].map(Tag::named);
        let head = tagged_head(&[("cache-tag", "team:2")], &tags);
        assert_eq!(other(&head), ["+cache-control:max-age=300", "+cache-tag:team:1,team:2"]);
        assert_eq!(own(&head), ["cache-tag:team:2"]);
    }

    #[test]
    fn the_cache_is_told_how_long_the_answer_is_of_use_and_nothing_else() {
        let fields = [
            ("cache-control", "private, s-maxage=1"),
            ("expires", "0"),
            ("date", "now"),
            ("age", "5"),
            ("x-own", "1"),
        ];
        let head = stored_head(&fields);
        assert_eq!(other(&head), ["+x-own:1", "+cache-control:max-age=300"]);
        let but_age = ["cache-control:private, s-maxage=1", "expires:0", "date:now", "x-own:1"];
        assert_eq!(own(&head), but_age);
    }

    #[test]
    fn what_is_for_one_connection_or_one_client_is_not_stored() {
        let head = stored_head(&[
            ("connection", "keep-alive, X-Hop"),
            ("keep-alive", "timeout=5"),
            ("x-hop", "1"),
            ("ratelimit", "\"p\";r=1;t=1"),
            ("tidegate-entry", "{}"),
        ]);
        assert_eq!(other(&head), ["+cache-control:max-age=300"]);
        assert!(own(&head).is_empty());
    }

    #[test]
    fn every_cookie_keeps_a_line_of_its_own() {
        let head = stored_head(&[("set-cookie", "a=1"), ("set-cookie", "b=2")]);
        assert_eq!(own(&head), ["set-cookie:a=1", "set-cookie:b=2"]);
    }

    #[test]
    fn a_coded_body_is_stored_decoded_under_a_weak_validator() {
        let coded = [("content-encoding", "gzip"), ("content-length", "9"), ("etag", "\"1\"")];
        let head = stored_head(&coded);
        assert_eq!(other(&head), ["+etag:W/\"1\"", "+cache-control:max-age=300"]);
        assert_eq!(own(&head), ["etag:W/\"1\""]);
        assert!(head.contains("3:\"1\""), "the origin is asked by its own");
        let raw = [("content-encoding", "zstd"), ("content-length", "9"), ("etag", "\"1\"")];
        let raw_fields = ["content-encoding:zstd", "content-length:9", "etag:\"1\""];
        assert_eq!(own(&stored_head(&raw)), raw_fields);
    }

    #[test]
    fn a_record_falls_into_its_chunks_whatever_stands_in_them() {
        let mut record = String::new();
        let texts = ["", "a:b", "3:xyz", "ü ,\"", "9"];
        texts.iter().for_each(|text| put_chunk(&mut record, &[text]));
        assert!(Chunks(&record).eq(texts));
        for broken in ["", "x", "1", "-1:a", "2:a", "1:ü"] {
            assert_eq!(Chunks(broken).next(), None, "{broken}");
        }
    }
}
