//! What a person or a program reads.

use serde::Serialize;
use tidegate_bench::spread::Spread;

/// Everything that was measured.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Measured>,
    pub(crate) starts: Vec<Start>,
    pub(crate) sizes: Vec<Size>,
}

/// What one kind of request costs one Worker.
#[derive(Serialize)]
pub(crate) struct Measured {
    pub(crate) row: &'static str,
    pub(crate) worker: &'static str,
    /// Processor time of workerd for each request, in microseconds.
    pub(crate) micros: Spread,
    pub(crate) per_second: Spread,
}

/// From the start of a process to its first answer.
#[derive(Serialize)]
pub(crate) struct Start {
    pub(crate) worker: &'static str,
    pub(crate) millis: Spread,
}

/// What is uploaded.
#[derive(Serialize)]
pub(crate) struct Size {
    pub(crate) worker: &'static str,
    pub(crate) bytes: usize,
    pub(crate) gzipped: usize,
}

impl Report {
    /// What a request of `row` costs `worker`, in microseconds.
    pub(crate) fn micros(&self, row: &str, worker: &str) -> f64 {
        let is_it = |found: &&Measured| found.row == row && found.worker == worker;
        self.rows.iter().find(is_it).unwrap().micros.median
    }

    /// How long `worker` takes to its first answer, in milliseconds.
    pub(crate) fn start(&self, worker: &str) -> f64 {
        self.starts.iter().find(|found| found.worker == worker).unwrap().millis.median
    }

    pub(crate) fn gzipped(&self, worker: &str) -> usize {
        self.sizes.iter().find(|found| found.worker == worker).unwrap().gzipped
    }

    pub(crate) fn print(&self) {
        println!("Processor time of workerd for each request in µs, and requests a second, on");
        println!("one core: median, least and most of all rounds.");
        let mut row = "";
        for Measured { row: name, worker, micros, per_second } in &self.rows {
            if row != *name {
                row = name;
                println!("\n{row}");
            }
            let Spread { median, least, most } = micros;
            print!("  {worker:<16}{median:>8.1}{least:>8.1}{most:>8.1}");
            let Spread { median, least, most } = per_second;
            println!("{median:>10.0}{least:>8.0}{most:>8.0}");
        }
        if !self.starts.is_empty() {
            println!(
                "\nFrom the start of a process to its first answer, in ms; bytes, and gzipped."
            );
        }
        for (Start { worker, millis, .. }, size) in self.starts.iter().zip(&self.sizes) {
            let (Spread { median, least, most }, Size { bytes, gzipped, .. }) = (millis, size);
            println!("  {worker:<16}{median:>8.1}{least:>8.1}{most:>8.1}{bytes:>10}{gzipped:>8}");
        }
    }
}
