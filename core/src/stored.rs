//! What a cache remembers of a stored answer besides its head and body.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::headers::range::ContentRange;
use crate::time::Timestamp;

/// The facts by which later requests are judged; everything else is in the stored fields.
///
/// Times are settled when the answer is stored, so that reading it costs comparisons only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The status code.
    pub status: u16,
    /// When its head came in, or was last confirmed.
    pub received_at: Timestamp,
    /// `corrected_initial_age` (RFC 9111 §4.2.3), in milliseconds.
    pub initial_age_ms: u64,
    /// Until when it is fresh; not after [`Self::received_at`] when it never was.
    pub fresh_until: Timestamp,
    /// Until when it may serve while it is refreshed.
    pub serve_while_refreshing_until: Timestamp,
    /// Until when it may serve when the origin fails.
    pub serve_on_error_until: Timestamp,
    /// The origin forbids to serve it stale without asking (§4.2.4), whoever would accept that.
    pub forbids_stale: bool,
    /// The origin wants to be asked every time (`no-cache`, §5.2.2.4).
    pub always_revalidate: bool,
    /// It has an ETag or a Last-Modified to ask with.
    pub has_validator: bool,
    /// Which part of the representation it is; none when it is the whole (§3.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<ContentRange>,
}

impl Stored {
    /// `current_age` (§4.2.3). Never falls as `now` grows.
    pub const fn age(&self, now: Timestamp) -> Duration {
        Duration::from_millis(
            self.initial_age_ms
                .saturating_add(now.as_millis().saturating_sub(self.received_at.as_millis())),
        )
    }

    /// How long it stays fresh; `None` when it is stale.
    pub fn fresh_for(&self, now: Timestamp) -> Option<Duration> {
        (now < self.fresh_until).then(|| self.fresh_until.since(now))
    }

    /// For how long it has been stale.
    pub fn staleness(&self, now: Timestamp) -> Duration {
        now.since(self.fresh_until)
    }

    /// When a store may forget it: it can no longer serve, nor save a transfer by being
    /// revalidated. What has a validator is worth keeping for a day.
    pub fn useful_until(&self) -> Timestamp {
        let kept_for_validation = match self.has_validator {
            true => self.fresh_until.max(self.received_at) + Duration::from_secs(86_400),
            false => Timestamp::EPOCH,
        };
        self.fresh_until
            .max(self.serve_while_refreshing_until)
            .max(self.serve_on_error_until)
            .max(kept_for_validation)
    }
}
