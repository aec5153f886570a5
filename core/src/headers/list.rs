//! Comma-separated lists (RFC 9110 §5.6.1) whose members may hold quoted strings (§5.6.4).

/// The members of one field value: split at commas outside quoted strings, trimmed,
/// empty ones left out.
///
/// An unclosed quote runs to the end of the value, so that one bad member never
/// makes what stands inside it look like further members.
pub fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    core::iter::from_fn(move || {
        while let Some(value) = rest {
            let end = end_of_member(value);
            rest = value.get(end + 1..);
            let member = value[..end].trim_ascii();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    })
}

/// Where the first member ends: at the first comma outside quotes, or with the value.
fn end_of_member(value: &[u8]) -> usize {
    match value.iter().position(|b| matches!(b, b',' | b'"')) {
        None => value.len(),
        Some(at) if value[at] == b',' => at,
        Some(quote) => quote + end_behind_quote(&value[quote..]),
    }
}

/// The same for a value that starts with a quote.
fn end_behind_quote(value: &[u8]) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    value.len()
}

/// The text between the quotes of a quoted-string without escapes, else the value itself.
///
/// Directives and field names need no escapes; one that holds some stays as it is
/// and so matches nothing.
pub fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => inner,
        _ => value,
    }
}

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
pub const fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'
        | b'_' | b'`' | b'|' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn split(value: &str) -> Vec<&str> {
        members(value.as_bytes()).map(|m| core::str::from_utf8(m).unwrap()).collect()
    }

    #[test]
    fn commas_in_quotes_do_not_split() {
        assert_eq!(split(r#"a="x,y", b"#), [r#"a="x,y""#, "b"]);
        assert_eq!(split(r#"a="x\",y", b"#), [r#"a="x\",y""#, "b"]);
    }

    #[test]
    fn empty_members_are_left_out() {
        assert_eq!(split(" , a ,, b,"), ["a", "b"]);
        assert_eq!(split(""), [""; 0]);
    }

    #[test]
    fn an_unclosed_quote_hides_what_follows() {
        assert_eq!(split(r#"a="x, public"#), [r#"a="x, public"#]);
    }
}
