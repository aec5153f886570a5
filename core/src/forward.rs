//! Which fields travel on (RFC 9110 §7.6.1) and which are stored (RFC 9111 §3.1, §3.2).

use alloc::boxed::Box;

use crate::headers::{Fields, ResponseDirectives, list};

/// Whether a field belongs to one connection and never travels on: those that RFC 9110
/// §7.6.1 lists. Fields named by Connection are besides: see [`connection_options`].
pub fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
    )
}

/// The names that the Connection lines of a message declare to be hop-by-hop, as they stand.
pub fn connection_options(fields: &(impl Fields + ?Sized)) -> impl Iterator<Item = &[u8]> {
    fields.lines_of("connection").flat_map(list::tokens)
}

/// Whether a client's field could make an upstream answer for another URL, host or method
/// than the one that is in the key; these never travel on (cache poisoning).
pub fn is_unkeyed_override(name: &str) -> bool {
    matches!(
        name,
        "x-forwarded-host"
            | "x-forwarded-server"
            | "x-forwarded-port"
            | "x-forwarded-prefix"
            | "x-forwarded-scheme"
            | "x-forwarded-path"
            | "x-original-url"
            | "x-original-host"
            | "x-original-uri"
            | "x-rewrite-url"
            | "x-host"
            | "x-http-method"
            | "x-http-method-override"
            | "x-method-override"
            | "x-forwarded-ssl"
            | "x-http-host-override"
            | "forwarded"
    )
}

/// Whether a field of an answer belongs to one exchange, so that it is not stored (RFC 9111
/// §3.1): the verdict of a limiter, and what each hop says anew.
pub fn is_never_stored(name: &str) -> bool {
    is_hop_by_hop(name)
        || matches!(
            name,
            "ratelimit"
                | "ratelimit-policy"
                | "x-ratelimit-limit"
                | "x-ratelimit-remaining"
                | "x-ratelimit-reset"
                | "age"
                | "x-cache"
        )
}

/// Whether a field is stored with an answer that says `directives`. What `no-cache="…"` names
/// may not be reused unconfirmed (RFC 9111 §5.2.2.4), what `private="…"` names not shared
/// (§5.2.2.7): neither is worth keeping.
pub fn is_stored(name: &str, directives: &ResponseDirectives) -> bool {
    let named = |fields: &[Box<str>]| fields.iter().any(|field| **field == *name);
    !is_never_stored(name)
        && !named(&directives.no_cache_fields)
        && !named(&directives.private_fields)
}

/// Whether a field describes the content of the answer it stands in, so that a 304, which has
/// none, goes without (RFC 9110 §15.4.5).
pub fn describes_content(name: &str) -> bool {
    matches!(
        name,
        "content-length" | "content-encoding" | "content-range" | "content-md5" | "content-type"
    )
}

/// Whether a 304 leaves a stored field as it is (RFC 9111 §3.2): what describes the stored
/// bytes, which did not travel again. An Age counts from the exchange that brought it, so that of
/// a 304 is the one to reckon with (§4.2.3).
pub fn is_kept_on_update(name: &str) -> bool {
    (is_never_stored(name) && name != "age")
        || matches!(name, "content-length" | "content-encoding" | "content-range" | "content-md5")
}
