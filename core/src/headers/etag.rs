//! Entity tags (RFC 9110 §8.8.3) and their two comparisons (§8.8.3.2).

/// An entity tag as it stands in a field: `"abc"` or `W/"abc"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ETag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> ETag<'a> {
    /// Reads one entity tag; `None` when it is not well formed.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (weak, quoted) = match value.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, value),
        };
        match quoted {
            [b'"', opaque @ .., b'"']
                if opaque.iter().all(|b| *b > b' ' && *b != b'"' && *b != 0x7f) =>
            {
                Some(Self { weak, opaque })
            }
            _ => None,
        }
    }

    /// Whether it says of itself that it may stand for other bytes as well.
    pub const fn is_weak(&self) -> bool {
        self.weak
    }

    /// What is between the quotes.
    pub const fn opaque(&self) -> &'a [u8] {
        self.opaque
    }

    /// Whether both stand for equivalent answers; what If-None-Match compares by.
    pub fn matches_weakly(&self, other: &ETag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Whether both stand for identical bytes; what If-Match and If-Range compare by.
    pub fn matches_strongly(&self, other: &ETag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }
}

/// Whether an If-None-Match line names `current`, or any answer by `*` (RFC 9110 §13.1.2).
pub fn none_match_names(line: &[u8], current: Option<&ETag<'_>>) -> bool {
    if line.trim_ascii() == b"*" {
        return true;
    }
    let Some(current) = current else { return false };
    tags(line).any(|tag| tag.matches_weakly(current))
}

/// The well-formed entity tags of a list, others left out. No other list holds them: in a tag a backslash escapes nothing, so
/// that `"\\"` is a whole one (§8.8.3).
pub fn tags(line: &[u8]) -> impl Iterator<Item = ETag<'_>> {
    let mut rest = line;
    core::iter::from_fn(move || {
        loop {
            let separators = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b',')).count();
            let (_, tag) = rest.split_at(separators);
            let open = tag.iter().position(|b| *b == b'"')?;
            let close = open + 1 + tag[open + 1..].iter().position(|b| *b == b'"')?;
            let (tag, behind) = tag.split_at(close + 1);
            rest = behind;
            if let Some(tag) = ETag::parse(tag) {
                return Some(tag);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_is_weak_or_strong_as_the_table_of_the_rfc_says() {
        let tag = |text: &'static str| ETag::parse(text.as_bytes()).unwrap();
        for (one, two, strong, weak) in [
            (r#"W/"1""#, r#"W/"1""#, false, true),
            (r#"W/"1""#, r#"W/"2""#, false, false),
            (r#"W/"1""#, r#""1""#, false, true),
            (r#""1""#, r#""1""#, true, true),
        ] {
            assert_eq!(tag(one).matches_strongly(&tag(two)), strong, "{one} {two}");
            assert_eq!(tag(one).matches_weakly(&tag(two)), weak, "{one} {two}");
        }
    }

    #[test]
    fn a_list_may_hold_commas_inside_tags() {
        let current = ETag::parse(br#""b,c""#);
        assert!(none_match_names(br#""a", W/"b,c""#, current.as_ref()));
        assert!(!none_match_names(br#""a", "b", "c""#, current.as_ref()));
        assert!(none_match_names(b" * ", None));
    }

    #[test]
    fn malformed_tags_match_nothing() {
        for text in ["abc", "\"abc", "w/\"abc\"", "\"a b\"", "\"a\"b\"", ""] {
            assert_eq!(ETag::parse(text.as_bytes()), None, "{text}");
        }
    }
}
