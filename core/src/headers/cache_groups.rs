//! Cache-Groups and Cache-Group-Invalidation (RFC 9875): answers that stand and fall together.

use alloc::string::String;
use alloc::vec::Vec;

use super::Fields;
use super::structured::{self, Value};

/// More groups than this are not heeded; RFC 9875 §2 asks for 32 at least.
pub const GROUPS_MAX: usize = 128;

/// The groups that an answer belongs to (§2).
pub fn groups(fields: &(impl Fields + ?Sized)) -> Vec<String> {
    read(fields, "cache-groups")
}

/// The groups that the answer to an unsafe request invalidates, on its own origin (§3).
pub fn invalidated(fields: &(impl Fields + ?Sized)) -> Vec<String> {
    read(fields, "cache-group-invalidation")
}

/// The strings of a list. A field that is no list is ignored whole, members that are no
/// strings are ignored by themselves (§2).
fn read(fields: &(impl Fields + ?Sized), name: &str) -> Vec<String> {
    let lines: Vec<&[u8]> = fields.lines_of(name).collect();
    let members = structured::list(&lines.join(&b", "[..])).unwrap_or_default();
    let strings = members.into_iter().filter_map(|member| match member {
        Value::String(group) => Some(group),
        _ => None,
    });
    strings.take(GROUPS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_all_lines_are_groups_and_nothing_else_is() {
        let fields =
            [("cache-groups", r#""scripts", "a\"b";x=1, token, 5"#), ("cache-groups", "\"x\"")];
        assert_eq!(groups(&fields), ["scripts", "a\"b", "x"]);
        assert_eq!(groups(&[("cache-groups", "\"open")]), [""; 0]);
        assert_eq!(invalidated(&fields), [""; 0]);
        assert_eq!(invalidated(&[("cache-group-invalidation", "\"scripts\"")]), ["scripts"]);
    }
}
