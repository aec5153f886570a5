//! Short texts that need no allocation.

use alloc::string::String;
use core::fmt;
use core::ops::Deref;

use arrayvec::ArrayString;

/// Bytes that a text may have before it moves to the heap: more than names of keys and
/// values of fields usually have.
const ROOM: usize = 110;

/// A text that is written once and read soon after: on the stack while it is short.
#[derive(Clone)]
pub struct Text(Place);

#[derive(Clone)]
enum Place {
    Stack(ArrayString<ROOM>),
    Heap(String),
}

impl Text {
    /// An empty text.
    pub const fn new() -> Self {
        Self(Place::Stack(ArrayString::new_const()))
    }

    /// What `value` displays as.
    pub fn of(value: impl fmt::Display) -> Self {
        let mut text = Self::new();
        // Writing to a text does not fail.
        let _ = fmt::write(&mut text, format_args!("{value}"));
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Place::Stack(text) => text,
            Place::Heap(text) => text,
        }
    }

    /// Appends `more`.
    #[inline]
    pub fn push_str(&mut self, more: &str) {
        match &mut self.0 {
            Place::Stack(text) => {
                if text.try_push_str(more).is_err() {
                    self.0 = Place::Heap([text.as_str(), more].concat());
                }
            }
            Place::Heap(text) => text.push_str(more),
        }
    }

    /// Appends `more` as one member of a list in a header field: tags are separated by commas,
    /// and what a user is called must not make several of one. The rest is percent-encoded.
    pub(crate) fn push_encoded(&mut self, more: &str) {
        let is_plain = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'%' | b',');
        if more.bytes().all(is_plain) {
            return self.push_str(more);
        }
        for byte in more.bytes() {
            // Writing to a text does not fail.
            let _ = match is_plain(byte) {
                true => fmt::Write::write_char(self, char::from(byte)),
                false => fmt::write(self, format_args!("%{byte:02X}")),
            };
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.push_str(more);
        Ok(())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text.0 {
            Place::Heap(text) => text,
            Place::Stack(text) => text.as_str().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_whole_when_it_outgrows_the_stack() {
        let mut text = Text::new();
        let mut expected = String::new();
        for word in ["a", "bc", "ü", &"x".repeat(ROOM - 5), "é", "z", &"y".repeat(300)] {
            text.push_str(word);
            expected.push_str(word);
            assert_eq!(text.as_str(), expected);
            assert_eq!(text.clone(), text);
        }
        assert_eq!(Text::of(expected.as_str()), text);
    }

    #[test]
    fn the_last_byte_of_the_stack_is_used() {
        let full = "x".repeat(ROOM);
        let text = Text::of(full.as_str());
        assert!(matches!(text.0, Place::Stack(_)));
        assert_eq!(String::from(text), full);
    }
}
