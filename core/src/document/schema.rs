//! The policy language as a JSON Schema, by which editors complete and check a policy file.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use super::decode::Decode;
use super::sections::Document;
use super::shape::{Field, Section, Shape};
use crate::policy::SCHEMA;

/// The JSON Schema of a policy file, draft 2020-12; ends with a line break.
///
/// It knows words, fields and types. What a text means, and whether what it refers to is
/// there, only [`read`](super::read) knows: every text may come from the environment.
pub fn schema() -> String {
    let mut definitions = BTreeMap::new();
    let root = reference_to(&Document::shape(), &mut definitions);
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("Tidegate policy, schema {SCHEMA}"),
        "allOf": [root],
        "$defs": definitions,
    });
    format!("{schema:#}\n")
}

/// The schema of a shape. Sections become definitions and are referred to.
fn reference_to(shape: &Shape, definitions: &mut BTreeMap<String, Value>) -> Value {
    match shape {
        Shape::Text(what) => json!({ "type": "string", "description": what }),
        // Anything else comes from the environment.
        Shape::Words(words) => json!({
            "anyOf": [{ "enum": words }, { "type": "string", "pattern": r"\$\{" }],
        }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Number => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Shape::OneOrMore(one) => {
            let one = reference_to(one, definitions);
            json!({ "anyOf": [one, { "type": "array", "items": one }] })
        }
        Shape::Array(one) => json!({ "type": "array", "items": reference_to(one, definitions) }),
        Shape::Named(one) => {
            json!({ "type": "object", "additionalProperties": reference_to(one, definitions) })
        }
        Shape::Either(shapes) => {
            let shapes: Vec<_> = shapes.iter().map(|s| reference_to(s, definitions)).collect();
            json!({ "anyOf": shapes })
        }
        Shape::Section(section) => {
            let section = section();
            let reference = json!({ "$ref": format!("#/$defs/{}", section.name) });
            if !definitions.contains_key(section.name) {
                // Holds the place, so that a section within itself would end here.
                definitions.insert(section.name.to_string(), Value::Null);
                let schema = object(&section, definitions);
                definitions.insert(section.name.to_string(), schema);
            }
            reference
        }
    }
}

fn object(section: &Section, definitions: &mut BTreeMap<String, Value>) -> Value {
    let mut properties = Map::new();
    for Field { key, doc, shape, .. } in &section.fields {
        let mut property = reference_to(shape, definitions);
        let takes = match shape {
            Shape::Text(what) => format!("\n\nTakes {what}."),
            _ => String::new(),
        };
        property["description"] = json!(format!("{}{takes}", prose(doc)));
        properties.insert((*key).to_string(), property);
    }
    let required: Vec<_> =
        section.fields.iter().filter(|field| field.is_required).map(|field| field.key).collect();
    json!({
        "type": "object",
        "description": prose(section.doc),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The text of a documentation comment, a paragraph a line.
pub(super) fn prose(doc: &str) -> String {
    let paragraphs = doc.split("\n \n").flat_map(|part| part.split("\n\n"));
    let joined = paragraphs.map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "));
    joined.filter(|paragraph| !paragraph.is_empty()).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_in_the_schema_and_documented() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let definitions = schema["$defs"].as_object().unwrap();
        assert!(definitions.len() >= 10, "{:?}", definitions.keys());
        for (name, definition) in definitions {
            assert_eq!(definition["additionalProperties"], json!(false), "{name}");
            for (key, property) in definition["properties"].as_object().unwrap() {
                let text = property["description"].as_str().unwrap();
                assert!(text.len() > 10, "{name}.{key}");
            }
        }
        let cache = &definitions["CacheTable"];
        assert_eq!(cache["required"], json!(["mode"]));
        assert_eq!(cache["properties"]["mode"]["anyOf"][0]["enum"][1], "respect");
    }
}
