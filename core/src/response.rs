//! What the core wants to know of an answer from upstream, read in one pass over its fields.

use crate::headers::range::ContentRange;
use crate::headers::targeted::TargetedField;
use crate::headers::{Fields, ResponseDirectives, Vary, http_date};
use crate::tier::{SURROGATE_DEVICE, Tier};
use crate::time::Timestamp;

/// An answer as the questions of this crate see it.
#[derive(Debug)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// Cache-Control, or the targeted field in place of it (RFC 9213).
    pub directives: ResponseDirectives,
    /// Expires, unless a targeted field takes its place; `Some(None)` for one that is no date, which means expired (RFC 9111 §5.3).
    pub expires: Option<Option<Timestamp>>,
    /// Date, if it can be read.
    pub date: Option<Timestamp>,
    /// Age in seconds, if it can be read (RFC 9111 §5.1).
    pub age: Option<u32>,
    /// ETag, raw.
    pub etag: Option<&'a [u8]>,
    /// Last-Modified, if it can be read.
    pub last_modified: Option<Timestamp>,
    /// Vary of all lines.
    pub vary: Vary,
    /// Set-Cookie is present.
    pub sets_cookie: bool,
    /// Content-Location, raw.
    pub content_location: Option<&'a [u8]>,
    /// Which part a 206 has.
    pub content_range: Option<ContentRange>,
}

impl<'a> Response<'a> {
    /// Reads the fields of an answer that arrived at `received_at`, as `tier` heeds them.
    /// Linear in their number.
    pub fn read(
        tier: Tier,
        status: u16,
        fields: &'a (impl Fields + ?Sized),
        received_at: Timestamp,
    ) -> Self {
        let mut response = Self {
            status,
            directives: ResponseDirectives::default(),
            expires: None,
            date: None,
            age: None,
            etag: None,
            last_modified: None,
            vary: Vary::Nothing,
            sets_cookie: false,
            content_location: None,
            content_range: None,
        };
        let (mut varies, mut is_targeted) = (false, false);
        for (name, value) in fields.lines() {
            match name {
                "cache-control" => response.directives.read_line(value),
                // Of several Expires, Date or Age lines the first counts (§4.2.1, §5.1).
                "expires" => {
                    response.expires.get_or_insert_with(|| first_date(value, received_at));
                }
                "date" => response.date = response.date.or(http_date::parse(value, received_at)),
                "age" => response.age = response.age.or_else(|| age(value)),
                "etag" => response.etag = response.etag.or(Some(value)),
                "last-modified" => {
                    response.last_modified =
                        response.last_modified.or(http_date::parse(value, received_at));
                }
                "vary" => varies = true,
                "set-cookie" => response.sets_cookie = true,
                "content-location" => response.content_location = Some(value),
                "content-range" if status == 206 => {
                    response.content_range = ContentRange::parse(value);
                }
                "cdn-cache-control" | "cloudflare-cdn-cache-control" | "surrogate-control" => {
                    is_targeted = true;
                }
                _ => {}
            }
        }
        if varies {
            response.vary = Vary::parse(fields.lines_of("vary"));
        }
        if is_targeted && let Some(directives) = targeted(tier, fields) {
            response.directives = directives;
            response.expires = None;
        }
        response
    }

    /// Whether a later request can ask if this answer is still good (RFC 9111 §4.3.1).
    pub fn has_validator(&self) -> bool {
        self.etag.is_some() || self.last_modified.is_some()
    }
}

/// Expires (RFC 9111 §5.3): of several the first. Whoever had it before may have joined the lines
/// (RFC 9110 §5.3), and dates hold commas themselves.
fn first_date(value: &[u8], now: Timestamp) -> Option<Timestamp> {
    let commas = value.iter().enumerate().filter(|(_, byte)| **byte == b',');
    let ends = core::iter::once(value.len()).chain(commas.map(|(at, _)| at));
    ends.filter_map(|end| value.get(..end)).find_map(|begin| http_date::parse(begin, now))
}

/// The directives of an answer with these fields that `tier` heeds: Cache-Control, or the targeted
/// field in place of it.
pub fn directives(tier: Tier, fields: &(impl Fields + ?Sized)) -> ResponseDirectives {
    targeted(tier, fields)
        .unwrap_or_else(|| ResponseDirectives::parse(fields.lines_of("cache-control")))
}

/// The first field of the target list that is there and can be read (RFC 9213 §2.2).
fn targeted(tier: Tier, fields: &(impl Fields + ?Sized)) -> Option<ResponseDirectives> {
    let read = |field: &TargetedField| field.read(fields, SURROGATE_DEVICE);
    tier.targets().iter().find_map(read)
}

/// Age (RFC 9111 §5.1): of a list the first member, if it is a delta-seconds.
fn age(value: &[u8]) -> Option<u32> {
    let first = crate::headers::list::tokens(value).next()?;
    crate::headers::cache_control::delta_seconds(first)
}
