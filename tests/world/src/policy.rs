//! The policy file under which cases run: a route for each, by its host.

use std::fmt::Write;

use crate::case::Case;

/// The policy file for these cases, with the origin of all of them at `upstream`.
pub fn text<'a>(cases: impl IntoIterator<Item = &'a Case>, upstream: &str) -> String {
    let mut text = format!(
        "schema = 1\n[identity]\ncredential = \"authorization\"\n\
         [upstreams.scripted]\nservers = [\"{upstream}\"]\n"
    );
    for case in cases {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "[[routes]]\nname = \"{id}\"\nmatch = \"/*\"\nhost = [\"{host}\", \"{other}\"]\n\
             upstream = \"scripted\"\norigin = {{ {rule} }}\nedge = {{ {rule} }}\n{route}\n",
            id = case.id,
            host = case.host(),
            other = case.other_host(),
            rule = case.rule,
            route = case.route,
        );
    }
    text
}
