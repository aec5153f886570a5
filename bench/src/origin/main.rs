//! What a request costs the shim, beside nginx, HAProxy and Varnish on the same requests in the same
//! run: each of them a process of its own on one core, with the load and the origin on the other.
//!
//! `cargo xtask bench origin` installs the peers and runs this.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod budgets;
mod load;
mod report;
mod servers;
mod services;
mod world;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tidegate_bench::command::Options;
use tidegate_bench::process::{self, Cores};
use tidegate_bench::spread::Spread;

use crate::load::{Load, first_answer};
use crate::report::{Kept, Measured, Report};
use crate::servers::{Running, SERVERS};
use crate::world::{MANY, ROWS, Row};

/// Measures the shim at the origin.
#[derive(Parser)]
#[command(name = "cargo xtask bench origin")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// How long to measure.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Of one kind of request to one server, in each round.
    span: Duration,
    /// Before all rounds.
    warm: Duration,
}

/// One kind of request to one server.
struct Cell<'a> {
    row: &'static Row,
    server: &'a Running,
    micros: Vec<f64>,
    per_second: Vec<f64>,
}

fn main() -> io::Result<ExitCode> {
    let Arguments { options } = Arguments::parse();
    let effort = match options.quick {
        true => Effort { rounds: 1, span: Duration::from_secs(1), warm: Duration::from_secs(1) },
        false => Effort { rounds: 7, span: Duration::from_secs(2), warm: Duration::from_secs(2) },
    };
    let report = measure(options.wanted(), effort)?;
    Ok(options.conclude(&report, budgets::judge, Report::print))
}

fn measure(wanted: &str, effort: Effort) -> io::Result<Report> {
    let cores = Cores::share()?;
    let origin = services::origin()?;
    let running: Vec<Running> =
        SERVERS.iter().map(|server| server.start(origin, &cores)).collect::<io::Result<_>>()?;
    let mut report = Report::default();
    for row in ROWS {
        let mut cells: Vec<Cell<'_>> = running
            .iter()
            .filter(|server| row.is_for(server.name))
            .filter(|server| [row.name, server.name].iter().any(|name| name.contains(wanted)))
            .map(|server| Cell { row, server, micros: Vec::new(), per_second: Vec::new() })
            .collect();
        for cell in &cells {
            let before = process::memory(cell.server.id())? + cell.server.on_disk()?;
            cell.prepare(effort)?;
            if row.name == MANY {
                let after = process::memory(cell.server.id())? + cell.server.on_disk()?;
                let bytes = after.saturating_sub(before) as f64 / f64::from(row.urls);
                report.kept.push(Kept { server: cell.server.name, bytes });
            }
        }
        for _ in 0..effort.rounds {
            for cell in &mut cells {
                cell.sample(effort.span)?;
            }
        }
        report.rows.extend(cells.into_iter().map(Cell::measured));
    }
    Ok(report)
}

impl Cell<'_> {
    /// Has stored what is to be served from the store, and sees to it that it is.
    fn prepare(&self, effort: Effort) -> io::Result<()> {
        let address = self.server.address;
        if self.row.is_stored() {
            load::ask_for_each(address, self.row)?;
            // Some store an answer only after they have sent it.
            Load::of(self.row, address).run(effort.warm)?;
        }
        let answer = first_answer(address, self.row)?;
        let seen = (answer.status, answer.coding.as_deref() == Some("gzip"));
        if seen != (self.row.status, self.row.is_compressed) {
            let name = self.server.name;
            let said = self.server.complaint();
            return Err(io::Error::other(format!("{name}, {}: {answer:?} {said}", self.row.name)));
        }
        Ok(())
    }

    fn sample(&mut self, span: Duration) -> io::Result<()> {
        let cpu = process::cpu(self.server.id())?;
        let asked = services::asked();
        let run = Load::of(self.row, self.server.address).run(span)?;
        let asked = services::asked() - asked;
        let cpu = process::cpu(self.server.id())? - cpu;
        if run.requests == 0
            || run.broken > 0
            || !self.row.is_as_expected(run.requests, run.refused, asked)
        {
            let (name, row) = (self.server.name, self.row.name);
            return Err(io::Error::other(format!("{name}, {row}: {run:?}, origin asked {asked}")));
        }
        self.micros.push(cpu.as_nanos() as f64 / 1000.0 / run.requests as f64);
        self.per_second.push(run.requests as f64 / (run.micros as f64 / 1e6));
        Ok(())
    }

    fn measured(self) -> Measured {
        let Self { row, server, micros, per_second } = self;
        let (micros, per_second) = (Spread::of(micros), Spread::of(per_second));
        Measured { row: row.name, server: server.name, micros, per_second }
    }
}
