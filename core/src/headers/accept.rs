//! Accept (RFC 9110 §12.5.1), as far as we have two ways to say the same: a page for people,
//! or JSON for programs.

use super::weight::weight;
use super::{Fields, list};

/// Whether a client prefers HTML over JSON. One that does not name HTML gets JSON: wildcards
/// are what programs send.
pub fn prefers_html(fields: &(impl Fields + ?Sized)) -> bool {
    let (mut html, mut json) = (0, 0);
    for member in fields.lines_of("accept").flat_map(list::members) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let media = parts.next().unwrap_or_default();
        let is = |name: &str| media.eq_ignore_ascii_case(name.as_bytes());
        let best = if is("text/html") || is("application/xhtml+xml") {
            &mut html
        } else if is("application/json") || is("application/problem+json") {
            &mut json
        } else {
            continue;
        };
        let weight = parts.find_map(|part| match part {
            [b'q' | b'Q', b'=', ..] => Some(weight(part).unwrap_or(0)),
            _ => None,
        });
        *best = weight.unwrap_or(1000).max(*best);
    }
    html > 0 && html >= json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_a_page_and_programs_do_not() {
        let prefers = |accept: &str| prefers_html(&[("accept", accept)]);
        assert!(prefers("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(prefers("application/json;q=0.8, Text/HTML"));
        assert!(prefers("text/html;level=1;q=0.5, application/json;q=0.4"));
        for accept in [
            "*/*",
            "",
            "application/json, text/plain, */*",
            "text/html;q=0",
            "text/html;q=0.000, */*",
            "text/html;q=0.8, application/problem+json",
            "text/html;q=2",
            "text/html;q=0.1234",
        ] {
            assert!(!prefers(accept), "{accept}");
        }
        let none: [(&str, &str); 0] = [];
        assert!(!prefers_html(&none));
        assert!(prefers_html(&[("accept", "application/json;q=0.1"), ("accept", "text/html")]));
    }
}
