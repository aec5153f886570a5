//! What a person or a program reads.

use serde::Serialize;
use tidegate_bench::spread::Spread;

/// Everything that was measured.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Measured>,
    pub(crate) kept: Vec<Kept>,
}

/// What one kind of request costs one server.
#[derive(Serialize)]
pub(crate) struct Measured {
    pub(crate) row: &'static str,
    pub(crate) server: &'static str,
    /// Its processor time for each request, in microseconds.
    pub(crate) micros: Spread,
    pub(crate) per_second: Spread,
}

/// What a stored answer of 1 KB takes.
#[derive(Serialize)]
pub(crate) struct Kept {
    pub(crate) server: &'static str,
    pub(crate) bytes: f64,
}

impl Report {
    /// What a request of `row` costs `server`, in microseconds, if that was measured.
    pub(crate) fn micros(&self, row: &str, server: &str) -> Option<f64> {
        let is_it = |found: &&Measured| found.row == row && found.server == server;
        Some(self.rows.iter().find(is_it)?.micros.median)
    }

    pub(crate) fn print(&self) {
        println!("Processor time of the server for each request in µs, and requests a second, on");
        println!("one core: median, least and most of all rounds.");
        let mut row = "";
        for Measured { row: name, server, micros, per_second } in &self.rows {
            if row != *name {
                row = name;
                println!("\n{row}");
            }
            let Spread { median, least, most } = micros;
            print!("  {server:<16}{median:>9.2}{least:>9.2}{most:>9.2}");
            let Spread { median, least, most } = per_second;
            println!("{median:>11.0}{least:>9.0}{most:>9.0}");
        }
        if !self.kept.is_empty() {
            println!("\nBytes of memory for each stored answer of 1 KB, of 100,000.");
        }
        for Kept { server, bytes } in &self.kept {
            println!("  {server:<16}{bytes:>9.0}");
        }
    }
}
