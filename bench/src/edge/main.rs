//! What a request costs the worker at the edge, in bare workerd, beside other Workers on the same
//! requests in the same run.
//!
//! `cargo xtask bench edge` builds all of them and runs this.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]
#![allow(clippy::unwrap_used, reason = "a bench whose own world is wrong had better stop")]

mod budgets;
mod load;
mod report;
mod runtime;
mod services;
mod world;

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tidegate_bench::command::Options;
use tidegate_bench::process::Cores;
use tidegate_bench::spread::Spread;
use tokio::task::LocalSet;

use crate::load::{Clients, first_answer};
use crate::report::{Measured, Report, Size, Start};
use crate::runtime::{Around, Runtime};
use crate::services::Services;
use crate::world::{ROWS, Row, Worker};

/// Measures the worker at the edge.
#[derive(Parser)]
#[command(name = "cargo xtask bench edge")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// How long to measure.
struct Effort {
    rounds: usize,
    /// Of one kind of request, in each round.
    span: Duration,
    /// Before all rounds: until the engine has compiled what it will.
    warm: Duration,
    starts: usize,
}

/// One kind of request to one Worker.
struct Cell<'a> {
    row: &'static Row,
    worker: &'a Worker,
    /// Which of the running ones it is.
    at: usize,
    micros: Vec<f64>,
    per_second: Vec<f64>,
}

fn main() -> io::Result<ExitCode> {
    let Arguments { options } = Arguments::parse();
    let effort = match options.quick {
        true => Effort {
            rounds: 1,
            span: Duration::from_millis(200),
            warm: Duration::from_millis(200),
            starts: 1,
        },
        false => Effort {
            rounds: 11,
            span: Duration::from_millis(700),
            warm: Duration::from_secs(3),
            starts: 15,
        },
    };
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = LocalSet::new().block_on(&tokio, measure(options.wanted(), &effort))?;
    Ok(options.conclude(&report, budgets::judge, Report::print))
}

async fn measure(wanted: &str, effort: &Effort) -> io::Result<Report> {
    let cores = Cores::share()?;
    let services = Services::default();
    let around = Around { origin: services.origin().await?, cache: services.cache().await? };
    let workers = Worker::all()?;
    let mut running = Vec::new();
    for worker in &workers {
        let runtime = Runtime::start(worker, around, &cores)?;
        running.push((Clients::of(runtime.address), runtime));
    }
    let mut cells: Vec<Cell<'_>> = Vec::new();
    for row in ROWS {
        for (at, worker) in workers.iter().enumerate() {
            let is_wanted = [row.name, worker.name].iter().any(|name| name.contains(wanted));
            if row.is_of(worker) && is_wanted {
                cells.push(Cell { row, worker, at, micros: Vec::new(), per_second: Vec::new() });
            }
        }
    }
    for Cell { row, at, .. } in &cells {
        let clients = &running[*at].0;
        clients.prepare(row).await?;
        clients.run(row, effort.warm).await?;
    }
    services.seal();
    for _ in 0..effort.rounds {
        for cell in &mut cells {
            let (clients, runtime) = &running[cell.at];
            cell.sample(clients, runtime, &services, effort.span).await?;
        }
    }
    let rows = cells.into_iter().map(Cell::measured).collect();
    drop(running);
    if !wanted.is_empty() {
        return Ok(Report { rows, ..Report::default() });
    }
    Ok(Report {
        rows,
        starts: starts(&workers, around, &cores, effort).await?,
        sizes: sizes(&workers)?,
    })
}

impl Cell<'_> {
    async fn sample(
        &mut self,
        clients: &Clients,
        runtime: &Runtime,
        services: &Services,
        span: Duration,
    ) -> io::Result<()> {
        let (asked, cpu) = (services.asked(), runtime.cpu()?);
        let run = clients.run(self.row, span).await?;
        let cpu = runtime.cpu()? - cpu;
        let now = services.asked();
        self.row.judge(
            self.worker,
            run.requests,
            now.origin - asked.origin,
            now.cache - asked.cache,
        )?;
        self.micros.push(cpu.as_nanos() as f64 / 1000.0 / run.requests as f64);
        self.per_second.push(run.requests as f64 / run.span.as_secs_f64());
        Ok(())
    }

    fn measured(self) -> Measured {
        let Self { row, worker, micros, per_second, .. } = self;
        let (micros, per_second) = (Spread::of(micros), Spread::of(per_second));
        Measured { row: row.name, worker: worker.name, micros, per_second }
    }
}

/// Starts each several times, in turns; what is asked for first is stored.
async fn starts(
    workers: &[Worker],
    around: Around,
    cores: &Cores,
    effort: &Effort,
) -> io::Result<Vec<Start>> {
    let mut millis = vec![Vec::new(); workers.len()];
    for _ in 0..effort.starts {
        for (worker, millis) in workers.iter().zip(&mut millis) {
            let row = ROWS.iter().find(|row| row.is_of(worker)).unwrap();
            let begun = Instant::now();
            let runtime = Runtime::start(worker, around, cores)?;
            first_answer(runtime.address, row).await?;
            millis.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let of =
        |(worker, millis): (&Worker, _)| Start { worker: worker.name, millis: Spread::of(millis) };
    Ok(workers.iter().zip(millis).map(of).collect())
}

fn sizes(workers: &[Worker]) -> io::Result<Vec<Size>> {
    let size = |worker: &Worker| {
        let (bytes, gzipped) = worker.size()?;
        Ok(Size { worker: worker.name, bytes, gzipped })
    };
    workers.iter().map(size).collect()
}
