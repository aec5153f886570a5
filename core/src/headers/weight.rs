//! Weights of members in lists of preferences (RFC 9110 §12.4.2).

/// `q=0.5` in thousandths; `None` for what is no weight.
pub(crate) fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', whole @ (b'0' | b'1'), fraction @ ..] = parameter else { return None };
    let digits = match fraction {
        [] => &[],
        [b'.', digits @ ..] => digits,
        _ => return None,
    };
    if digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let scale = [1000, 100, 10, 1][digits.len()];
    let fraction = digits.iter().fold(0, |n, b| n * 10 + u16::from(b - b'0')) * scale;
    Some(u16::from(whole - b'0') * 1000 + fraction).filter(|weight| *weight <= 1000)
}

/// A member and its weight, which is 1 where it says none; `None` for a malformed one.
pub(crate) fn weighted(member: &[u8]) -> Option<(&[u8], u16)> {
    match member.iter().position(|b| *b == b';') {
        Some(at) => Some((member[..at].trim_ascii(), weight(member[at + 1..].trim_ascii())?)),
        None => Some((member, 1000)),
    }
}
