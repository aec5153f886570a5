//! Instants as people and programs write them outside of HTTP: `2026-11-21T18:30:00Z`.

use core::fmt;
use core::time::Duration;

use super::Timestamp;
use super::calendar::{civil, timestamp};

/// Reads a date and time with its offset from UTC (RFC 3339 §5.6). A space may stand for the
/// `T`. Fractions are read to the millisecond; what lies before 1970 is 1970.
///
/// `None` for all else: a time without an offset too, since nobody knows whose it is, and one
/// behind the year 9999 in UTC.
pub fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.trim().split_once(['T', 't', ' '])?;
    let mut date = date.splitn(3, '-');
    let [year, month, day] = [4, 2, 2].map(|length| number(date.next()?, length));
    let at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, offset) = time.split_at_checked(at)?;
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(c, f)| (c, Some(f)));
    let mut clock = clock.splitn(3, ':');
    let [hour, minute, second] = [2, 2, 2].map(|length| number(clock.next()?, length));
    let (hour, minute, second) = (hour?, minute?, second?);
    let month = month.filter(|month| (1..=12).contains(month))?;
    // Second 60 is a leap second, which the grammar allows.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = timestamp(year?.into(), month, day?, hour, minute, second)?;
    let local = local + Duration::from_millis(fraction.map_or(Some(0), millis)?);
    let (sign, offset) = offset.split_at_checked(1)?;
    if sign.eq_ignore_ascii_case("Z") {
        return (offset.is_empty() && local.as_millis() <= LAST).then_some(local);
    }
    let (hours, minutes) = offset.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = Duration::from_secs(u64::from(hours * 3600 + minutes * 60));
    let instant = if sign == "+" { local.before(offset) } else { local + offset };
    (instant.as_millis() <= LAST).then_some(instant)
}

/// The last millisecond of the year 9999, the last that the format can say.
const LAST: u64 = 253_402_300_799_999;

fn number(text: &str, length: usize) -> Option<u32> {
    let is_number = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// The thousandths of a second in the digits behind its point.
fn millis(fraction: &str) -> Option<u64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain([b'0'; 3]).take(3);
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Displays an instant in UTC, with milliseconds where it has some: `2026-11-21T18:30:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.as_millis().min(LAST);
        let (seconds, millis) = (all / 1000, all % 1000);
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if millis > 0 {
            write!(f, ".{millis:03}")?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const NOON: Timestamp = Timestamp::from_secs(1_795_262_400);

    #[test]
    fn an_instant_is_read_in_any_offset_and_written_in_utc() {
        for text in [
            "2026-11-21T12:00:00Z",
            "2026-11-21t12:00:00z",
            "2026-11-21 12:00:00Z",
            "2026-11-21T13:00:00+01:00",
            "2026-11-21T06:30:00-05:30",
            "2026-11-22T00:00:00.000+12:00",
        ] {
            assert_eq!(parse(text), Some(NOON), "{text}");
        }
        assert_eq!(Rfc3339(NOON).to_string(), "2026-11-21T12:00:00Z");
        for millis in [0, 1, 951_782_400_120, 1_795_262_400_999, 253_402_300_799_999] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(parse(&Rfc3339(at).to_string()), Some(at));
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T12:00:00",
            "2026-11-21T12:00Z",
            "2026-02-30T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-00-01T12:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T12:00:00.Z",
            "2026-11-21T12:00:00+0100",
            "2026-11-21T12:00:00Zulu",
            "26-11-21T12:00:00Z",
            "2026-11-21T+1:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "9999-12-31T23:59:60Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
