//! Tables of a terminal: the first column to the left, numbers to the right.

use std::fmt::{self, Write as _};

/// Columns of a terminal that everybody has.
const WIDTH: usize = 80;

/// A table with a line of heads.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Columns from this on stand to the left.
    text_from: usize,
}

impl Table {
    /// A table with these heads.
    pub(super) fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.map(str::to_owned).into()], text_from: usize::MAX }
    }

    /// The same, whose columns from `column` on are text.
    pub(super) fn with_text_from(self, column: usize) -> Self {
        Self { text_from: column, ..self }
    }

    /// Adds a line.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Whether it has no lines besides its heads.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let length = |text: &str| text.chars().count();
        let widest =
            |column: usize| self.rows.iter().map(|row| length(&row[column])).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        // What is too wide goes at the cost of the first column, which has names.
        let all: usize = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
        if let Some(first) = widths.first_mut() {
            *first = (*first).saturating_sub(all.saturating_sub(WIDTH)).max((*first).min(12));
        }
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), column) in row.iter().zip(&widths).zip(0..) {
                let cell = cut(cell, *width);
                let gap = if column == 0 { "" } else { "  " };
                match column == 0 || column >= self.text_from {
                    true => write!(line, "{gap}{cell:<width$}")?,
                    false => write!(line, "{gap}{cell:>width$}")?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The begin of a text, and a sign that more follows.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() <= width {
        true => text.into(),
        false => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_a_terminal() {
        let mut table = Table::new(["name", "count", "why"]).with_text_from(2);
        table.row(["n".repeat(100), "1,000".into(), "because".into()]);
        table.row(["short".into(), "5".into(), "so".into()]);
        let text = table.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains('…') && text.contains("      5  so"), "{text}");
    }
}
