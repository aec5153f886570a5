//! What the core wants to know of a request, read in one pass over its fields.

use crate::headers::{Fields, RequestDirectives};
use crate::host::{Host, Scheme};
use crate::method::Method;
use crate::target::Target;

/// A request as the questions of this crate see it.
#[derive(Debug)]
pub struct Request<'a, F: ?Sized> {
    /// The method.
    pub method: Method,
    /// The scheme that the client used.
    pub scheme: Scheme,
    /// The host it is for.
    pub host: &'a Host<'a>,
    /// The normalised target.
    pub target: &'a Target<'a>,
    /// The header section, for fields that only some policies look at.
    pub fields: &'a F,
    /// Cache-Control and Pragma.
    pub directives: RequestDirectives,
    /// The credential of the Authorization field.
    pub authorization: Option<&'a [u8]>,
    /// Range is present.
    pub has_range: bool,
    /// If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since or If-Range is present.
    pub is_conditional: bool,
    /// Content follows: a length other than zero, or Transfer-Encoding.
    pub has_body: bool,
    /// The connection is to be upgraded.
    pub is_upgrade: bool,
}

impl<'a, F: Fields + ?Sized> Request<'a, F> {
    /// Reads the fields of a request. Linear in their number; allocates nothing.
    pub fn read(
        method: Method,
        scheme: Scheme,
        host: &'a Host<'a>,
        target: &'a Target<'a>,
        fields: &'a F,
    ) -> Self {
        let mut request = Self {
            method,
            scheme,
            host,
            target,
            fields,
            directives: RequestDirectives::default(),
            authorization: None,
            has_range: false,
            is_conditional: false,
            has_body: false,
            is_upgrade: false,
        };
        let mut pragma = None;
        for (name, value) in fields.lines() {
            match name {
                "cache-control" => request.directives.read_line(value),
                "pragma" => pragma = Some(value),
                "authorization" => request.authorization = Some(value),
                "range" => request.has_range = true,
                "if-match"
                | "if-none-match"
                | "if-modified-since"
                | "if-unmodified-since"
                | "if-range" => request.is_conditional = true,
                "content-length" => request.has_body |= value.trim_ascii() != b"0",
                "transfer-encoding" => request.has_body = true,
                "upgrade" => request.is_upgrade = true,
                _ => {}
            }
        }
        if let Some(pragma) = pragma {
            request.directives.read_pragma(pragma);
        }
        request
    }
}
