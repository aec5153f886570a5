//! What may be written in a policy file, as data: the schema and the reference are printed
//! from it.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// What may be written in one place.
#[derive(Debug)]
pub(super) enum Shape {
    /// A string, and what it says.
    Text(&'static str),
    /// A string that is one of these.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number from 0 on.
    Number,
    /// One of them, or a list.
    OneOrMore(Box<Self>),
    /// A list.
    Array(Box<Self>),
    /// A table whose keys are names.
    Named(Box<Self>),
    /// A table with known fields.
    Section(fn() -> Section),
    /// Either of these.
    Either(Vec<Self>),
}

/// A table with known fields.
#[derive(Debug)]
pub(super) struct Section {
    /// The name of its type.
    pub(super) name: &'static str,
    /// What it is for.
    pub(super) doc: &'static str,
    /// What may be written in it.
    pub(super) fields: Vec<Field>,
}

/// A field of a section.
#[derive(Debug)]
pub(super) struct Field {
    /// How it is written.
    pub(super) key: &'static str,
    /// What it means.
    pub(super) doc: &'static str,
    /// Whether it must be there.
    pub(super) is_required: bool,
    /// What its value may be.
    pub(super) shape: Shape,
}
