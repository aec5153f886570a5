//! Lines out of a stream, each borrowed from one buffer.

use std::io::{self, Read};

/// The buffer: large enough that reading it costs nothing beside what is done with it.
const BUFFER: usize = 1 << 18;
/// A longer line is skipped. Targets have 16 KiB at most.
const LINE_MAX: usize = 1 << 16;
/// So much of the begin tells the format.
const BEGIN: usize = 1 << 16;

/// A line of a stream.
pub(super) enum Line<'a> {
    /// All of it, without its end.
    Whole(&'a [u8]),
    /// The begin of one that is too long.
    TooLong(&'a [u8]),
}

/// The lines of a stream, in a bounded memory.
pub(super) struct Lines<R> {
    source: R,
    buffer: Box<[u8]>,
    /// What is read and not handed out.
    from: usize,
    to: usize,
    is_at_end: bool,
    /// The begin of the last line that was too long.
    skipped: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { source, buffer, from: 0, to: 0, is_at_end: false, skipped: Vec::new() }
    }

    /// What the stream begins with, which is handed out nevertheless.
    pub(super) fn first(&mut self) -> io::Result<&[u8]> {
        while self.to < BEGIN && !self.is_at_end {
            self.fill()?;
        }
        Ok(&self.buffer[self.from..self.to])
    }

    /// The next line; `None` behind the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = 0;
        loop {
            let unread = &self.buffer[self.from..self.to];
            if let Some(at) = memchr::memchr(b'\n', &unread[searched..]) {
                let (begin, end) = (self.from, self.from + searched + at);
                self.from = end + 1;
                let line = &self.buffer[begin..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return Ok(Some(sized(line)));
            }
            searched = unread.len();
            if searched > LINE_MAX {
                return self.skip_line().map(Some);
            }
            if self.is_at_end {
                let begin = std::mem::replace(&mut self.from, self.to);
                let rest = &self.buffer[begin..self.to];
                return Ok((!rest.is_empty()).then(|| sized(rest)));
            }
            self.fill()?;
        }
    }

    /// Leaves out what is left of a line that is too long.
    fn skip_line(&mut self) -> io::Result<Line<'_>> {
        self.skipped.clear();
        self.skipped.extend_from_slice(&self.buffer[self.from..self.from + SHOWN]);
        loop {
            let end = memchr::memchr(b'\n', &self.buffer[self.from..self.to]);
            self.from = end.map_or(self.to, |end| self.from + end + 1);
            if end.is_some() || self.is_at_end {
                return Ok(Line::TooLong(&self.skipped));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let read = loop {
            match self.source.read(&mut self.buffer[self.to..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.to += read;
        self.is_at_end = read == 0;
        Ok(())
    }
}

/// Bytes of a line that is too long that are shown.
const SHOWN: usize = 200;

fn sized(line: &[u8]) -> Line<'_> {
    match line.len() {
        0..=LINE_MAX => Line::Whole(line),
        _ => Line::TooLong(&line[..SHOWN]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(into.len());
            let (now, rest) = self.0.split_at(length);
            into[..length].copy_from_slice(now);
            self.0 = rest;
            Ok(length)
        }
    }

    fn lines(text: &[u8], at_a_time: usize) -> Vec<String> {
        let mut lines = Lines::new(Trickle(text, at_a_time));
        let mut found = Vec::new();
        while let Some(line) = lines.next().expect("a slice does not fail") {
            found.push(match line {
                Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                Line::TooLong(begin) => {
                    format!("long {}", String::from_utf8_lossy(&begin[..1]))
                }
            });
        }
        found
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        for at_a_time in [1, 2, 3, 7, 1000] {
            assert_eq!(lines(b"a\nbc\r\n\nd", at_a_time), ["a", "bc", "", "d"]);
            assert_eq!(lines(b"", at_a_time), [""; 0]);
            assert_eq!(lines(b"\n", at_a_time), [""]);
        }
    }

    #[test]
    fn a_long_line_is_left_out_and_the_next_one_read() {
        for length in [LINE_MAX + 1, BUFFER + 5, 3 * BUFFER] {
            let text = [b"first\n", &*vec![b'x'; length], b"\nlast\n"].concat();
            for at_a_time in [1000, usize::MAX] {
                assert_eq!(lines(&text, at_a_time), ["first", "long x", "last"], "{length}");
            }
        }
        assert_eq!(lines(&vec![b'x'; 2 * BUFFER], 4096), ["long x"]);
    }
}
