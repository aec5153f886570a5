//! Times as logs write them.

use tidegate_core::Timestamp;

/// `17/May/2015:10:05:03 +0000`, which is 26 bytes long.
pub(super) fn of_common_log(text: &[u8]) -> Option<Timestamp> {
    let text: &[u8; 26] = text.try_into().ok()?;
    let [_, _, b'/', _, _, _, b'/', _, _, _, _, b':', _, _, b':', _, _, b':', _, _, b' ', ..] =
        text
    else {
        return None;
    };
    let month = match &text[3..6] {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    };
    let date = (digits(&text[7..11])?, month, digits(&text[0..2])?);
    let clock = (digits(&text[12..14])?, digits(&text[15..17])?, digits(&text[18..20])?);
    let zone = zone(text[21], digits(&text[22..24])?, digits(&text[24..26])?)?;
    at(date, clock, zone)
}

/// Seconds since 1970, or a finer unit, which the size of the number tells.
pub(super) fn of_number(number: f64) -> Option<Timestamp> {
    let millis = match number {
        n if !(0.0..1e21).contains(&n) => return None,
        n if n < 1e11 => n * 1e3,
        n if n < 1e14 => n,
        n if n < 1e17 => n / 1e3,
        n => n / 1e6,
    };
    Some(Timestamp::from_millis(millis.round() as u64))
}

/// Minutes east of Greenwich.
fn zone(sign: u8, hours: u64, minutes: u64) -> Option<i64> {
    let offset = i64::try_from(60 * hours + minutes).ok().filter(|minutes| *minutes < 1440)?;
    match sign {
        b'+' => Some(offset),
        b'-' => Some(-offset),
        _ => None,
    }
}

fn at(
    (year, month, day): (u64, u64, u64),
    (hour, minute, second): (u64, u64, u64),
    zone: i64,
) -> Option<Timestamp> {
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day) && year >= 1970;
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let seconds = seconds.checked_add_signed(-60 * zone)?;
    Some(Timestamp::from_secs(seconds))
}

/// Days since 1970 in the Gregorian calendar: years that begin in March have their leap day last.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // From the first of March of the year 0 to 1970.
    days - 719_468
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| 10 * number + u64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let common = |text: &str| of_common_log(text.as_bytes()).map(|t| t.as_secs());
        assert_eq!(common("17/May/2015:10:05:03 +0000"), Some(1_431_857_103));
        assert_eq!(common("17/May/2015:12:05:03 +0200"), Some(1_431_857_103));
        assert_eq!(common("29/Feb/2024:23:59:60 -0030"), Some(1_709_253_000));
        for bad in
            ["17/Mai/2015:10:05:03 +0000", "17/May/2015:10:05:03", "17/May/2015:25:05:03 +0000"]
        {
            assert_eq!(common(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_number_tells_its_unit_by_its_size() {
        for number in [1_431_857_103.25, 1_431_857_103_250.0, 1_431_857_103_250_000.0] {
            assert_eq!(of_number(number), Some(Timestamp::from_millis(1_431_857_103_250)));
        }
        let nanos = of_number(1_431_857_103_250_000_000.0).unwrap();
        assert_eq!(nanos, Timestamp::from_millis(1_431_857_103_250));
        assert_eq!(of_number(-1.0), None);
        assert_eq!(of_number(f64::NAN), None);
    }
}
