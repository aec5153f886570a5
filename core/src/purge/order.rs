//! What somebody says is to be purged: by the command, by the shim, by an application.
//!
//! ```json
//! {"keys": ["https://www.example.com/plugins/app.js", "/api/v1/plugins"], "tags": ["team:42"],
//!  "prefixes": ["https://www.example.com/plugins/"], "everything": false}
//! ```

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value};

use super::Purge;
use crate::invalidate::Tag;
use crate::policy::Malformed;
use crate::policy::overrides::Objection;

/// Longer JSON is refused unread.
pub const JSON_MAX: usize = 64 * 1024;
/// Keys, tags and prefixes at most, together.
pub const ITEMS_MAX: usize = 500;
/// Bytes of a tag: more than the platform's own tags may have.
const TAG_MAX: usize = 1024;

/// How a text becomes what is purged.
type Read = fn(&str) -> Result<Purge, Malformed>;

/// What to purge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// URLs, or paths on all hosts.
    pub keys: Vec<String>,
    /// Tags.
    pub tags: Vec<Tag>,
    /// What URLs begin with, or paths on all hosts.
    pub prefixes: Vec<String>,
    /// All there is.
    pub everything: bool,
}

impl Order {
    /// Reads the JSON, strictly: it is refused for the first thing that is wrong, and nothing of
    /// it is done then.
    pub fn from_json(json: &[u8]) -> Result<Self, Objection> {
        let value = Some(json).filter(|json| json.len() <= JSON_MAX);
        let value: Option<Value> = value.and_then(|json| serde_json::from_slice(json).ok());
        let object = value.as_ref().and_then(Value::as_object);
        let object = object.ok_or_else(|| bad("", "this is no JSON object of at most 64 KiB"))?;
        let mut order = Self::default();
        for (name, value) in object {
            match &**name {
                "everything" => {
                    let said = value.as_bool();
                    order.everything =
                        said.ok_or_else(|| bad(name, "this is not true or false"))?;
                }
                "keys" => order.keys = texts(name, value)?,
                "prefixes" => order.prefixes = texts(name, value)?,
                "tags" => order.tags = texts(name, value)?.into_iter().map(Tag::named).collect(),
                _ => return Err(bad(name, "nothing is purged by this")),
            }
        }
        order.check()?;
        Ok(order)
    }

    fn check(&self) -> Result<(), Objection> {
        let number = self.len();
        if number == 0 && !self.everything {
            return Err(bad("", "this names nothing"));
        }
        if number > ITEMS_MAX {
            return Err(bad("", "these are more than 500 keys, tags and prefixes"));
        }
        let fits = |tag: &Tag| (1..=TAG_MAX).contains(&tag.as_str().len());
        if !self.tags.iter().all(fits) {
            return Err(bad("tags", "a tag has 1 to 1024 bytes"));
        }
        self.urls().map(drop)
    }

    /// How many keys, tags and prefixes it names.
    pub fn len(&self) -> usize {
        self.keys.len() + self.tags.len() + self.prefixes.len()
    }

    /// Whether it names none of them.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it means, tags aside: their names are the shell's to make.
    pub fn urls(&self) -> Result<Vec<Purge>, Objection> {
        let mut all = Vec::new();
        let named = |place: &str, read: Read, texts: &[String]| {
            let read = |(at, text): (usize, &String)| {
                read(text).map_err(|bad| Objection {
                    place: format!("{place}.{at}"),
                    message: bad.message,
                    hint: bad.hint,
                })
            };
            texts.iter().enumerate().map(read).collect::<Result<Vec<Purge>, _>>()
        };
        all.extend(named("keys", Purge::url, &self.keys)?);
        all.extend(named("prefixes", Purge::prefix, &self.prefixes)?);
        if self.everything {
            all.push(Purge::everything());
        }
        Ok(all)
    }

    /// The JSON.
    pub fn to_value(&self) -> Value {
        let mut all = Map::new();
        let tags = self.tags.iter().map(|tag| String::from(tag.as_str())).collect();
        for (name, texts) in [("keys", &self.keys), ("tags", &tags), ("prefixes", &self.prefixes)] {
            if !texts.is_empty() {
                all.insert(name.into(), texts.iter().map(|text| Value::from(&**text)).collect());
            }
        }
        if self.everything {
            all.insert("everything".into(), true.into());
        }
        Value::Object(all)
    }
}

fn texts(place: &str, value: &Value) -> Result<Vec<String>, Objection> {
    let mut texts = Vec::new();
    for value in value.as_array().ok_or_else(|| bad(place, "this is no list"))? {
        let text = value.as_str().ok_or_else(|| bad(place, "this is not a list of texts"))?;
        texts.push(text.into());
    }
    Ok(texts)
}

fn bad(place: &str, message: &str) -> Objection {
    Objection {
        place: place.into(),
        message: message.into(),
        hint: r#"write `{"keys": ["/a"], "tags": ["b"], "prefixes": ["/c/"]}` or `{"everything": true}`"#
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn c4_an_order_survives() {
        let json = r#"{"keys":["https://a.example/x","/y"],"prefixes":["/z/"],"tags":["team:42"]}"#;
        let order = Order::from_json(json.as_bytes()).unwrap();
        assert_eq!(order.to_value().to_string(), json);
        assert_eq!((order.len(), order.urls().unwrap().len()), (4, 3));
        let all = Order::from_json(br#"{"everything":true}"#).unwrap();
        assert_eq!(all.urls(), Ok(Vec::from([Purge::everything()])));
        assert_eq!(all.to_value().to_string(), r#"{"everything":true}"#);
    }

    #[test]
    fn what_is_no_order_is_refused_with_place_and_hint() {
        let many = format!(r#"{{"tags":[{}"x"]}}"#, r#""x","#.repeat(ITEMS_MAX));
        let long = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(TAG_MAX + 1));
        let huge = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(JSON_MAX));
        for (json, expected) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("{}", "names nothing"),
            (r#"{"everything":false}"#, "names nothing"),
            (r#"{"everything":1}"#, "everything: this is not true or false"),
            (r#"{"keys":"/x"}"#, "keys: this is no list"),
            (r#"{"keys":[1]}"#, "keys: this is not a list of texts"),
            (r#"{"keys":["/x","y"]}"#, "keys.1: `y` cannot be asked for"),
            (r#"{"prefixes":["//x"]}"#, "prefixes.0: `//x` cannot be asked for"),
            (r#"{"tags":[""]}"#, "tags: a tag has"),
            (r#"{"url":["/x"]}"#, "url: nothing is purged by this"),
            (&many, "more than 500"),
            (&long, "tags: a tag has"),
            (&huge, "at most 64 KiB"),
        ] {
            let said = Order::from_json(json.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(expected) && said.contains("= hint: "), "{json:.80}\n{said}");
        }
    }
}
