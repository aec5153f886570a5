//! Who answered, by `Cache-Status` (RFC 9211).

use sfv::{BareItem, List, ListEntry, Parser};

/// Who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// The cache of this name.
    By(String),
    /// The origin, although a cache might have.
    Origin,
    /// The origin, and no cache was to.
    Bypass,
    /// Nobody says.
    Unknown,
}

impl Served {
    /// By the lines of the field, those nearest to the origin first (§2).
    #[must_use]
    pub fn by<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let field = lines.collect::<Vec<_>>().join(&b", "[..]);
        let Ok(hops) = Parser::new(&field).parse::<List>() else { return Self::Unknown };
        let mut is_bypass = true;
        // A stored answer brings along what was said when it came: the nearest hit to us counts.
        for hop in hops.iter().rev() {
            let ListEntry::Item(hop) = hop else { return Self::Unknown };
            let says = |name: &str| matches!(hop.params.get(name), Some(BareItem::Boolean(true)));
            if says("hit") || says("collapsed") {
                return match &hop.bare_item {
                    BareItem::Token(name) => Self::By(name.as_str().to_owned()),
                    BareItem::String(name) => Self::By(name.as_str().to_owned()),
                    _ => Self::Unknown,
                };
            }
            if let Some(BareItem::Token(why)) = hop.params.get("fwd") {
                is_bypass &= matches!(why.as_str(), "bypass" | "method");
            }
        }
        match (hops.is_empty(), is_bypass) {
            (true, _) => Self::Unknown,
            (false, true) => Self::Bypass,
            (false, false) => Self::Origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(lines: &[&str]) -> Served {
        Served::by(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn the_hit_that_is_nearest_to_us_counts() {
        let edge = Served::By("tidegate-edge".into());
        let origin = Served::By("tidegate-origin".into());
        assert_eq!(by(&["tidegate-origin; hit; ttl=9, tidegate-edge; hit; ttl=3"]), edge);
        assert_eq!(by(&["tidegate-origin; hit; ttl=9", "tidegate-edge; fwd=uri-miss"]), origin);
        assert_eq!(by(&["tidegate-origin; fwd=uri-miss; stored, tidegate-edge; hit"]), edge);
    }

    #[test]
    fn who_waited_for_anothers_answer_did_not_ask_the_origin() {
        assert_eq!(by(&["here; fwd=uri-miss; collapsed"]), Served::By("here".into()));
    }

    #[test]
    fn what_no_cache_was_to_answer_is_no_miss() {
        assert_eq!(by(&["a; fwd=bypass; detail=rule, \"b, c\"; fwd=method"]), Served::Bypass);
        assert_eq!(by(&["a; fwd=uri-miss, b; fwd=bypass"]), Served::Origin);
        assert_eq!(by(&["a; fwd=stale; fwd-status=304"]), Served::Origin);
    }

    #[test]
    fn without_a_word_nobody_knows() {
        assert_eq!(by(&[]), Served::Unknown);
        assert_eq!(by(&["; hit"]), Served::Unknown);
    }
}
