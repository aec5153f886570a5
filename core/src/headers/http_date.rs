//! HTTP-date (RFC 9110 §5.6.7): all three formats are read, IMF-fixdate is written.

use core::fmt;

use crate::time::Timestamp;
use crate::time::calendar::{civil, timestamp};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Reads an HTTP-date; `None` for anything that is none, which for freshness means "stale".
///
/// `now` settles the century of the obsolete two-digit years: a date that seems more
/// than 50 years ahead is read as the most recent past year with those digits (§5.6.7).
/// The weekday is not compared with the date, nor are names' cases.
pub fn parse(value: &[u8], now: Timestamp) -> Option<Timestamp> {
    let value = value.trim_ascii();
    let comma = value.iter().take(10).position(|b| *b == b',');
    match comma {
        Some(3) => imf_fixdate(value.get(4..)?),
        Some(6..=9) => rfc850(value.get(comma? + 1..)?, now),
        _ => asctime(value),
    }
}

/// ` 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(rest: &[u8]) -> Option<Timestamp> {
    let [b' ', d1, d2, b' ', m1, m2, m3, b' ', y1, y2, y3, y4, b' ', time @ ..] = rest else {
        return None;
    };
    let (hour, minute, second) = time_gmt(time)?;
    let year = u64::from(digits(&[*y1, *y2, *y3, *y4])?);
    timestamp(year, month(&[*m1, *m2, *m3])?, digits(&[*d1, *d2])?, hour, minute, second)
}

/// ` 06-Nov-94 08:49:37 GMT`
fn rfc850(rest: &[u8], now: Timestamp) -> Option<Timestamp> {
    let [b' ', d1, d2, b'-', m1, m2, m3, b'-', y1, y2, b' ', time @ ..] = rest else {
        return None;
    };
    let (hour, minute, second) = time_gmt(time)?;
    let this_year = civil(now.as_secs() / 86_400).0;
    let mut year = this_year / 100 * 100 + u64::from(digits(&[*y1, *y2])?);
    if year > this_year + 50 {
        year -= 100;
    }
    timestamp(year, month(&[*m1, *m2, *m3])?, digits(&[*d1, *d2])?, hour, minute, second)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(value: &[u8]) -> Option<Timestamp> {
    let [_, _, _, b' ', m1, m2, m3, b' ', d1, d2, b' ', time @ ..] = value else {
        return None;
    };
    let (clock, year) = time.split_at_checked(8)?;
    let (hour, minute, second) = clock_time(clock)?;
    let day = digits(&[if *d1 == b' ' { b'0' } else { *d1 }, *d2])?;
    let [b' ', year @ ..] = year else { return None };
    let year = u64::from(digits(<&[u8; 4]>::try_from(year).ok()?)?);
    timestamp(year, month(&[*m1, *m2, *m3])?, day, hour, minute, second)
}

fn time_gmt(time: &[u8]) -> Option<(u32, u32, u32)> {
    let (clock, zone) = time.split_at_checked(8)?;
    zone.eq_ignore_ascii_case(b" GMT").then(|| clock_time(clock))?
}

fn clock_time(clock: &[u8]) -> Option<(u32, u32, u32)> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = clock else { return None };
    let (hour, minute, second) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
    // Second 60 is a leap second, which the grammar allows.
    (hour < 24 && minute < 60 && second <= 60).then_some((hour, minute, second))
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

fn month(name: &[u8; 3]) -> Option<u32> {
    (1..).zip(MONTHS).find(|(_, m)| m.eq_ignore_ascii_case(name)).map(|(n, _)| n)
}

/// Displays a timestamp as an IMF-fixdate, e.g. `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Clone, Copy, Debug)]
pub struct HttpDate(pub Timestamp);

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last second of the year 9999, the last that the format can say.
        let seconds = self.0.as_secs().min(253_402_300_799);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let weekday = DAYS[(days % 7) as usize];
        let month = core::str::from_utf8(MONTHS[month as usize - 1]).unwrap_or_default();
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const EXAMPLE: Timestamp = Timestamp::from_secs(784_111_777);

    #[test]
    fn all_three_formats_are_read() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(EXAMPLE), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994  08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }

    #[test]
    fn two_digit_years_far_ahead_lie_in_the_past() {
        let ahead = parse(b"Sunday, 06-Nov-80 08:49:37 GMT", NOW).unwrap();
        assert!(ahead < NOW, "2080 is more than fifty years ahead, so 1980");
        assert!(parse(b"Friday, 06-Nov-70 08:49:37 GMT", NOW).unwrap() > NOW);
    }

    #[test]
    fn every_day_of_four_centuries_survives_the_round_trip() {
        for day in 0..146_097 {
            let at = Timestamp::from_secs(day * 86_400 + 43_201);
            assert_eq!(parse(HttpDate(at).to_string().as_bytes(), NOW), Some(at));
        }
        assert_eq!(HttpDate(EXAMPLE).to_string(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(HttpDate(Timestamp::MAX).to_string(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
