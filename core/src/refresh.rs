//! What does this answer to a revalidation do to the stored one? (RFC 9111 §4.3.3)

use crate::reuse::{is_upstream_failure, serves_on_error};
use crate::stored::Stored;
use crate::time::Timestamp;

/// What to do with the answer to a conditional request that we sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// 304: the stored answer is good. Update its fields (§3.2, but for those of
    /// [`crate::forward::is_kept_on_update`]), ask [`crate::store::renew`] for its new terms,
    /// and serve it.
    Freshen,
    /// The origin failed, and the stored answer may serve stale (RFC 5861 §4).
    ServeStale,
    /// Any other: a new answer in place of the stored one.
    Replace,
}

/// Decides by the `status` that the origin answered the revalidation of `stored` with;
/// `None` when it did not answer at all.
pub fn refresh(stored: &Stored, status: Option<u16>, now: Timestamp) -> Refresh {
    match status {
        Some(304) => Refresh::Freshen,
        Some(status) if !is_upstream_failure(status) => Refresh::Replace,
        _ if serves_on_error(stored, now) => Refresh::ServeStale,
        _ => Refresh::Replace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_origin_leaves_the_stored_answer_only_within_its_window() {
        let stored = Stored {
            status: 200,
            received_at: Timestamp::from_secs(1000),
            initial_age_ms: 0,
            fresh_until: Timestamp::from_secs(1010),
            serve_while_refreshing_until: Timestamp::from_secs(1010),
            serve_on_error_until: Timestamp::from_secs(1020),
            forbids_stale: false,
            always_revalidate: false,
            has_validator: true,
            part: None,
        };
        let at = |second| Timestamp::from_secs(second);
        assert_eq!(refresh(&stored, Some(304), at(1030)), Refresh::Freshen);
        assert_eq!(refresh(&stored, Some(200), at(1015)), Refresh::Replace);
        assert_eq!(refresh(&stored, Some(404), at(1015)), Refresh::Replace);
        for failure in [Some(500), Some(502), Some(503), Some(504), None] {
            assert_eq!(refresh(&stored, failure, at(1019)), Refresh::ServeStale, "{failure:?}");
            assert_eq!(refresh(&stored, failure, at(1020)), Refresh::Replace, "{failure:?}");
        }
    }
}
