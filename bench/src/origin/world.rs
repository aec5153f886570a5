//! The kinds of requests that are measured.

use crate::servers::{BARE, HAPROXY, NGINX, TIDEGATE, VARNISH};

pub(crate) const HIT: &str = "HIT, 1 KB";
pub(crate) const MANY: &str = "HIT, 1 KB, 100,000 of them";
pub(crate) const LARGE: &str = "HIT, 100 KB";
pub(crate) const MISS: &str = "MISS, 1 KB";

/// A kind of request.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Behind it stands a number.
    pub(crate) path: &'static str,
    /// So many URLs are asked for in turns; none where each is asked for once.
    pub(crate) urls: u32,
    pub(crate) fields: &'static [(&'static str, &'static str)],
    pub(crate) status: u16,
    pub(crate) is_compressed: bool,
    /// Who has it.
    of: &'static [&'static str],
}

const ALL: &[&str] = &[TIDEGATE, BARE, NGINX, HAPROXY, VARNISH];
/// The tag of all answers, see `services`.
pub(crate) const TAG: &str = "\"33a64df551425fcc55e4d42a148795d9f25f89d4\"";

const fn hit(name: &'static str, path: &'static str, urls: u32) -> Row {
    Row { name, path, urls, fields: &[], status: 200, is_compressed: false, of: ALL }
}

pub(crate) const ROWS: &[Row] = &[
    hit(HIT, "/bytes/1024/one-", 1),
    hit(MANY, "/bytes/1024/many-", 100_000),
    hit(LARGE, "/bytes/102400/one-", 1),
    hit("HIT, 100 KB, 1,000 of them", "/bytes/102400/many-", 1_000),
    hit("HIT, 1 MB", "/bytes/1048576/one-", 1),
    hit("HIT, 1 MB, 100 of them", "/bytes/1048576/many-", 100),
    Row {
        fields: &[("If-None-Match", TAG)],
        status: 304,
        // `wrk` waits for the body whose length HAProxy says in its 304.
        of: &[TIDEGATE, BARE, NGINX, VARNISH],
        ..hit("304", "/bytes/1024/same-", 1)
    },
    Row {
        fields: &[("Accept-Encoding", "gzip")],
        is_compressed: true,
        of: &[TIDEGATE, NGINX, HAPROXY, VARNISH],
        ..hit("HIT, 100 KB of text, compressed", "/text/102400/one-", 1)
    },
    hit(MISS, "/bytes/1024/new-", 0),
    Row { status: 429, of: &[TIDEGATE, NGINX, HAPROXY], ..hit("429", "/limited/1024/one-", 1) },
];

impl Row {
    pub(crate) fn is_for(&self, server: &str) -> bool {
        self.of.contains(&server)
    }

    /// Whether what is asked for is stored before.
    pub(crate) fn is_stored(&self) -> bool {
        self.urls > 0
    }

    /// Whether so many requests were refused, and the origin was asked for so many, as should be:
    /// for each miss, and for no hit but what is renewed meanwhile.
    pub(crate) fn is_as_expected(&self, requests: u64, refused: u64, asked: u64) -> bool {
        let asks = match self.is_stored() {
            true => asked <= requests / 1000,
            false => asked >= requests - requests / 100,
        };
        asks && match self.status {
            429 => refused >= requests - requests / 1000,
            _ => refused == 0,
        }
    }
}
