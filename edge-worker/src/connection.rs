//! Fields that are for one connection and end with it (RFC 9110 §7.6.1).

use tidegate_core::forward::{connection_options, is_hop_by_hop, is_unkeyed_override};
use tidegate_core::headers::Fields;

use crate::edits::Edits;
use crate::head::Head;

/// Whether a field of a message ends with the connection that the message came by: always,
/// or because the message's Connection field says so.
pub(crate) fn ends(fields: &impl Fields, name: &str) -> bool {
    let is_named = |option: &[u8]| option.eq_ignore_ascii_case(name.as_bytes());
    is_hop_by_hop(name) || connection_options(fields).any(is_named)
}

/// What a client's fields lose on the way to the origin: those that end here, and those that could
/// have it answer for another URL or host than the one that was asked for.
pub(crate) fn travelling(fields: &Head) -> Edits {
    let mut edits = Edits::default();
    let upgrades = fields.first("upgrade").is_some();
    for (name, _) in fields.pairs() {
        let ends_here = ends(fields, name) && !(upgrades && name == "upgrade");
        if ends_here || is_unkeyed_override(name) {
            edits.drop(name);
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_ends_with_it() {
        let fields = vec![("connection", "keep-alive, X-Hop"), ("x-hop", "1"), ("x-own", "1")];
        assert!(ends(&fields, "x-hop") && ends(&fields, "connection") && ends(&fields, "te"));
        assert!(!ends(&fields, "x-own"));
    }
}
