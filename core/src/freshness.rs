//! How long an answer is fresh by the origin's word, and how old it is (RFC 9111 §4.2).

use core::time::Duration;

use crate::response::Response;
use crate::time::Timestamp;

/// When a request left for upstream and when the head of its answer came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// `request_time` of §4.2.3.
    pub requested_at: Timestamp,
    /// `response_time` of §4.2.3.
    pub received_at: Timestamp,
}

/// Part of the time since the last modification that an answer counts as fresh when the
/// origin says nothing: a tenth, as §4.2.2 suggests.
const HEURISTIC_FRACTION: u32 = 10;

/// The longest heuristic lifetime: a week.
const HEURISTIC_MAX: Duration = Duration::from_secs(7 * 86_400);

/// The explicit lifetime for a shared cache (§4.2.1): s-maxage, else max-age, else Expires
/// less Date. Malformed values count as zero.
pub fn explicit_lifetime(response: &Response<'_>, exchange: &Exchange) -> Option<Duration> {
    let directives = &response.directives;
    if let Some(seconds) = directives.s_maxage.or(directives.max_age) {
        return Some(Duration::from_secs(seconds.into()));
    }
    let expires = response.expires?.unwrap_or(Timestamp::EPOCH);
    Some(expires.since(response.date.unwrap_or(exchange.received_at)))
}

/// The heuristic lifetime (§4.2.2), for statuses that allow one or answers marked public.
pub fn heuristic_lifetime(response: &Response<'_>, exchange: &Exchange) -> Option<Duration> {
    if !is_heuristically_cacheable(response.status) && !response.directives.public {
        return None;
    }
    let unchanged_for =
        response.date.unwrap_or(exchange.received_at).since(response.last_modified?);
    Some((unchanged_for / HEURISTIC_FRACTION).min(HEURISTIC_MAX))
}

/// The statuses that RFC 9110 §15.1 defines as heuristically cacheable.
pub const fn is_heuristically_cacheable(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// `corrected_initial_age` of §4.2.3: how old the answer was when its head came in.
pub fn initial_age(response: &Response<'_>, exchange: &Exchange) -> Duration {
    let apparent = response.date.map_or(Duration::ZERO, |date| exchange.received_at.since(date));
    let delay = exchange.received_at.since(exchange.requested_at);
    let corrected = Duration::from_secs(response.age.unwrap_or(0).into()) + delay;
    apparent.max(corrected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::http_date::HttpDate;
    use crate::tier::Tier;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const EXCHANGE: Exchange = Exchange { requested_at: NOW, received_at: NOW };

    fn lifetime(fields: &[(&str, &str)]) -> Option<u64> {
        let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let response = Response::read(Tier::Origin, 200, &fields, NOW);
        explicit_lifetime(&response, &EXCHANGE).map(|d| d.as_secs())
    }

    fn date(offset: i64) -> alloc::string::String {
        HttpDate(Timestamp::from_secs(NOW.as_secs().saturating_add_signed(offset))).to_string()
    }

    #[test]
    fn s_maxage_counts_before_max_age_before_expires() {
        let expires = date(30);
        assert_eq!(lifetime(&[("expires", &expires)]), Some(30));
        assert_eq!(lifetime(&[("expires", &expires), ("cache-control", "max-age=20")]), Some(20));
        assert_eq!(lifetime(&[("cache-control", "max-age=20, s-maxage=10")]), Some(10));
        assert_eq!(lifetime(&[]), None);
    }

    #[test]
    fn expires_counts_from_date_and_nonsense_is_expired() {
        assert_eq!(lifetime(&[("expires", &date(30)), ("date", &date(-10))]), Some(40));
        assert_eq!(lifetime(&[("expires", "0")]), Some(0));
        assert_eq!(lifetime(&[("expires", &date(-30))]), Some(0));
    }

    #[test]
    fn age_is_the_larger_of_what_date_and_age_say() {
        let age = |fields: &[(&str, &str)], delay: u64| {
            let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
            let exchange =
                Exchange { requested_at: NOW, received_at: NOW + Duration::from_secs(delay) };
            initial_age(
                &Response::read(Tier::Origin, 200, &fields, exchange.received_at),
                &exchange,
            )
            .as_secs()
        };
        assert_eq!(age(&[("date", &date(-60))], 0), 60);
        assert_eq!(age(&[("date", &date(-60)), ("age", "100")], 2), 102);
        assert_eq!(age(&[("date", &date(60))], 3), 3, "a Date ahead of us says nothing");
        assert_eq!(age(&[("age", "x")], 0), 0);
    }

    #[test]
    fn heuristics_take_a_tenth_and_at_most_a_week() {
        let heuristic = |status, modified: &str| {
            let fields = [("last-modified", modified)];
            heuristic_lifetime(&Response::read(Tier::Origin, status, &fields, NOW), &EXCHANGE)
                .map(|d| d.as_secs())
        };
        assert_eq!(heuristic(200, &date(-1000)), Some(100));
        assert_eq!(heuristic(200, &date(-86_400 * 1000)), Some(7 * 86_400));
        assert_eq!(heuristic(500, &date(-1000)), None);
    }
}
