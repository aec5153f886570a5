//! The words that requests are counted by: bounded, whatever clients and origins say.

/// Methods that have a number of their own; any other is `other`.
pub(super) const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY", "other"];

/// The outcome of a request by which a browser asks whether it may ask (CORS).
pub(crate) const PREFLIGHT: &str = "PREFLIGHT";

/// What became of a request: the words of `X-Cache`, and what has no such field.
pub(super) const OUTCOMES: [&str; 7] =
    ["HIT", "STALE", "REVALIDATED", "MISS", "BYPASS", PREFLIGHT, "NONE"];

/// Status codes that have a number of their own: those of IANA's registry, and what is common
/// besides. Any other counts by its first digit.
const CODES: [u16; 64] = [
    100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304,
    305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415,
    416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504,
    505, 506, 507, 508, 510, 511, 520,
];

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

/// How many numbers there are for status codes.
pub(super) const STATUSES: usize = CODES.len() + CLASSES.len();

/// The positions of codes, by code from 100 on.
const POSITIONS: [u8; 500] = {
    let (mut positions, mut code) = ([0; 500], 0);
    while code < 500 {
        positions[code] = (CODES.len() + code / 100) as u8;
        code += 1;
    }
    let mut at = 0;
    while at < CODES.len() {
        positions[CODES[at] as usize - 100] = at as u8;
        at += 1;
    }
    positions
};

/// The position of a method.
pub(super) fn method(name: &str) -> usize {
    METHODS.iter().position(|known| *known == name).unwrap_or(METHODS.len() - 1)
}

/// The position of an outcome; that of an answer of our own for what is none.
pub(super) fn outcome(word: &str) -> usize {
    OUTCOMES.iter().position(|known| *known == word).unwrap_or(OUTCOMES.len() - 1)
}

/// The position of a status code, below [`STATUSES`].
pub(super) fn status(code: u16) -> usize {
    let at = usize::from(code).checked_sub(100).and_then(|at| POSITIONS.get(at));
    at.map_or(STATUSES - 1, |at| usize::from(*at))
}

/// The word for the status at a position.
pub(super) fn status_word(at: usize) -> String {
    match CODES.get(at) {
        Some(code) => code.to_string(),
        None => CLASSES[(at - CODES.len()).min(CLASSES.len() - 1)].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_every_status_has_a_word() {
        for code in 0..=u16::MAX {
            let word = status_word(status(code));
            match code {
                100..600 if CODES.contains(&code) => assert_eq!(word, code.to_string()),
                100..600 => assert_eq!(word, format!("{}xx", code / 100)),
                _ => assert_eq!(word, "other", "{code}"),
            }
        }
    }

    #[test]
    fn p10_unknown_methods_share_a_word() {
        assert_eq!(METHODS[method("GET")], "GET");
        assert_eq!(METHODS[method("get")], "other");
        assert_eq!(OUTCOMES[outcome("MISS")], "MISS");
        assert_eq!(OUTCOMES[outcome("")], "NONE");
    }
}
