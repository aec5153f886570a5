//! How sections and words of the policy file are declared.

/// Declares a section of the policy file: its fields once, for the type, for reading it, and
/// with their documentation for the schema and the reference.
///
/// `required` fields must be there, `optional` ones are `Option`s, and `default` ones take
/// the default of their type. A wrong field makes the whole section wrong; with `lenient`, one
/// that is not required counts as missing, so that the rest of a large section is still checked.
macro_rules! section {
    (
        $(#[doc = $section_doc:literal])+
        struct $name:ident, $title:literal {
            $( $(#[doc = $doc:literal])+ $kind:ident $field:ident $(as $key:literal)?: $type:ty, )*
        }
        $($lenient:ident)?
    ) => {
        $(#[doc = $section_doc])+
        #[derive(Debug)]
        pub(super) struct $name {
            $( $(#[doc = $doc])+ pub(super) $field: section!(@type $kind $type), )*
        }

        impl $name {
            /// What may be written in this section.
            fn section() -> $crate::document::shape::Section {
                use $crate::document::shape::{Field, Section};
                Section {
                    name: stringify!($name),
                    doc: concat!($($section_doc, "\n"),+),
                    fields: alloc::vec![$( Field {
                        key: section!(@key $field $($key)?),
                        doc: concat!($($doc, "\n"),+),
                        is_required: section!(@is_required $kind),
                        shape: <$type as Decode>::shape(),
                    } ),*],
                }
            }
        }

        impl Decode for $name {
            fn shape() -> $crate::document::shape::Shape {
                $crate::document::shape::Shape::Section(Self::section)
            }

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
    (@is_required required) => { true };
    (@is_required $kind:ident) => { false };
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
            fn shape() -> $crate::document::shape::Shape {
                $crate::document::shape::Shape::Words(&[$( $word ),*])
            }

            fn from_text(text: &str) -> Result<Self, Malformed> {
                match text {
                    $( $word => Ok($value), )*
                    _ => Err(Malformed::new(
                        alloc::format!("`{text}` is no {}", $what),
                        $crate::document::spelling::hint(text, [$( $word ),*].into_iter()),
                    )),
                }
            }
        }
    };
}

pub(super) use {section, words};
