//! Traces (W3C Trace Context): each request becomes a span of the trace that its client is at, or
//! of a new one, and the origin hears of that.

use http::{HeaderMap, HeaderName, HeaderValue};
use ring::rand::{SecureRandom, SystemRandom};
use tidegate_core::headers::traceparent::TraceParent;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The place of a request in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// What this hop does with it.
    pub(crate) own: TraceParent,
    /// The span of whoever asked, where that was told.
    pub(crate) parent: Option<u64>,
}

impl Span {
    /// Begins with a request that has these fields, and puts itself into them for whoever is
    /// asked on its behalf. `None` if the system has no random numbers: then nothing changes.
    pub(crate) fn begin(fields: &mut HeaderMap) -> Option<Self> {
        let mut random = [0; 24];
        SystemRandom::new().fill(&mut random).ok()?;
        let (trace, span) = random.split_at(16);
        let trace = u128::from_be_bytes(trace.try_into().ok()?);
        let span = u64::from_be_bytes(span.try_into().ok()?);
        let mut lines = fields.get_all(TRACEPARENT).iter();
        let only = lines.next().filter(|_| lines.next().is_none());
        let parent = only.and_then(|line| TraceParent::parse(line.as_bytes()));
        let own = match parent {
            Some(parent) => parent.child(span)?,
            None => TraceParent::root(trace, span, true)?,
        };
        fields.insert(TRACEPARENT, HeaderValue::try_from(own.to_string()).ok()?);
        if parent.is_none() {
            // It belongs to a trace that nobody can tell (§3.3).
            fields.remove(TRACESTATE);
        }
        Some(Self { own, parent: parent.map(TraceParent::span) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn begun(lines: &[&str]) -> (Span, HeaderMap) {
        let mut fields = HeaderMap::new();
        for line in lines {
            fields.append(TRACEPARENT, line.parse().unwrap());
        }
        fields.insert(TRACESTATE, "a=b".parse().unwrap());
        (Span::begin(&mut fields).unwrap(), fields)
    }

    #[test]
    fn p10_a_request_goes_on_with_the_trace_of_its_client() {
        let (span, fields) = begun(&[PARENT]);
        assert_eq!(format!("{:032x}", span.own.trace()), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(span.parent, Some(0xb7ad_6b71_6920_3331));
        assert_ne!(span.own.span(), 0xb7ad_6b71_6920_3331);
        assert_eq!(fields[TRACEPARENT], span.own.to_string());
        assert_eq!(fields[TRACESTATE], "a=b");
    }

    #[test]
    fn p10_without_one_that_can_be_read_a_trace_begins() {
        for lines in [&[][..], &["nonsense"], &[PARENT, PARENT]] {
            let (span, fields) = begun(lines);
            assert_eq!(span.parent, None);
            assert!(span.own.is_sampled());
            assert_eq!(fields.get_all(TRACEPARENT).iter().count(), 1);
            assert_eq!(fields[TRACEPARENT], span.own.to_string());
            assert!(!fields.contains_key(TRACESTATE));
            assert_ne!(begun(lines).0.own.trace(), span.own.trace());
        }
    }
}
