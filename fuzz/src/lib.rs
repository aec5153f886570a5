//! What the fuzz targets do with what they are given: not panicking is the least.

pub mod access_log;
pub mod cache;
/// The shim's grammar of HTTP/1.1 alone: its libraries would be instrumented for nothing.
#[path = "../../origin-shim/src/http1"]
pub mod http1 {
    pub mod chunked;
    pub mod framing;
    pub mod head;
    mod malformed;

    pub use malformed::Malformed;
}
pub mod key;
pub mod messages;
pub mod model;
pub mod parsers;
pub mod policy;
