//! Which kind of device asks, by a small and fixed rule, so that a key may tell four kinds
//! apart where `Vary: User-Agent` would tell thousands.

use crate::headers::Fields;

/// A kind of device. What a request says of itself: good for choosing a layout, never for
/// deciding what somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceClass {
    /// A robot: User-Agent has `bot`, `crawl`, `spider` or `slurp`.
    Bot,
    /// A tablet: User-Agent has `ipad` or `tablet`, or `android` without `mobile`.
    Tablet,
    /// A phone: `Sec-CH-UA-Mobile: ?1`, or User-Agent has `mobi` or `iphone`.
    Mobile,
    /// Anything else.
    Desktop,
}

impl DeviceClass {
    /// The kind of device that sent these fields: the first that fits, in the order above.
    /// Letters count in either case.
    pub fn of(fields: &(impl Fields + ?Sized)) -> Self {
        let agent = fields.first("user-agent").unwrap_or_default();
        let has = |word: &str| {
            agent.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        };
        if ["bot", "crawl", "spider", "slurp"].into_iter().any(has) {
            return Self::Bot;
        }
        if has("ipad") || has("tablet") || (has("android") && !has("mobile")) {
            return Self::Tablet;
        }
        let hint = fields.first("sec-ch-ua-mobile").is_some_and(|v| v.trim_ascii() == b"?1");
        if hint || has("mobi") || has("iphone") { Self::Mobile } else { Self::Desktop }
    }

    /// The word in keys and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Tablet => "tablet",
            Self::Mobile => "mobile",
            Self::Desktop => "desktop",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_apart_by_what_they_say() {
        use DeviceClass::*;
        let chrome = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/131.0";
        for (agent, hint, device) in [
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148", "", Mobile),
            ("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) Mobile/15E148", "", Tablet),
            ("Mozilla/5.0 (Linux; Android 10; K) Chrome/131.0 Mobile Safari/537.36", "?1", Mobile),
            (chrome, "?0", Tablet),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", "", Desktop),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0", "?1", Mobile),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; Android Mobile)", "?1", Bot),
            ("", "", Desktop),
        ] {
            let fields = [("user-agent", agent), ("sec-ch-ua-mobile", hint)];
            assert_eq!(DeviceClass::of(&fields), device, "{agent} {hint}");
        }
        assert_eq!(DeviceClass::of(&[("accept", "*/*")]), Desktop);
    }
}
