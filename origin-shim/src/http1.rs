//! HTTP/1.1 by the letter (RFC 9112).

pub mod chunked;
pub mod framing;
pub mod head;
mod malformed;

pub use malformed::Malformed;
