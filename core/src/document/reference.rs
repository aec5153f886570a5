//! The policy language as a document for people, from the same declarations.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::decode::Decode;
use super::lints::Lint;
use super::schema::prose;
use super::sections::Document;
use super::shape::{Section, Shape};

const INTRODUCTION: &str = "# The policy file

Everything that may be written in `tidegate.toml`. This page is printed by `tidegate schema --reference`
from the declarations that the program reads policies by; `tidegate schema` prints the JSON Schema
(`docs/policy.schema.json`) for editors. What is not listed here is refused, with its place and a hint.
";

/// The reference in Markdown: every section with its fields.
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    let Shape::Section(document) = Document::shape() else { return text };
    let mut waiting = VecDeque::from([("The whole file".to_string(), document())]);
    let mut written: Vec<&str> = Vec::new();
    while let Some((heading, section)) = waiting.pop_front() {
        if written.contains(&section.name) {
            continue;
        }
        written.push(section.name);
        write_section(&mut text, &heading, &section);
        for field in &section.fields {
            let path = path_of(section.name, field.key, &field.shape);
            if let Some(inner) = section_in(&field.shape) {
                waiting.push_back((path, inner));
            }
        }
    }
    text.push_str(WARNINGS);
    for lint in Lint::ALL {
        text.push_str(&format!("| {} | {} |\n", lint.code(), lint.explain()));
    }
    text
}

const WARNINGS: &str = "
## Warnings

What `tidegate check` warns of, `tidegate serve` says once, and `tidegate check --deny-warnings` refuses.

| code | why |
|---|---|
";

fn write_section(text: &mut String, heading: &str, section: &Section) {
    text.push_str(&format!("\n## {heading}\n\n{}\n\n", prose(section.doc)));
    text.push_str("| field | takes | meaning |\n|---|---|---|\n");
    for field in &section.fields {
        let required = if field.is_required { " (required)" } else { "" };
        let takes = takes(&field.shape).replace('|', "\\|");
        let meaning = prose(field.doc).replace("\n\n", " ").replace('|', "\\|");
        text.push_str(&format!("| `{}`{required} | {takes} | {meaning} |\n", field.key));
    }
}

/// How the heading of a nested section is written.
fn path_of(within: &str, key: &str, shape: &Shape) -> String {
    if within != "Document" {
        return format!("`{key}`");
    }
    match shape {
        Shape::Named(_) => format!("`[{key}.NAME]`"),
        Shape::Array(_) => format!("`[[{key}]]`"),
        _ => format!("`[{key}]`"),
    }
}

fn section_in(shape: &Shape) -> Option<Section> {
    match shape {
        Shape::Section(section) => Some(section()),
        Shape::OneOrMore(inner) | Shape::Array(inner) | Shape::Named(inner) => section_in(inner),
        Shape::Either(shapes) => shapes.iter().find_map(section_in),
        Shape::Text(_) | Shape::Words(_) | Shape::Flag | Shape::Number => None,
    }
}

fn takes(shape: &Shape) -> String {
    match shape {
        Shape::Text(what) => (*what).to_string(),
        Shape::Words(words) => {
            words.iter().map(|w| format!("`\"{w}\"`")).collect::<Vec<_>>().join(", ")
        }
        Shape::Flag => "`true` or `false`".to_string(),
        Shape::Number => "a whole number".to_string(),
        Shape::OneOrMore(inner) => format!("{}; one, or a list", takes(inner)),
        Shape::Array(inner) => format!("a list: {}", takes(inner)),
        Shape::Named(inner) => format!("a table of names: {}", takes(inner)),
        Shape::Either(shapes) => shapes.iter().map(takes).collect::<Vec<_>>().join("; or "),
        Shape::Section(_) => "a table, below".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_its_heading() {
        let text = reference();
        for heading in ["## `[limits.NAME]`", "## `[[routes]]`", "## `[shim]`", "## `key`"] {
            assert!(text.contains(heading), "{heading} in\n{text}");
        }
        assert!(text.contains("| `match` (required) |"));
    }
}
