//! Cookie (RFC 6265 §4.2), read as lenient servers do.

use super::Fields;

/// All values of the cookie `name`, as they stand behind the `=`; an absent one differs from
/// an empty one. White space around the name is dropped, as lenient servers do: else
/// `session =x` would be nobody's to us and somebody's to them.
pub fn values<'a, F: Fields + ?Sized>(fields: &'a F, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = fields.lines_of("cookie").flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let mut sides = pair.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
        let (named, value) = (sides.next()?, sides.next()?);
        (named == name.as_bytes()).then_some(value)
    })
}
