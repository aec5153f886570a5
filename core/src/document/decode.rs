//! From TOML values to typed sections, noting every error on the way instead of stopping at
//! the first.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::{environment, spelling};
use crate::policy::Malformed;

/// What decoding needs and collects.
pub(super) struct Context<'e> {
    environment: &'e dyn Fn(&str) -> Option<String>,
    pub(super) found: Vec<Diagnostic>,
}

/// A value and the place it was read from.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A type that can be read from a TOML value. `None` means that the error is noted.
pub(super) trait Decode: Sized {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self>;
}

/// A type that is written as a string. References to the environment are already filled in.
pub(super) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, Malformed>;
}

impl<'e> Context<'e> {
    pub(super) fn new(environment: &'e dyn Fn(&str) -> Option<String>) -> Self {
        Self { environment, found: Vec::new() }
    }

    /// Notes an error.
    pub(super) fn report(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.found.push(Diagnostic { span, message: message.into(), hint: hint.into() });
    }

    fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = value.get_ref().type_str();
        self.report(
            value.span(),
            format!("expected {expected}, found {}", with_article(found)),
            format!("write {expected} here"),
        );
    }

    /// The table in `value`; `title` says what it should describe.
    pub(super) fn table<'v, 'i>(
        &mut self,
        value: &'v Spanned<DeValue<'i>>,
        title: &str,
    ) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, &format!("a table for {title}"));
        }
        table
    }

    /// Notes every key that is not `known`.
    pub(super) fn refuse_unknown(&mut self, table: &DeTable<'_>, known: &[&str], title: &str) {
        for key in table.keys().filter(|key| !known.contains(&&**key.get_ref())) {
            let name = key.get_ref();
            let hint = spelling::hint(name, known.iter().copied());
            self.report(key.span(), format!("{title} has no field `{name}`"), hint);
        }
    }

    /// The value of a field that must be there.
    pub(super) fn required<T: Decode>(
        &mut self,
        within: &Spanned<DeValue<'_>>,
        table: &DeTable<'_>,
        key: &str,
        title: &str,
    ) -> Option<T> {
        match table.get(key) {
            Some(value) => T::decode(value, self),
            None => {
                self.report(
                    within.span(),
                    format!("{title} needs a field `{key}`"),
                    format!("add `{key} = …`"),
                );
                None
            }
        }
    }

    /// The value of a field that may be missing; the outer `None` means that it is wrong.
    pub(super) fn optional<T: Decode>(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
    ) -> Option<Option<T>> {
        match table.get(key) {
            Some(value) => T::decode(value, self).map(Some),
            None => Some(None),
        }
    }
}

impl<T: FromText> Decode for T {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let Some(text) = value.get_ref().as_str() else {
            context.wrong_type(value, "a string");
            return None;
        };
        let parsed =
            environment::expand(text, context.environment).and_then(|text| T::from_text(&text));
        parsed.map_err(|bad| context.report(value.span(), bad.message, bad.hint)).ok()
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        Ok(text.into())
    }
}

impl Decode for bool {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            context.wrong_type(value, "`true` or `false`");
        }
        flag
    }
}

impl Decode for u32 {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let Some(integer) = value.get_ref().as_integer() else {
            context.wrong_type(value, "a whole number");
            return None;
        };
        let number = Self::from_str_radix(integer.as_str(), integer.radix());
        if number.is_err() {
            let message = format!("`{integer}` is out of range");
            context.report(
                value.span(),
                message,
                format!("write a number from 0 to {}", Self::MAX),
            );
        }
        number.ok()
    }
}

impl<T: Decode> Decode for Located<T> {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        T::decode(value, context).map(|decoded| Self { value: decoded, span: value.span() })
    }
}

/// A list; one value alone is a list of one.
impl<T: Decode> Decode for Vec<T> {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let Some(members) = value.get_ref().as_array() else {
            return T::decode(value, context).map(|one| alloc::vec![one]);
        };
        // Every member is read, so that every wrong one is noted.
        let decoded: Vec<Option<T>> = members.iter().map(|m| T::decode(m, context)).collect();
        decoded.into_iter().collect()
    }
}

/// A list whose wrong members are noted and left out, so that the others are still checked.
#[derive(Debug)]
pub(super) struct Each<T>(pub(super) Vec<T>);

impl<T> Default for Each<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for Each<T> {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let Some(members) = value.get_ref().as_array() else {
            context.wrong_type(value, "an array");
            return None;
        };
        Some(Self(members.iter().filter_map(|m| T::decode(m, context)).collect()))
    }
}

/// Named sections, in the order of their names. A wrong one keeps its name, so that
/// references to it are not errors too.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(Located<String>, Option<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.value.clone()).collect()
    }
}

impl<T: Decode> Decode for Named<T> {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let table = context.table(value, "named sections")?;
        let named = table.iter().map(|(name, section)| {
            let name = Located { value: name.get_ref().to_string(), span: name.span() };
            (name, T::decode(section, context))
        });
        Some(Self(named.collect()))
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// Declares a section of the policy file: its fields once, for the type and for reading it.
///
/// `required` fields must be there, `optional` ones are `Option`s, and `default` ones take
/// the default of their type. A wrong field makes the whole section wrong; with `lenient`, one
/// that is not required counts as missing, so that the rest of a large section is still checked.
macro_rules! section {
    (
        $(#[$meta:meta])*
        struct $name:ident, $title:literal {
            $( $(#[$field_meta:meta])* $kind:ident $field:ident $(as $key:literal)?: $type:ty, )*
        }
        $($lenient:ident)?
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub(super) struct $name {
            $( $(#[$field_meta])* pub(super) $field: section!(@type $kind $type), )*
        }

        impl Decode for $name {
            fn decode(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                context: &mut Context<'_>,
            ) -> Option<Self> {
                let table = context.table(value, $title)?;
                context.refuse_unknown(table, &[$( section!(@key $field $($key)?) ),*], $title);
                $( let $field = section!(@read $kind $type, context, value, table, section!(@key $field $($key)?), $title); )*
                let _lenient = false $( || stringify!($lenient) == "lenient" )?;
                Some(Self { $( $field: section!(@unwrap $kind $field, _lenient), )* })
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@type required $type:ty) => { $type };
    (@type default $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@unwrap required $field:ident, $lenient:ident) => { $field? };
    (@unwrap $kind:ident $field:ident, $lenient:ident) => {
        match $field {
            None if $lenient => Default::default(),
            field => field?,
        }
    };
    (@read required $type:ty, $context:ident, $value:ident, $table:ident, $key:expr, $title:literal) => {
        $context.required::<$type>($value, $table, $key, $title)
    };
    (@read optional $type:ty, $context:ident, $value:ident, $table:ident, $key:expr, $title:literal) => {
        $context.optional::<$type>($table, $key)
    };
    (@read default $type:ty, $context:ident, $value:ident, $table:ident, $key:expr, $title:literal) => {
        $context.optional::<$type>($table, $key).map(Option::unwrap_or_default)
    };
}

/// Reads an enum whose values are single words.
macro_rules! words {
    ($type:ty, $what:literal, { $( $word:literal => $value:expr ),* $(,)? }) => {
        impl FromText for $type {
            fn from_text(text: &str) -> Result<Self, Malformed> {
                match text {
                    $( $word => Ok($value), )*
                    _ => Err(Malformed::new(
                        alloc::format!("`{text}` is no {}", $what),
                        super::spelling::hint(text, [$( $word ),*].into_iter()),
                    )),
                }
            }
        }
    };
}

pub(super) use {section, words};
