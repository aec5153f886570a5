//! Which field names stand in a head, roughly: one of 64 bits for each. A bit that is not set says
//! that a name is not there, without a look at any.

/// One of 64 bits, which differ for most names that differ.
#[inline]
pub(crate) const fn bit(name: &str) -> u64 {
    match name.as_bytes() {
        [] => 1,
        bytes @ [first, ..] => {
            let last = bytes[bytes.len() - 1];
            1 << ((bytes.len() * 31 + *first as usize * 7 + last as usize) % 64)
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
