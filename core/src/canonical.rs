//! Reads canonical JSON, with as little code as there can be: it is in every upload of the worker.
//!
//! `serde_json` reads the text, once for all types, and what is read becomes a model by a reader
//! that knows the one notation in which a program writes each kind of thing. Its own can also
//! read a structure as a list, and a text as bytes, and makes the code for each way of each type.

use alloc::string::{String, ToString};
use core::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::{Map, Value, map};

/// Reads what `Serialize` wrote. Members of the same name count as the last of them.
pub fn read<T: de::DeserializeOwned>(json: &str) -> Result<T, Unreadable> {
    // As bytes, since tokens are read so, too: the reader is in the worker once.
    let value: Value =
        serde_json::from_slice(json.as_bytes()).map_err(|error| Unreadable(error.to_string()))?;
    T::deserialize(Reader(&value))
}

/// Reads what the shim alone needs, in a program that reads policy files, too: others skip it, and
/// the code that would read it is in no worker.
pub(crate) fn of_the_shim<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    #[cfg(feature = "toml")]
    return T::deserialize(from);
    #[cfg(not(feature = "toml"))]
    return de::IgnoredAny::deserialize(from).map(|_| T::default());
}

/// Why a text is not the canonical JSON of what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Unreadable {}

impl Unreadable {
    #[cold]
    #[inline(never)]
    fn of(what: &str, name: &str) -> Self {
        Self([what, " `", name, "`"].concat())
    }

    #[cold]
    #[inline(never)]
    fn kind(wanted: &str) -> Self {
        Self([wanted, " was expected"].concat())
    }
}

/// What is wrong is said without the value: formatting one of any kind is a lot of code.
impl de::Error for Unreadable {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::kind("something else")
    }

    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::kind("another value")
    }

    fn invalid_length(_: usize, _: &dyn de::Expected) -> Self {
        Self::kind("another number of elements")
    }

    fn unknown_variant(found: &str, _: &'static [&'static str]) -> Self {
        Self::of("unknown word", found)
    }

    fn unknown_field(found: &str, _: &'static [&'static str]) -> Self {
        Self::of("unknown field", found)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::of("missing field", name)
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::of("repeated field", name)
    }
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a Value);

impl<'a> Reader<'a> {
    fn object(self) -> Result<&'a Map<String, Value>, Unreadable> {
        self.0.as_object().ok_or_else(|| Unreadable::kind("an object"))
    }

    fn text(self) -> Result<&'a str, Unreadable> {
        self.0.as_str().ok_or_else(|| Unreadable::kind("a string"))
    }

    fn whole_number(self) -> Result<u64, Unreadable> {
        self.0.as_u64().ok_or_else(|| Unreadable::kind("a whole number"))
    }
}

/// Kinds that are read as one of their likes, and kinds that nothing canonical has.
macro_rules! methods {
    ($read:ident as $visit:ident: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            visitor.$visit(self.$read()?)
        }
    )*};
    (none: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unreadable> {
            Err(Unreadable::kind("something canonical"))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Unreadable;

    methods! { whole_number as visit_u64:
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }
    methods! { text as visit_str: deserialize_str deserialize_string deserialize_identifier }
    methods! { none: deserialize_any deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    deserialize_f32 deserialize_f64 deserialize_char deserialize_bytes deserialize_byte_buf
    deserialize_unit }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_bool(self.0.as_bool().ok_or_else(|| Unreadable::kind("true or false"))?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Unreadable> {
        Err(Unreadable::kind("something canonical"))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let list = self.0.as_array().ok_or_else(|| Unreadable::kind("a list"))?;
        visitor.visit_seq(Elements(list.iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_map(Members { members: self.object()?.iter(), value: &Value::Null })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_map(visitor)
    }

    /// A word, or an object with the word for its one name.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let (word, value) = match self.0 {
            Value::String(word) => (word, &Value::Null),
            _ => {
                let one = self.object()?;
                let first = one.iter().next().filter(|_| one.len() == 1);
                first.ok_or_else(|| Unreadable::kind("one name"))?
            }
        };
        visitor.visit_enum(Word { word, value })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }
}

struct Elements<'a>(core::slice::Iter<'a, Value>);

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Unreadable;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unreadable> {
        self.0.next().map(|value| seed.deserialize(Reader(value))).transpose()
    }
}

struct Members<'a> {
    members: map::Iter<'a>,
    /// Of the name that was read last.
    value: &'a Value,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Unreadable;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unreadable> {
        let Some((name, value)) = self.members.next() else { return Ok(None) };
        self.value = value;
        seed.deserialize(Name(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Unreadable> {
        seed.deserialize(Reader(self.value))
    }
}

/// The name of a member, or a word.
struct Name<'a>(&'a str);

impl<'de> Deserializer<'de> for Name<'de> {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_str(self.0)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Word<'a> {
    word: &'a str,
    value: &'a Value,
}

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = Unreadable;
    type Variant = Reader<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Reader<'de>), Unreadable> {
        Ok((seed.deserialize(Name(self.word))?, Reader(self.value)))
    }
}

impl<'de> VariantAccess<'de> for Reader<'de> {
    type Error = Unreadable;

    fn unit_variant(self) -> Result<(), Unreadable> {
        self.0.is_null().then_some(()).ok_or_else(|| Unreadable::kind("a word alone"))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, Unreadable> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_map(visitor)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        number: u32,
        flag: bool,
        text: Option<String>,
        list: Vec<Word>,
        pair: Option<(u64, u64)>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        Alone,
        With(u64),
        Several { one: u64 },
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let sample = Sample {
            number: 7,
            flag: true,
            text: Some("a \"quoted\" ü".into()),
            list: alloc::vec![Word::Alone, Word::With(1), Word::Several { one: 2 }],
            pair: Some((1, u64::MAX)),
        };
        for sample in [sample, Sample::default()] {
            let json = serde_json::to_string(&sample).unwrap();
            assert_eq!(read::<Sample>(&json), Ok(sample), "{json}");
        }
    }

    #[test]
    fn anything_else_is_refused_and_says_why() {
        for (json, why) in [
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("[7]", "an object was expected"),
            (r#"{"number":4294967296}"#, "another value was expected"),
            (r#"{"number":-1}"#, "a whole number was expected"),
            (r#"{"number":"7"}"#, "a whole number was expected"),
            (r#"{"flag":1}"#, "true or false was expected"),
            (r#"{"text":[]}"#, "a string was expected"),
            (r#"{"list":{}}"#, "a list was expected"),
            (r#"{"list":["other"]}"#, "unknown word `other`"),
            (r#"{"list":[{"alone":1}]}"#, "a word alone was expected"),
            (r#"{"list":[{"several":{}}]}"#, "missing field `one`"),
            (r#"{"list":[{"with":1,"alone":null}]}"#, "one name was expected"),
            (r#"{"pair":[1]}"#, "another number of elements was expected"),
            (r#"{"nummer":7}"#, "unknown field `nummer`"),
        ] {
            let refused = read::<Sample>(json).unwrap_err();
            assert_eq!(alloc::string::ToString::to_string(&refused), why, "{json}");
        }
    }
}
