//! What a cache remembers of a stored answer besides its head and body.

use alloc::string::{String, ToString};
use core::time::Duration;

use crate::headers::range::ContentRange;
use crate::time::Timestamp;

/// The facts by which later requests are judged; everything else is in the stored fields.
///
/// Times are settled when the answer is stored, so that reading it costs comparisons only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub part: Option<ContentRange>,
}

/// Begins what [`Stored::to_text`] writes; what another version of this wrote begins otherwise.
const VERSION: u64 = 1;

impl Stored {
    /// The facts as text, for a store that keeps nothing else: whole numbers with spaces between.
    /// Instants are milliseconds since 1970.
    pub fn to_text(&self) -> String {
        let flags = u64::from(self.forbids_stale)
            | u64::from(self.always_revalidate) << 1
            | u64::from(self.has_validator) << 2;
        let mut text = String::with_capacity(96);
        for number in [
            VERSION,
            self.status.into(),
            self.received_at.as_millis(),
            self.initial_age_ms,
            self.fresh_until.as_millis(),
            self.serve_while_refreshing_until.as_millis(),
            self.serve_on_error_until.as_millis(),
            flags,
        ] {
            push(&mut text, number);
        }
        if let Some(ContentRange { first, last, complete }) = self.part {
            push(&mut text, first);
            push(&mut text, last);
            if let Some(complete) = complete {
                push(&mut text, complete);
            }
        }
        text
    }

    /// Reads what [`Self::to_text`] wrote; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next()?;
        let _ = next().filter(|version| *version == VERSION)?;
        let status = u16::try_from(next()?).ok()?;
        let received_at = Timestamp::from_millis(next()?);
        let initial_age_ms = next()?;
        let fresh_until = Timestamp::from_millis(next()?);
        let serve_while_refreshing_until = Timestamp::from_millis(next()?);
        let serve_on_error_until = Timestamp::from_millis(next()?);
        let flags = next().filter(|flags| *flags < 8)?;
        let part = match next() {
            None => None,
            Some(first) => Some(ContentRange { first, last: next()?, complete: next() }),
        };
        Some(Self {
            status,
            received_at,
            initial_age_ms,
            fresh_until,
            serve_while_refreshing_until,
            serve_on_error_until,
            forbids_stale: flags & 1 != 0,
            always_revalidate: flags & 2 != 0,
            has_validator: flags & 4 != 0,
            part,
        })
    }

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

    /// Whether it serves by itself, perhaps while it is refreshed behind the client's back.
    pub fn serves(&self, now: Timestamp) -> bool {
        let is_good = now < self.fresh_until || now < self.serve_while_refreshing_until;
        is_good && !self.always_revalidate
    }

    /// For how long it has been stale.
    pub fn staleness(&self, now: Timestamp) -> Duration {
        now.since(self.fresh_until)
    }

    /// Until when it serves, be it stale.
    pub fn serves_until(&self) -> Timestamp {
        self.fresh_until.max(self.serve_while_refreshing_until).max(self.serve_on_error_until)
    }

    /// When a store may forget it: it can no longer serve, nor save a transfer by being
    /// revalidated. What has a validator is worth keeping for a day.
    pub fn useful_until(&self) -> Timestamp {
        let kept_for_validation = match self.has_validator {
            true => self.fresh_until.max(self.received_at) + Duration::from_secs(86_400),
            false => Timestamp::EPOCH,
        };
        self.serves_until().max(kept_for_validation)
    }
}

fn push(text: &mut String, number: u64) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(&number.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let at = Timestamp::from_secs;
        let whole = Stored {
            status: 200,
            received_at: at(5),
            initial_age_ms: 7,
            fresh_until: at(9),
            serve_while_refreshing_until: at(10),
            serve_on_error_until: at(11),
            forbids_stale: false,
            always_revalidate: true,
            has_validator: true,
            part: None,
        };
        assert_eq!(whole.to_text(), "1 200 5000 7 9000 10000 11000 6");
        let of = |complete| Some(ContentRange { first: 0, last: 4, complete });
        for part in [None, of(None), of(Some(5))] {
            let stored = Stored { part, forbids_stale: part.is_some(), ..whole };
            assert_eq!(Stored::from_text(&stored.to_text()), Some(stored));
        }
    }

    #[test]
    fn what_no_version_of_this_wrote_is_nothing() {
        let text = "1 200 5000 7 9000 10000 11000 6";
        assert!(Stored::from_text(text).is_some());
        for text in ["", "{}", "2 200 5000 7 9000 10000 11000 6", "1 200", &text[..text.len() - 2]]
        {
            assert_eq!(Stored::from_text(text), None, "{text}");
        }
        for more in [" 1", " 1 x", "0"] {
            assert_eq!(Stored::from_text(&[text, more].concat()), None, "{more}");
        }
    }
}
