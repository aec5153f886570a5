//! What a person or a program reads.

use serde::Serialize;
use tidegate_bench::measure::Cost;

use crate::shared::Shared;

/// Everything that was measured, by the place where states live.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) in_memory: Vec<Row>,
    pub(crate) shared: Vec<Shared>,
}

/// What a decision costs with so many clients known, and a client in memory.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) known: u32,
    pub(crate) bytes_each: f64,
    pub(crate) cost: Cost,
}

impl Report {
    pub(crate) fn print(&self) {
        println!("A decision on one core: nanoseconds (median, quickest), million a second,");
        println!("allocations; bytes that are held for each client.");
        let mut known = 0;
        for row in &self.in_memory {
            if row.known != known {
                known = row.known;
                println!("\n{known} {}", if known == 1 { "client" } else { "clients" });
            }
            print_row(row);
        }
        if !self.shared.is_empty() {
            println!(
                "\nIn Redis, over one connection: thousand decisions a second (median, slowest and"
            );
            println!(
                "quickest round), µs of the asking process's processors and reads of the server for each."
            );
        }
        let mut at_once = 0;
        for row in &self.shared {
            if row.at_once != at_once {
                at_once = row.at_once;
                println!("\n{at_once} at once");
            }
            print_shared(row);
        }
    }
}

fn print_row(Row { bytes_each, cost, .. }: &Row) {
    let millions = 1000.0 / cost.median_ns;
    print!("  {:<46}{:>8.1}{:>8.1}", cost.name, cost.median_ns, cost.fastest_ns);
    println!("{millions:>8.2}{:>4}{bytes_each:>12.1}", cost.allocations);
}

fn print_shared(Shared { name, per_second, slowest, quickest, micros, reads, .. }: &Shared) {
    let [median, slowest, quickest] = [per_second, slowest, quickest].map(|rate| rate / 1000.0);
    print!("  {name:<46}{median:>8.1}{slowest:>8.1}{quickest:>8.1}");
    println!("{micros:>9.2}{reads:>8.3}");
}
