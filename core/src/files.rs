//! Files as answers: which file of a folder a request is for, and in which coding.
//!
//! No name that leaves this module has an empty segment, `.` or `..`, a separator within a
//! segment, or a NUL; whether what lies there leaves the folder by a link is the shell's to see.

use alloc::vec::Vec;

use crate::compress::OPT_OUT;
use crate::headers::Fields;
use crate::headers::accept::prefers_html;
use crate::headers::accept_encoding::{AcceptEncoding, Coding};
use crate::policy::Folder;
use crate::target::percent_decoded;

/// The only name with a dot in front that is given, and only at the top (RFC 8615).
const WELL_KNOWN: &[u8] = b".well-known";

/// The coded files that may lie beside a file: of codings that a client likes as well, the
/// earlier is taken.
const BESIDE: [(Coding, &str); 3] =
    [(Coding::Br, ".br"), (Coding::Zstd, ".zst"), (Coding::Gzip, ".gz")];

/// A file's name within its folder, decoded: `assets/app.js`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Vec<u8>);

impl Name {
    /// The file that `path`, normalised and without query, is for; a path that ends with `/` is
    /// for the index there. `None` where no file is ever given: a path that could be read in two
    /// ways, or that has a name with a dot in front, but for `/.well-known/`.
    pub fn of(folder: &Folder, path: &str) -> Option<Self> {
        let mut name = Vec::with_capacity(path.len() + folder.index.len());
        let (segments, is_folder) = match path.strip_prefix('/')? {
            "" => ("", true),
            rest => rest.strip_suffix('/').map_or((rest, false), |rest| (rest, true)),
        };
        for (at, segment) in segments.split('/').enumerate().filter(|_| !segments.is_empty()) {
            let segment = percent_decoded(segment.as_bytes())?;
            let is_hidden = segment.first() == Some(&b'.') && !(at == 0 && segment == WELL_KNOWN);
            if segment.is_empty() || is_hidden || segment.iter().any(|b| b"/\\\0".contains(b)) {
                return None;
            }
            if at > 0 {
                name.push(b'/');
            }
            name.extend_from_slice(&segment);
        }
        if is_folder {
            if !name.is_empty() {
                name.push(b'/');
            }
            name.extend_from_slice(folder.index.as_bytes());
        }
        Some(Self(name))
    }

    /// The bytes, as the system wants them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The index of the folder of this name.
    #[must_use]
    pub fn index(&self, folder: &Folder) -> Self {
        Self([&self.0, &b"/"[..], folder.index.as_bytes()].concat())
    }

    /// The file beside this one that holds it in `coding`.
    #[must_use]
    pub fn coded(&self, coding: Coding) -> Self {
        let beside = BESIDE.iter().find(|(known, _)| *known == coding);
        Self([&self.0, beside.map_or("", |(_, suffix)| suffix).as_bytes()].concat())
    }
}

/// Whether pages that are no file are the fallback: to clients that prefer HTML, as people's
/// browsers do when they go somewhere, and not for what looks like a file. A missing script must
/// stay missing: HTML in its place breaks a page that is a release behind.
///
/// Where it depends on the client, the answer varies by Accept.
pub fn falls_back(request: &(impl Fields + ?Sized)) -> bool {
    prefers_html(request)
}

/// Whether the answer to `path`, normalised and without query, depends on the client where there is
/// no file.
pub fn may_fall_back(folder: &Folder, path: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    folder.fallback.is_some() && !last.contains('.')
}

/// The codings that a client likes better than none, the best first: a file in one of them goes
/// before the file itself.
pub fn codings<F: Fields + ?Sized>(request: &F) -> impl Iterator<Item = Coding> + use<F> {
    let accepted = match request.first(OPT_OUT) {
        None => AcceptEncoding::read(request),
        Some(_) => AcceptEncoding::default(),
    };
    let least = accepted.identity().unwrap_or(0);
    let mut liked = BESIDE.map(|(coding, _)| (accepted.weight(coding), coding));
    // Stable, so that of equals the earlier stays first.
    liked.sort_by_key(|(weight, _)| core::cmp::Reverse(*weight));
    liked.into_iter().filter(move |(weight, _)| *weight > 0 && *weight >= least).map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::policy::folder::INDEX;

    fn folder() -> Folder {
        Folder {
            path: "dist".into(),
            index: INDEX.into(),
            fallback: Some("/index.html".into()),
            precompressed: true,
        }
    }

    fn name(path: &str) -> Option<String> {
        Name::of(&folder(), path).map(|name| String::from_utf8(name.0).unwrap())
    }

    #[test]
    fn c7_a_path_names_a_file_or_the_index_of_a_folder() {
        for (path, expected) in [
            ("/", "index.html"),
            ("/app.js", "app.js"),
            ("/assets/app.js", "assets/app.js"),
            ("/docs/", "docs/index.html"),
            ("/a%20b.txt", "a b.txt"),
            ("/caf%C3%A9", "caf\u{e9}"),
            ("/.well-known/security.txt", ".well-known/security.txt"),
            ("/.well-known/", ".well-known/index.html"),
            ("/a;b=1", "a;b=1"),
            ("/a..b", "a..b"),
        ] {
            assert_eq!(name(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn c7_what_could_leave_the_folder_or_hides_in_it_is_never_given() {
        for path in [
            "",
            "app.js",
            "/../etc/passwd",
            "/%2e%2e/etc/passwd",
            "/..%2fetc%2fpasswd",
            "/a%2Fb",
            "/a%5Cb",
            "/a\\b",
            "/a%00.js",
            "//etc/passwd",
            "/a//b",
            "/a//",
            "/.",
            "/.env",
            "/%2eenv",
            "/.git/config",
            "/a/.htaccess",
            "/a/.well-known/x",
            "/.well-known/.secret",
            "/.well-knownx",
            "/%zz",
            "/%4",
        ] {
            assert_eq!(name(path), None, "{path}");
        }
    }

    #[test]
    fn c7_missing_assets_stay_missing() {
        let may = |path| may_fall_back(&folder(), path);
        for path in ["/", "/teams", "/teams/7", "/teams/", "/a.b/c"] {
            assert!(may(path), "{path}");
        }
        for path in ["/app.js", "/a/b.css", "/x.", "/v1.2/"] {
            assert!(!may(path), "{path}");
        }
        let none = Folder { fallback: None, ..folder() };
        assert!(!may_fall_back(&none, "/teams"));
        assert!(falls_back(&[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]));
        assert!(!falls_back(&[("accept", "*/*")]), "what scripts send");
    }

    #[test]
    fn coded_files_go_by_what_the_client_likes() {
        use Coding::{Br, Gzip, Zstd};
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", &[Br, Zstd, Gzip][..]),
            ("gzip;q=1.0, br;q=0.5", &[Gzip, Br]),
            ("identity, gzip;q=0.5", &[]),
            ("br;q=0, *", &[Zstd, Gzip]),
            ("", &[]),
        ] {
            let liked: Vec<Coding> = codings(&[("accept-encoding", accepted)]).collect();
            assert_eq!(liked, expected, "{accepted}");
        }
        let opted_out = [("accept-encoding", "br"), (OPT_OUT, "1")];
        assert_eq!(codings(&opted_out).count(), 0);
        let name = Name::of(&folder(), "/app.js").unwrap();
        assert_eq!(name.coded(Zstd).as_bytes(), b"app.js.zst");
        let docs = Name::of(&folder(), "/docs").unwrap();
        assert_eq!(docs.index(&folder()).as_bytes(), b"docs/index.html");
    }
}
