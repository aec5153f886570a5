//! What the core wants to know of an answer from upstream, read in one pass over its fields.

use crate::headers::{Fields, ResponseDirectives, Vary, http_date};
use crate::time::Timestamp;

/// An answer as the questions of this crate see it.
#[derive(Debug)]
pub struct Response<'a> {
    /// The status code.
    pub status: u16,
    /// Cache-Control.
    pub directives: ResponseDirectives,
    /// Expires; `Some(None)` for one that is no date, which means expired (RFC 9111 §5.3).
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
    /// Content-Range is present: a part, whatever the status says.
    pub is_partial: bool,
}

impl<'a> Response<'a> {
    /// Reads the fields of an answer that arrived at `received_at`. Linear in their number.
    pub fn read(status: u16, fields: &'a (impl Fields + ?Sized), received_at: Timestamp) -> Self {
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
            is_partial: status == 206,
        };
        let mut varies = false;
        for (name, value) in fields.lines() {
            match name {
                "cache-control" => response.directives.read_line(value),
                // Of several Expires, Date or Age lines the first counts (§4.2.1, §5.1).
                "expires" => {
                    response.expires.get_or_insert_with(|| http_date::parse(value, received_at));
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
                "content-range" => response.is_partial = true,
                _ => {}
            }
        }
        if varies {
            response.vary = Vary::parse(fields.lines_of("vary"));
        }
        response
    }

    /// Whether a later request can ask if this answer is still good (RFC 9111 §4.3.1).
    pub fn has_validator(&self) -> bool {
        self.etag.is_some() || self.last_modified.is_some()
    }
}

/// Age (RFC 9111 §5.1): of a list the first member, if it is a delta-seconds.
fn age(value: &[u8]) -> Option<u32> {
    let first = crate::headers::list::members(value).next()?;
    crate::headers::cache_control::delta_seconds(first)
}
