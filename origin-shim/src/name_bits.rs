//! Which field names stand in a head, roughly: one of 64 bits for each. A bit that is not set says
//! that a name is not there, without a look at any.

/// One of 64 bits, which differ for most names that differ. The factors are chosen so that they do
/// for all that a hit has to tell apart.
#[inline]
pub(crate) const fn bit(name: &str) -> u64 {
    match name.as_bytes() {
        [] => 1,
        bytes @ [first, ..] => {
            let length = bytes.len();
            let last = bytes[length - 1];
            // By this alone `x-ratelimit-limit` is another than `x-ratelimit-reset`.
            let third_last = bytes[length.saturating_sub(3)];
            let lot =
                length * 6 + *first as usize * 37 + last as usize * 54 + third_last as usize * 20;
            1 << (lot % 64)
        }
    }
}

/// The bits of some names.
pub(crate) const fn bits(names: &[&str]) -> u64 {
    let (mut bits, mut at) = (0, 0);
    while at < names.len() {
        bits |= bit(names[at]);
        at += 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_hit_have_bits_of_their_own() {
        const NAMES: [&str; 18] = [
            "age",
            "cache-control",
            "cache-status",
            "connection",
            "content-length",
            "content-type",
            "date",
            "etag",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "vary",
            "x-cache",
            "x-content-type-options",
            "x-frame-options",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ];
        assert_eq!(bits(&NAMES).count_ones() as usize, NAMES.len());
    }
}
