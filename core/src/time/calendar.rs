//! The proleptic Gregorian calendar, in UTC.

use super::Timestamp;

/// The instant of a date and a time of day in UTC; `None` for a day that is not in the
/// calendar. What lies before the epoch is the epoch.
pub(crate) fn timestamp(
    year: u64,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
) -> Option<Timestamp> {
    if day == 0 || day > days_in_month(year, month) {
        return None;
    }
    if year < 1970 {
        return Some(Timestamp::EPOCH);
    }
    let seconds = days_from_civil(year, month, day) * 86_400
        + u64::from(hour) * 3600
        + u64::from(minute) * 60
        + u64::from(second);
    Some(Timestamp::from_secs(seconds))
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in_month(year: u64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to a date from 1970 on, counting years from March.
const fn days_from_civil(year: u64, month: u32, day: u32) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month as u64 + 2) / 5 + day as u64 - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

/// The date of a day counted from the epoch: (year, month, day).
pub(crate) const fn civil(days: u64) -> (u64, u32, u32) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day = days % 146_097;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month + 2) / 5 + 1) as u32;
    let month = if month < 10 { month + 3 } else { month - 9 } as u32;
    (era * 400 + year + (month <= 2) as u64, month, day)
}
