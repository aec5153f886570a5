//! Values from the environment: `${NAME}` and `${NAME:-default}` inside strings (C2b).

use alloc::format;
use alloc::string::String;

use crate::policy::Malformed;

/// Fills the references in `text` in. `$` alone means itself.
///
/// A variable that is empty counts as unset where there is a default, as in a shell.
pub(super) fn expand(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Malformed> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        let (reference, behind) = behind.split_once('}').ok_or_else(|| {
            Malformed::new("`${` has no `}`", "write `${NAME}` or `${NAME:-default}`")
        })?;
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            return Err(Malformed::new(
                format!("`${{{reference}}}` names no variable"),
                "write `${NAME}` or `${NAME:-default}`",
            ));
        }
        let value = environment(name).filter(|value| default.is_none() || !value.is_empty());
        expanded.push_str(before);
        expanded.push_str(&value.or(default.map(String::from)).ok_or_else(|| {
            Malformed::new(
                format!("the environment variable `{name}` is not set"),
                format!("set it, or give a default: `${{{name}:-…}}`"),
            )
        })?);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ttl(text: &str) -> Result<String, Malformed> {
        expand(text, &|name| match name {
            "TTL" => Some("60".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn c2b_variables_and_defaults_fill_in() {
        assert_eq!(with_ttl("${TTL}s").unwrap(), "60s");
        assert_eq!(with_ttl("${OTHER:-5}m and ${TTL:-1}").unwrap(), "5m and 60");
        assert_eq!(with_ttl("${EMPTY:-5}").unwrap(), "5");
        assert_eq!(with_ttl("$5 {x}").unwrap(), "$5 {x}");
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert!(with_ttl("${OTHER}").unwrap_err().message.contains("`OTHER` is not set"));
        assert!(with_ttl("${TTL").is_err());
        assert!(with_ttl("${}").is_err());
        assert!(with_ttl("${a b:-c}").is_err());
    }
}
