//! What the plugin server has to offer.

use std::sync::LazyLock;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::generate;

/// One file of a plugin, complete in memory.
#[derive(Debug)]
pub struct Bundle {
    /// Where it is served.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its strong entity tag, quotes included: the same bytes, the same tag.
    pub etag: String,
    /// Its bytes, the same in every run.
    pub bytes: Bytes,
    /// Its bytes once more, gzipped, if the server negotiates for this file.
    pub gzip: Option<Bytes>,
}

/// All bundles were built on the same day.
pub(super) const LAST_MODIFIED: &str = "Tue, 06 Jan 2026 08:00:00 GMT";

/// Every bundle, from small to large and of every kind a plugin brings.
pub fn bundles() -> &'static [Bundle] {
    static BUNDLES: LazyLock<Vec<Bundle>> = LazyLock::new(|| {
        const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
        vec![
            bundle("/plugins/widget.js", JAVASCRIPT, generate::javascript("widget", 2 * 1024)),
            bundle("/plugins/app.js", JAVASCRIPT, generate::javascript("app", 60 * 1024)),
            bundle("/plugins/vendor.js", JAVASCRIPT, generate::javascript("vendor", 1024 * 1024)),
            negotiated("/plugins/chart.js", JAVASCRIPT, generate::javascript("chart", 20 * 1024)),
            bundle("/plugins/app.js.map", "application/json", generate::source_map("app.js")),
            bundle("/plugins/manifest.json", "application/json", generate::manifest()),
            bundle("/plugins/app.css", "text/css; charset=utf-8", generate::css(8 * 1024)),
            bundle("/plugins/logo.svg", "image/svg+xml", generate::svg()),
            bundle("/plugins/icon.png", "image/png", generate::png(64)),
            bundle("/plugins/inter.woff2", "font/woff2", generate::font(24 * 1024)),
        ]
    });
    &BUNDLES
}

pub(super) fn find(path: &str) -> Option<&'static Bundle> {
    bundles().iter().find(|bundle| bundle.path == path)
}

fn bundle(path: &'static str, content_type: &'static str, bytes: Vec<u8>) -> Bundle {
    let digest = Sha256::digest(&bytes);
    let tag: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Bundle { path, content_type, etag: format!("\"{tag}\""), bytes: bytes.into(), gzip: None }
}

fn negotiated(path: &'static str, content_type: &'static str, bytes: Vec<u8>) -> Bundle {
    let gzip = generate::gzip(&bytes);
    Bundle { gzip: Some(gzip.into()), ..bundle(path, content_type, bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundle_has_its_own_path_and_tag() {
        let paths: std::collections::BTreeSet<_> = bundles().iter().map(|b| b.path).collect();
        let tags: std::collections::BTreeSet<_> = bundles().iter().map(|b| &b.etag).collect();
        assert_eq!((paths.len(), tags.len()), (bundles().len(), bundles().len()));
    }

    #[test]
    fn sizes_are_what_the_name_promises() {
        let size = |path| find(path).unwrap().bytes.len();
        assert_eq!(size("/plugins/widget.js"), 2 * 1024);
        assert_eq!(size("/plugins/app.js"), 60 * 1024);
        assert_eq!(size("/plugins/vendor.js"), 1024 * 1024);
    }
}
