//! A JSON object with each name once.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The members of an object. Two of one name are refused, as header parameters (RFC 7515 §4)
/// and claims (RFC 7519 §4) demand: readers that disagree on which of them counts are a hole.
pub(super) struct Members(Vec<(String, Value)>);

impl Members {
    /// Reads the JSON text of one object.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Those of a value that was read already, if it is an object.
    pub(super) fn of(value: &Value) -> Option<Self> {
        let members = value.as_object()?.iter();
        Some(Self(members.map(|(name, value)| (name.clone(), value.clone())).collect()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text of a member that is a string.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Each)
    }
}

struct Each;

const NO_OBJECT: &str = "no object";

/// What a visitor says by itself to these has the value in it: the code to write numbers of all
/// kinds would be in every upload of the worker.
macro_rules! refuse {
    ($($visit:ident($kind:ty))*) => {$(
        fn $visit<E: Error>(self, _: $kind) -> Result<Members, E> {
            Err(E::custom(NO_OBJECT))
        }
    )*};
}

impl<'de> Visitor<'de> for Each {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    refuse! {
        visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) visit_str(&str)
    }

    fn visit_unit<E: Error>(self) -> Result<Members, E> {
        Err(E::custom(NO_OBJECT))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Members, A::Error> {
        Err(A::Error::custom(NO_OBJECT))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Members(Vec::new());
        // Objects are small: 8 KiB hold a few hundred names at most.
        while let Some(name) = map.next_key::<String>()? {
            if members.get(&name).is_some() {
                return Err(A::Error::custom("a name twice"));
            }
            members.0.push((name, map.next_value()?));
        }
        Ok(members)
    }
}
