//! Conditional requests (RFC 9110 §13) for representations with a strong tag.

use std::time::SystemTime;

use http::{HeaderMap, header};

/// Whether a GET or HEAD may be answered with 304 (§13.2.2, steps 3 and 4).
pub(super) fn not_modified(request: &HeaderMap, etag: &str, last_modified: &str) -> bool {
    let mut tags = request.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        // §13.1.3: If-Modified-Since counts only where If-None-Match is absent.
        return tags.any(|line| line.to_str().is_ok_and(|line| lists(line, etag)));
    }
    let since = request.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    match (since.and_then(date), date(last_modified)) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// Weak comparison (§8.8.3.2), as If-None-Match asks for. None of our tags
/// holds a comma, so splitting there cannot cut one of ours in two.
fn lists(line: &str, etag: &str) -> bool {
    line.trim() == "*"
        || line.split(',').any(|tag| {
            let tag = tag.trim();
            tag.strip_prefix("W/").unwrap_or(tag) == etag
        })
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETAG: &str = "\"a\"";
    const MODIFIED: &str = "Tue, 06 Jan 2026 08:00:00 GMT";

    fn asked(lines: &[(&'static str, &'static str)]) -> bool {
        let headers = lines
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        not_modified(&headers, ETAG, MODIFIED)
    }

    #[test]
    fn a_listed_tag_in_any_spelling_means_304() {
        for tags in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(asked(&[("if-none-match", tags)]), "{tags}");
        }
        assert!(!asked(&[("if-none-match", "\"b\"")]));
        assert!(!asked(&[]));
    }

    #[test]
    fn the_date_counts_only_without_tags() {
        assert!(asked(&[("if-modified-since", MODIFIED)]));
        assert!(asked(&[("if-modified-since", "Wed, 07 Jan 2026 08:00:00 GMT")]));
        assert!(!asked(&[("if-modified-since", "Mon, 05 Jan 2026 08:00:00 GMT")]));
        assert!(!asked(&[("if-modified-since", "yesterday")]));
        assert!(!asked(&[("if-none-match", "\"b\""), ("if-modified-since", MODIFIED)]));
    }
}
