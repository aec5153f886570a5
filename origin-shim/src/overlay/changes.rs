//! What is said of an answer beside what is stored of it, or in its place: lines as they go to the
//! client.

use std::cell::RefCell;
use std::fmt;

use tidegate_core::headers::Spelled;

use crate::http1::head::has_control;
use crate::name_bits::bit;
use crate::stored_head::StoredHead;

/// Room for the lines that answers usually get.
const ROOM: usize = 1024;
/// So many lie ready for the next answer of a thread.
const SPARE_MAX: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Changes>> = const { RefCell::new(Vec::new()) };
}

/// Changes to a head.
#[derive(Default)]
pub(super) struct Changes {
    /// The lines, one behind the other; and the names of what is removed.
    text: Vec<u8>,
    lines: Vec<Line>,
    /// Which names stand in `lines`, roughly: a bit that is not set says that a name does not.
    names: u64,
    /// Not all of the text is said.
    has_gaps: bool,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    start: usize,
    /// The length of its name.
    name: usize,
    end: usize,
    change: Change,
}

/// A change whose value is not there yet.
#[must_use]
pub(super) struct Begun {
    change: Change,
    start: usize,
    name: usize,
}

/// What a line does to stored lines of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// They are not said.
    Set,
    /// They are said too.
    Append,
    /// They are not said, and nothing in their place.
    Remove,
}

impl Changes {
    /// None so far.
    pub(super) fn none() -> Self {
        let spare = SPARE.with(|spare| spare.borrow_mut().pop());
        spare.unwrap_or_else(|| Self {
            text: Vec::with_capacity(ROOM),
            lines: Vec::with_capacity(16),
            ..Self::default()
        })
    }

    /// Begins a change to the lines of `name`, whose [`bit`] is given: the value goes behind the text
    /// that is returned, and then comes [`Self::end`].
    pub(super) fn begin(&mut self, change: Change, name: &str, bit: u64) -> (Begun, &mut Vec<u8>) {
        if change != Change::Append && self.may_have_any(bit) {
            self.forget(name);
        }
        self.names |= bit;
        let start = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b": ");
        (Begun { change, start, name: name.len() }, &mut self.text)
    }

    /// Ends a change. A value that no field may hold takes what it would replace with it.
    pub(super) fn end(&mut self, mut begun: Begun) {
        if has_control(&self.text[begun.start + begun.name + ": ".len()..]) {
            if begun.change == Change::Append {
                return self.text.truncate(begun.start);
            }
            begun.change = Change::Remove;
        }
        self.end_good(begun);
    }

    /// The same with a value that any field may hold.
    #[inline]
    pub(super) fn end_good(&mut self, Begun { change, start, name }: Begun) {
        self.text.extend_from_slice(b"\r\n");
        self.has_gaps |= change == Change::Remove;
        self.lines.push(Line { start, name, end: self.text.len(), change });
    }

    /// Says all lines of `fields`, where nothing is said under any of their names.
    pub(super) fn say(&mut self, fields: &StoredHead) {
        let begin = self.text.len();
        self.text.extend_from_slice(fields.text());
        self.lines.extend(fields.places().map(|(name, line)| Line {
            start: begin + line.start,
            name,
            end: begin + line.end,
            change: Change::Set,
        }));
        self.names |= fields.names();
    }

    /// Whether stored lines of this name are not said.
    pub(super) fn hide(&self, name: &str) -> bool {
        self.may_have(name)
            && self.lines.iter().any(|line| self.is_of(line, name) && line.change != Change::Append)
    }

    /// The values that are said under this name.
    pub(super) fn values_of(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let lines = if self.may_have(name) { &self.lines[..] } else { &[] };
        let said = |line: &&Line| line.change != Change::Remove && self.is_of(line, name);
        lines.iter().filter(said).map(|line| self.value(line))
    }

    /// What is said: names and values.
    pub(super) fn said(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines_said().map(|line| {
            // Written out of a text.
            let name = str::from_utf8(&self.text[line.start..line.start + line.name]);
            (name.unwrap_or_default(), self.value(line))
        })
    }

    /// How many lines there are.
    pub(super) fn count(&self) -> usize {
        self.lines.len()
    }

    /// Appends what is said to a head.
    pub(super) fn write(&self, head: &mut Vec<u8>) {
        if !self.has_gaps {
            return head.extend_from_slice(&self.text);
        }
        self.lines_said().for_each(|line| head.extend_from_slice(&self.text[line.start..line.end]));
    }

    fn lines_said(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.change != Change::Remove)
    }

    fn value(&self, line: &Line) -> &[u8] {
        &self.text[line.start + line.name + ": ".len()..line.end - "\r\n".len()]
    }

    fn is_of(&self, line: &Line, name: &str) -> bool {
        self.text[line.start..line.start + line.name] == *name.as_bytes()
    }

    fn may_have(&self, name: &str) -> bool {
        self.may_have_any(bit(name))
    }

    /// Whether a name with one of these [`bits`](crate::name_bits::bits) may be among the lines; if
    /// not, none is.
    pub(super) fn may_have_any(&self, bits: u64) -> bool {
        self.names & bits != 0
    }

    /// Drops the changes of this name that were made before.
    fn forget(&mut self, name: &str) {
        let (text, before) = (&self.text, self.lines.len());
        self.lines.retain(|line| text[line.start..line.start + line.name] != *name.as_bytes());
        self.has_gaps |= self.lines.len() < before;
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        // What had to grow is rare, and would make them all large in time.
        if self.text.capacity() != ROOM {
            return;
        }
        let (mut text, mut lines) =
            (std::mem::take(&mut self.text), std::mem::take(&mut self.lines));
        text.clear();
        lines.clear();
        // A thread that ends has nothing to lie ready for.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.push(Self { text, lines, names: 0, has_gaps: false });
            }
        });
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.said().map(|(name, value)| (name, value.escape_ascii())))
            .finish()
    }
}

/// Appends what `value` displays as.
pub(super) fn display(text: &mut Vec<u8>, value: &impl fmt::Display) {
    struct Writer<'a>(&'a mut Vec<u8>);

    impl fmt::Write for Writer<'_> {
        fn write_str(&mut self, more: &str) -> fmt::Result {
            self.0.extend_from_slice(more.as_bytes());
            Ok(())
        }
    }

    // Writing to memory does not fail.
    let _ = fmt::write(&mut Writer(text), format_args!("{value}"));
}

/// Appends what `value` spells.
pub(super) fn spell(text: &mut Vec<u8>, value: &impl Spelled) {
    value.spell(|piece| text.extend_from_slice(piece.as_bytes()));
}
