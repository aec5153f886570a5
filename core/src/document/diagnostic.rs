//! Errors and warnings that say where, what, and what to do.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::lints::Lint;

/// One error in a policy file, or one warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The bytes of the file that it is about.
    pub span: Range<usize>,
    /// Which warning it is; none for an error.
    pub lint: Option<Lint>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// All errors of a policy file, or all warnings, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    source: String,
    diagnostics: Vec<Diagnostic>,
}

/// So many characters of a line are shown at most, around the place.
const SHOWN: usize = 240;

/// A place in a file, counted from 1 as editors do; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The place of the byte `at`.
    pub(super) fn of(source: &str, at: usize) -> Self {
        let before = source.get(..at).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl Report {
    pub(super) fn new(source: &str, diagnostics: Vec<Diagnostic>) -> Self {
        let mut report = Self { source: source.into(), diagnostics };
        report.sort();
        report
    }

    pub(super) fn add(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
        self.sort();
    }

    fn sort(&mut self) {
        self.diagnostics.sort_by_key(|d| (d.span.start, d.span.end));
        self.diagnostics.dedup();
    }

    /// The errors or warnings.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Where an error starts.
    pub fn place(&self, diagnostic: &Diagnostic) -> Place {
        Place::of(&self.source, diagnostic.span.start)
    }

    /// Displays every error with the name of its file, the line it is on, and a hint.
    pub fn display<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        fmt::from_fn(move |f| {
            for diagnostic in &self.diagnostics {
                self.write(f, file, diagnostic)?;
            }
            let warnings = self.diagnostics.iter().filter(|d| d.lint.is_some()).count();
            for (count, what) in
                [(self.diagnostics.len() - warnings, "error"), (warnings, "warning")]
            {
                let s = if count == 1 { "" } else { "s" };
                if count > 0 {
                    writeln!(f, "{file}: {count} {what}{s}")?;
                }
            }
            Ok(())
        })
    }

    fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        file: &str,
        diagnostic: &Diagnostic,
    ) -> fmt::Result {
        let Place { line, column } = self.place(diagnostic);
        let whole = self.source.lines().nth(line - 1).unwrap_or_default();
        let skipped = (column - 1).saturating_sub(SHOWN / 2);
        let text: String = whole.chars().skip(skipped).take(SHOWN).collect();
        let indent = column - 1 - skipped;
        let marked = self.source.get(diagnostic.span.clone()).unwrap_or_default();
        let room = text.chars().count().saturating_sub(indent).max(1);
        let width = marked.lines().next().unwrap_or_default().chars().count().clamp(1, room);
        write!(f, "{file}:{line}:{column}: ")?;
        if let Some(lint) = diagnostic.lint {
            write!(f, "warning {}: ", lint.code())?;
        }
        writeln!(f, "{}", diagnostic.message)?;
        writeln!(f, "{line:>5} | {text}")?;
        writeln!(f, "      | {:indent$}{:^<width$}", "", "",)?;
        writeln!(f, "      = hint: {}\n", diagnostic.hint)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.display("policy").fmt(f)
    }
}

impl core::error::Error for Report {}
