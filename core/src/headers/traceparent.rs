//! `traceparent` (W3C Trace Context): which trace a request belongs to, and who asked.
//!
//! Nothing here makes identifiers: they are random, so that whoever calls brings them.

use core::fmt;

/// The bytes of version 00.
const LENGTH: usize = 55;

/// Somebody's place in a trace: what it is called, and by whose request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceParent {
    /// The begin of a trace; `None` if an identifier is zero, which stands for none (§3.2.2.3).
    pub fn root(trace: u128, span: u64, sampled: bool) -> Option<Self> {
        (trace != 0 && span != 0).then_some(Self { trace, span, sampled })
    }

    /// Reads a field's value. Of a later version its first fields count (§3.2.4).
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, more) = value.trim_ascii().split_at_checked(LENGTH)?;
        let version = hex(&known[..2])?;
        let is_whole = match version {
            0 => more.is_empty(),
            0xff => false,
            _ => more.is_empty() || more[0] == b'-',
        };
        let has_dashes = [2, 35, 52].iter().all(|at| known[*at] == b'-');
        if !is_whole || !has_dashes {
            return None;
        }
        let span = u64::try_from(hex(&known[36..52])?).ok()?;
        Self::root(hex(&known[3..35])?, span, hex(&known[53..])? & 1 == 1)
    }

    /// What is done on behalf of this, as `span`; `None` if that is zero.
    pub fn child(self, span: u64) -> Option<Self> {
        Self::root(self.trace, span, self.sampled)
    }

    /// The trace.
    pub const fn trace(self) -> u128 {
        self.trace
    }

    /// The span within it.
    pub const fn span(self) -> u64 {
        self.span
    }

    /// Whether whoever asked keeps what is told of it.
    pub const fn is_sampled(self) -> bool {
        self.sampled
    }
}

/// Digits in lower case, as many as there are (§3.2.2).
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

impl fmt::Display for TraceParent {
    /// The field's value, in version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, sampled } = self;
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(*sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const VALUE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(value: &str) -> Option<TraceParent> {
        TraceParent::parse(value.as_bytes())
    }

    #[test]
    fn p10_a_trace_goes_on_under_a_span_of_its_own() {
        let parent = read(VALUE).unwrap();
        assert_eq!(parent.to_string(), VALUE);
        assert!(parent.is_sampled());
        let child = parent.child(0x00f0_67aa_0ba9_02b7).unwrap();
        assert_eq!(child.trace(), parent.trace());
        assert_eq!(child.to_string(), "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01");
        assert_eq!(parent.child(0), None);
    }

    #[test]
    fn p10_what_is_no_traceparent_is_none() {
        for value in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }

    #[test]
    fn p10_later_versions_are_read_as_far_as_this_one_goes() {
        let later = VALUE.replacen("00", "cc", 1);
        assert_eq!(read(&later).unwrap().to_string(), VALUE);
        assert_eq!(read(&(later.clone() + "-what-is-next")).unwrap().to_string(), VALUE);
        assert_eq!(read(&(later + "x")), None);
        let unsampled = VALUE.replace("-01", "-fe");
        assert!(!read(&unsampled).unwrap().is_sampled(), "unknown flags are dropped");
    }
}
