//! The fields of a message, whatever holds them, and one file for each field
//! that Tidegate reads or writes.

pub mod accept;
pub mod accept_encoding;
pub mod cache_control;
pub mod cache_groups;
pub mod cache_status;
pub mod cookie;
pub mod etag;
pub mod http_date;
pub mod last_modified;
pub mod list;
pub mod media_type;
pub mod no_vary_search;
pub mod range;
pub mod rate_limit;
pub mod server_timing;
pub mod structured;
pub mod targeted;
pub mod traceparent;
pub mod vary;
pub(crate) mod weight;

use core::fmt;

pub use cache_control::{RequestDirectives, ResponseDirectives};
pub use cache_status::CacheStatus;
pub use vary::Vary;

use crate::text::Text;

/// The header section of a message, to be read.
///
/// Implemented for slices of pairs, and for `http::HeaderMap` with the feature `http`.
pub trait Fields {
    /// Every field line in its order: the name in lower case, and the raw value.
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])>;

    /// The values of all lines named `name` (in lower case), in their order.
    fn lines_of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.lines().filter(move |(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The value of the first line named `name` (in lower case).
    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.lines_of(name).next()
    }
}

/// A value that says piece by piece how it is written. A formatter would do the same, and costs
/// more than the pieces.
pub trait Spelled {
    /// Hands the pieces over in their order.
    fn spell(&self, write: impl FnMut(&str));
}

/// The header section of a message, to be changed.
pub trait FieldsMut {
    /// Puts one line in place of all lines named `name` (in lower case).
    fn set(&mut self, name: &'static str, value: &str);
    /// The same for a name that only the policy knows.
    fn set_named(&mut self, name: &str, value: &str);
    /// Adds one line behind those named `name`.
    fn append(&mut self, name: &'static str, value: &str);
    /// Takes all lines named `name` away.
    fn remove(&mut self, name: &'static str);

    /// As [`Self::set`], with a value that needs no copy.
    fn set_static(&mut self, name: &'static str, value: &'static str) {
        self.set(name, value);
    }

    /// As [`Self::set`], with what `value` displays as.
    fn set_display(&mut self, name: &'static str, value: &impl fmt::Display) {
        self.set(name, &Text::of(value));
    }

    /// As [`Self::set`], with a value that is written piece by piece.
    fn set_spelled(&mut self, name: &'static str, value: &impl Spelled) {
        let mut text = Text::new();
        value.spell(|piece| text.push_str(piece));
        self.set(name, &text);
    }

    /// As [`Self::set`], with digits.
    fn set_number(&mut self, name: &'static str, value: u64) {
        self.set_display(name, &value);
    }

    /// As [`Self::append`], with a value that is written piece by piece.
    fn append_spelled(&mut self, name: &'static str, value: &impl Spelled) {
        let mut text = Text::new();
        value.spell(|piece| text.push_str(piece));
        self.append(name, &text);
    }

    /// As [`Self::append`], with what `value` displays as.
    fn append_display(&mut self, name: &'static str, value: &impl fmt::Display) {
        self.append(name, &Text::of(value));
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Fields for [(N, V)] {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const LEN: usize> Fields for [(N, V); LEN] {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.as_slice().lines()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Fields for alloc::vec::Vec<(N, V)> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.as_slice().lines()
    }
}
