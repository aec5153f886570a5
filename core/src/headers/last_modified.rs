//! Last-Modified (RFC 9110 §8.8.2): a validator by the second, weak but for old ones.

use core::time::Duration;

use super::{Fields, http_date};
use crate::time::Timestamp;

/// Between Last-Modified and Date, for the first to be strong: enough for two clocks that differ.
const APART: Duration = Duration::from_secs(60);

/// When the answer with this head was changed last.
pub fn read(head: &(impl Fields + ?Sized), now: Timestamp) -> Option<Timestamp> {
    head.first("last-modified").and_then(|value| http_date::parse(value, now))
}

/// The same where it is a strong validator (§8.8.2.2): at Date it had not changed for so long
/// that another change in the same second would show.
pub fn read_strong(head: &(impl Fields + ?Sized), now: Timestamp) -> Option<Timestamp> {
    let date = head.first("date").and_then(|value| http_date::parse(value, now))?;
    read(head, now).filter(|modified| date.since(*modified) >= APART)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    #[test]
    fn it_is_strong_a_minute_before_date() {
        let modified = "Sun, 06 Nov 1994 08:49:37 GMT";
        let is_strong =
            |date: &str| read_strong(&[("last-modified", modified), ("date", date)], NOW).is_some();
        assert!(is_strong("Sun, 06 Nov 1994 08:50:37 GMT"));
        assert!(!is_strong("Sun, 06 Nov 1994 08:50:36 GMT"));
        assert!(!is_strong("Sun, 06 Nov 1994 08:49:36 GMT"), "changed after it was sent");
        assert!(!is_strong("today"));
        assert_eq!(read_strong(&[("last-modified", modified)], NOW), None);
    }
}
