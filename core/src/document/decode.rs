//! From TOML values to typed sections, noting every error on the way instead of stopping at
//! the first.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::shape::Shape;
use super::{environment, spelling};
use crate::policy::Malformed;

/// What decoding needs and collects.
pub(super) struct Context<'e> {
    environment: &'e dyn Fn(&str) -> Option<String>,
    /// Times to live by name; `None` for one that is wrong, which is noted.
    pub(super) ttl_classes: BTreeMap<String, Option<Duration>>,
    pub(super) found: Vec<Diagnostic>,
    /// Where the file has secrets that should not be there.
    secrets: Vec<Range<usize>>,
}

/// A value and the place it was read from.
#[derive(Clone, Debug, Default)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// A type that can be read from a TOML value.
pub(super) trait Decode: Sized {
    /// What may be written for it.
    fn shape() -> Shape;

    /// Reads it. `None` means that the error is noted.
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self>;
}

/// A type that is written as a string. References to the environment are already filled in.
pub(super) trait FromText: Sized {
    /// What may be written for it.
    fn shape() -> Shape;

    fn from_text(text: &str) -> Result<Self, Malformed>;
}

impl<'e> Context<'e> {
    pub(super) fn new(environment: &'e dyn Fn(&str) -> Option<String>) -> Self {
        Self { environment, ttl_classes: BTreeMap::new(), found: Vec::new(), secrets: Vec::new() }
    }

    /// Notes an error.
    pub(super) fn report(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.found.push(Diagnostic {
            span,
            lint: None,
            message: message.into(),
            hint: hint.into(),
        });
    }

    /// Keeps what stands at `span` out of all reports.
    pub(super) fn hide(&mut self, span: Range<usize>) {
        self.secrets.push(span);
    }

    /// The file with a `*` for each character of what was to be hidden.
    pub(super) fn without_secrets(&self, source: &str) -> String {
        let is_secret = |at| self.secrets.iter().any(|span| span.contains(&at));
        let shown = |(at, c)| match is_secret(at) && c != '\n' {
            // As many bytes, so that spans stay true.
            true => "*".repeat(char::len_utf8(c)),
            false => String::from(c),
        };
        match self.secrets.is_empty() {
            true => String::from(source),
            false => source.char_indices().map(shown).collect(),
        }
    }

    pub(super) fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = value.get_ref().type_str();
        self.report(
            value.span(),
            format!("expected {expected}, found {}", with_article(found)),
            format!("write {expected} here"),
        );
    }

    /// The string in `value`, with what it takes from the environment filled in.
    pub(super) fn text(&mut self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(value, "a string");
            return None;
        };
        let expanded = environment::expand(text, self.environment);
        expanded.map_err(|bad| self.report(value.span(), bad.message, bad.hint)).ok()
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
    fn shape() -> Shape {
        <T as FromText>::shape()
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let text = context.text(value)?;
        let parsed = T::from_text(&text);
        parsed.map_err(|bad| context.report(value.span(), bad.message, bad.hint)).ok()
    }
}

impl FromText for String {
    fn shape() -> Shape {
        Shape::Text("text")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        Ok(text.into())
    }
}

impl Decode for bool {
    fn shape() -> Shape {
        Shape::Flag
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            context.wrong_type(value, "`true` or `false`");
        }
        flag
    }
}

impl Decode for u32 {
    fn shape() -> Shape {
        Shape::Number
    }

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
    fn shape() -> Shape {
        T::shape()
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        T::decode(value, context).map(|decoded| Self { value: decoded, span: value.span() })
    }
}

/// A list; one value alone is a list of one.
impl<T: Decode> Decode for Vec<T> {
    fn shape() -> Shape {
        Shape::OneOrMore(Box::new(T::shape()))
    }

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
    fn shape() -> Shape {
        Shape::Array(Box::new(T::shape()))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let Some(members) = value.get_ref().as_array() else {
            context.wrong_type(value, "an array");
            return None;
        };
        Some(Self(members.iter().filter_map(|m| T::decode(m, context)).collect()))
    }
}

/// A field that stands there; `None` if it is wrong, which is not the same as missing.
#[derive(Debug)]
pub(super) struct Given<T>(pub(super) Option<T>);

impl<T: Decode> Decode for Given<T> {
    fn shape() -> Shape {
        T::shape()
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        Some(Self(T::decode(value, context)))
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
    fn shape() -> Shape {
        Shape::Named(Box::new(T::shape()))
    }

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
