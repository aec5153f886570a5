//! Numbers as people read them.

/// `1,234,567`
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `+1,234`, `-5`, `0`
pub(crate) fn signed(number: i64) -> String {
    let sign = match number {
        0 => "",
        n if n > 0 => "+",
        _ => "-",
    };
    format!("{sign}{}", thousands(number.unsigned_abs()))
}

/// `42.1 %`; what is nearly none or nearly all is not rounded to that.
pub(crate) fn percent(part: f64) -> String {
    let hundredths = 100.0 * part;
    match hundredths {
        h if h > 0.0 && h < 0.05 => "< 0.1 %".into(),
        h if (99.95..100.0).contains(&h) => "> 99.9 %".into(),
        h => format!("{h:.1} %"),
    }
}

/// `1.5 GiB`
pub(crate) fn bytes(bytes: f64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(size, _)| bytes >= *size as f64);
    let Some((size, name)) = unit else { return format!("{bytes:.0} B") };
    let number = bytes / size as f64;
    match number < 100.0 && number.fract() != 0.0 {
        true => format!("{number:.1} {name}"),
        false => format!("{number:.0} {name}"),
    }
}

/// `3 days 11 hours`, `5 minutes`, `42 seconds`: the two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let mut left = seconds;
    let mut words = Vec::new();
    for (length, name) in units {
        let count = left / length;
        left %= length;
        if count > 0 {
            words.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        } else if !words.is_empty() {
            break;
        }
    }
    words.truncate(2);
    if words.is_empty() { "no time".into() } else { words.join(" ") }
}

/// `5s`, `1m`, `6h`, `30d`: as the policy has it.
pub(crate) fn ttl(seconds: f64) -> String {
    let seconds = seconds as u64;
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let unit =
        units.into_iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    unit.map_or_else(
        || format!("{seconds}s"),
        |(length, name)| format!("{}{name}", seconds / length),
    )
}

/// A number, or about so many.
pub(crate) fn count(count: crate::sketch::Count) -> String {
    let about = if count.is_estimate { "about " } else { "" };
    format!("{about}{}", thousands(count.count))
}

/// `2015-05-17 10:05` of `2015-05-17T10:05:03Z`.
pub(crate) fn minute(rfc3339: &str) -> String {
    rfc3339.get(..16).unwrap_or(rfc3339).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_true() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(percent(0.421), "42.1 %");
        assert_eq!(percent(0.000_1), "< 0.1 %");
        assert_eq!(percent(0.999_9), "> 99.9 %");
        assert_eq!(percent(1.0), "100.0 %");
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(1_610_612_736.0), "1.5 GiB");
        assert_eq!(bytes(1_048_576.0), "1 MiB");
        assert_eq!(span(3 * 86_400 + 11 * 3_600 + 5), "3 days 11 hours");
        assert_eq!(span(61), "1 minute 1 second");
        assert_eq!(span(0), "no time");
        assert_eq!(ttl(90.0), "90s");
        assert_eq!(ttl(7_200.0), "2h");
    }
}
