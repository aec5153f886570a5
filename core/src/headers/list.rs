//! Comma-separated lists (RFC 9110 §5.6.1), with and without quoted strings in them (§5.6.4).

/// The members of a list in which nothing is ever quoted (names, numbers, addresses): split at
/// every comma, trimmed, empty ones left out.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(value, |rest| comma_from(rest, 0))
}

/// The directives of one Cache-Control line (RFC 9111 §5.2), trimmed, empty ones left out.
///
/// Commas hide only in an argument that is a whole quoted string. Any other quote is a byte like
/// others: one that never closes, or that stands where no argument begins, hides no directive.
pub fn directives(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(value, end_of_directive)
}

/// The members of one field value: split at commas outside quoted strings, trimmed,
/// empty ones left out.
///
/// An unclosed quote runs to the end of the value: values that differ stay different, however
/// malformed they are. Where a member must not hide others, see [`directives`] and [`tokens`].
pub fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(value, end_of_member)
}

fn split(value: &[u8], end_of_first: impl Fn(&[u8]) -> usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    core::iter::from_fn(move || {
        while let Some(value) = rest {
            let end = end_of_first(value);
            rest = value.get(end + 1..);
            let member = value[..end].trim_ascii();
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    })
}

/// Where the next comma is from `start` on, or the end.
fn comma_from(value: &[u8], start: usize) -> usize {
    value[start..].iter().position(|b| *b == b',').map_or(value.len(), |at| start + at)
}

/// Where the first directive ends.
fn end_of_directive(value: &[u8]) -> usize {
    match value.iter().position(|b| matches!(b, b',' | b'"')) {
        None => value.len(),
        Some(at) if value[at] == b',' => at,
        Some(quote) => {
            let argument = quote.checked_sub(1).filter(|before| value[*before] == b'=');
            let end = argument.and_then(|_| end_of_quoted(&value[quote..]));
            end.map_or_else(|| comma_from(value, quote), |end| quote + end)
        }
    }
}

/// Where a member ends that consists of the quoted string at its begin; `None` if that never
/// closes, or if more follows it.
fn end_of_quoted(value: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let is_close = |byte: &u8| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    };
    let behind = 2 + value[1..].iter().position(is_close)?;
    let blanks = value[behind..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let end = behind + blanks;
    value.get(end).is_none_or(|b| *b == b',').then_some(end)
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

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2). A look into a table: every directive
/// of every answer asks for each of its bytes.
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[byte as usize]
}

const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = matches!(byte as u8, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+'
            | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z');
        byte += 1;
    }
    table
};

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
    fn tokens_end_at_every_comma() {
        let names: Vec<&[u8]> = tokens(b" a\", b ,, \"c, d\"").collect();
        assert_eq!(names, [&b"a\""[..], b"b", b"\"c", b"d\""]);
    }

    #[test]
    fn only_a_whole_quoted_argument_hides_commas() {
        let split = |value: &'static str| -> Vec<&str> {
            directives(value.as_bytes()).map(|d| core::str::from_utf8(d).unwrap()).collect()
        };
        assert_eq!(split(r#"a="x,y" , b"#), [r#"a="x,y""#, "b"]);
        assert_eq!(split(r#"a="x\",y", b"#), [r#"a="x\",y""#, "b"]);
        assert_eq!(split(r#"a="x\\", b"#), [r#"a="x\\""#, "b"]);
        for (value, parts) in [
            (r#"x", b"#, [r#"x""#, "b"]),
            (r#""x, b"#, [r#""x"#, "b"]),
            (r#"a="x, b"#, [r#"a="x"#, "b"]),
            (r#"a="x\", b"#, [r#"a="x\""#, "b"]),
            (r#"a ="x, b"#, [r#"a ="x"#, "b"]),
            (r#"x", b""#, [r#"x""#, r#"b""#]),
            (r#"a="x"y, b"#, [r#"a="x"y"#, "b"]),
            (r#"a="x,b"y"#, [r#"a="x"#, r#"b"y"#]),
        ] {
            assert_eq!(split(value), parts, "{value}");
        }
    }

    #[test]
    fn an_unclosed_quote_hides_what_follows() {
        assert_eq!(split(r#"a="x, public"#), [r#"a="x, public"#]);
    }
}
