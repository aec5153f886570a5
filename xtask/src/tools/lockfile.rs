//! The one thing asked of Cargo.lock: which version of a package is locked.

/// The version of the first package of that name.
///
/// Cargo writes the file, one `name = "…"` directly before its `version = "…"`;
/// reading the two lines needs no TOML parser.
pub(super) fn version_of<'a>(package: &str, lock: &'a str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
[[package]]
name = "wasm-bindgen-macro"
version = "0.2.1"

[[package]]
name = "wasm-bindgen"
version = "0.2.130"
dependencies = [
 "cfg-if",
]
"#;

    #[test]
    fn finds_the_package_and_not_its_namesakes() {
        assert_eq!(version_of("wasm-bindgen", LOCK), Some("0.2.130"));
    }

    #[test]
    fn a_package_that_is_not_locked_has_no_version() {
        assert_eq!(version_of("wasm", LOCK), None);
        assert_eq!(version_of("cfg-if", LOCK), None);
    }
}
