//! Request methods (RFC 9110 §9) as far as a cache tells them apart.

/// A request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET: what a cache stores and answers.
    Get,
    /// HEAD: what a stored GET also answers (RFC 9111 §4).
    Head,
    /// Safe, but not answered from a cache here: OPTIONS, TRACE, QUERY and the like.
    Safe,
    /// POST: unsafe, but its answer may serve later GETs (RFC 9110 §9.3.3).
    Post,
    /// Anything else, known or not, may change state at the origin (RFC 9111 §4.4).
    Unsafe,
}

impl Method {
    /// Reads a method, which is case-sensitive (RFC 9110 §9.1).
    pub fn parse(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            // The safe methods of the IANA registry, and QUERY.
            "OPTIONS" | "TRACE" | "PROPFIND" | "REPORT" | "SEARCH" | "QUERY" => Self::Safe,
            _ => Self::Unsafe,
        }
    }

    /// Whether a stored answer may serve it.
    pub const fn is_answered_from_cache(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }

    /// Whether it asks for no change at the origin (RFC 9110 §9.2.1).
    pub const fn is_safe(self) -> bool {
        !matches!(self, Self::Post | Self::Unsafe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive_and_unknown_ones_unsafe() {
        assert_eq!(Method::parse("GET"), Method::Get);
        assert_eq!(Method::parse("get"), Method::Unsafe);
        assert_eq!(Method::parse("FROB"), Method::Unsafe);
        assert_eq!(Method::parse("QUERY"), Method::Safe);
    }
}
