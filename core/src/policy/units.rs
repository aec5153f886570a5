//! Quantities as people write them: `5m`, `100 per 60s`.

use alloc::format;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use super::Malformed;

/// A hundred years, in seconds: no time to live or window is longer.
const LONGEST: u64 = 100 * 365 * 86_400;

/// Reads a duration: a whole number with its unit, or several, largest first: `90s`, `1h30m`.
///
/// Units are `ms`, `s`, `m`, `h`, `d` and `y` (365 days). A number alone is refused, since
/// nobody agrees on what it counts.
pub fn duration(text: &str) -> Result<Duration, Malformed> {
    let bad = |message| {
        Malformed::new(message, "a duration reads like `500ms`, `90s`, `5m`, `1h30m`, `1d` or `1y`")
    };
    let mut total = Duration::ZERO;
    let mut largest_allowed = u64::MAX;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad(format!("`{text}` is no duration")));
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let Ok(number) = number.parse::<u64>() else {
            return Err(bad(format!("`{text}` is no duration")));
        };
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "y" => 365 * 86_400_000,
            "" => return Err(bad(format!("`{text}` has no unit"))),
            _ => return Err(bad(format!("`{unit}` is no unit of time"))),
        };
        if millis >= largest_allowed {
            return Err(bad(format!("`{text}` names its units in the wrong order")));
        }
        largest_allowed = millis;
        total = total.saturating_add(Duration::from_millis(number.saturating_mul(millis)));
        rest = behind;
    }
    if total.as_secs() > LONGEST {
        return Err(bad(format!("`{text}` is longer than a hundred years")));
    }
    Ok(total)
}

/// Displays a duration as the policy would write it: `5m`, `1h30m`, `1500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationText(pub Duration);

impl fmt::Display for DurationText {
    /// The units that divide it without rest; up to two minutes in seconds, as people say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = crate::time::millis(self.0);
        if !millis.is_multiple_of(1000) {
            return write!(f, "{millis}ms");
        }
        let seconds = millis / 1000;
        if seconds <= 120 {
            return write!(f, "{seconds}s");
        }
        let mut rest = seconds;
        for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
            if rest >= length {
                write!(f, "{}{unit}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

/// Reads a number of bytes: a whole number with its unit, `256MB`. `kB`, `MB` and `GB` are
/// powers of 1000, `KiB`, `MiB` and `GiB` of 1024.
pub fn bytes(text: &str) -> Result<u64, Malformed> {
    let bad = |message| Malformed::new(message, "a size reads like `64kB`, `256MB` or `1GiB`");
    let text = text.trim();
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let unit = match unit {
        "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" => return Err(bad(format!("`{text}` has no unit"))),
        _ => return Err(bad(format!("`{unit}` is no unit of size"))),
    };
    let number = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    number.ok_or_else(|| bad(format!("`{text}` is no size")))
}

/// Reads a rate: `100 per 60s`, a number of requests in a window.
pub fn rate(text: &str) -> Result<(NonZeroU32, Duration), Malformed> {
    let bad =
        |message| Malformed::new(message, "a limit reads like `100 per 60s` or `1000 per 15m`");
    let (quota, window) =
        text.split_once(" per ").ok_or_else(|| bad(format!("`{text}` is no limit")))?;
    let quota = quota.trim().parse().map_err(|_| {
        bad(format!("`{}` is no number of requests from 1 to {}", quota.trim(), u32::MAX))
    })?;
    let window = duration(window)?;
    if window < Duration::from_millis(1) {
        return Err(bad(format!("`{text}` has a window of no length")));
    }
    Ok((quota, window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_say_their_unit() {
        for (text, seconds) in [
            ("60s", 60),
            ("5m", 300),
            ("1h30m", 5400),
            ("1d", 86_400),
            ("1y", 31_536_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(duration("1s500ms").unwrap(), Duration::from_millis(1500));
        for text in [
            "",
            "60",
            "s",
            "1 m",
            "-1s",
            "1.5h",
            "5min",
            "1m1h",
            "1s1s",
            "101y",
            "99999999999999999999s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        use alloc::string::ToString;
        for text in ["0s", "60s", "120s", "5m", "1h30m", "1d", "1500ms", "365d", "2m1s"] {
            assert_eq!(DurationText(duration(text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn sizes_say_their_unit() {
        for (text, size) in [("0B", 0), ("64kB", 64_000), ("256MB", 256_000_000), ("1GiB", 1 << 30)]
        {
            assert_eq!(bytes(text).unwrap(), size, "{text}");
        }
        for text in ["", "1", "MB", "1.5GB", "-1MB", "1 MB", "1mb", "99999999999999999999GB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_say_what_they_mean() {
        let (quota, window) = rate("100 per 60s").unwrap();
        assert_eq!((quota.get(), window), (100, Duration::from_secs(60)));
        for text in [
            "100",
            "100/60s",
            "0 per 60s",
            "100 per 0s",
            "-1 per 60s",
            "100 per 60",
            "5000000000 per 1s",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
