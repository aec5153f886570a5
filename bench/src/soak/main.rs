//! Whether the shim's memory stays what it is: a day's requests in minutes, of more clients, pages,
//! tags and invalidations than it may remember, with all that keeps something in memory switched on.
//! Before that, what a stored answer takes beside what it is accounted for.
//!
//! `cargo xtask bench soak` runs this.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod chance;
mod load;
mod origin;
mod shim;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use serde::Serialize;
use tidegate_bench::command::{Options, Verdict};
use tidegate_bench::process;
use tidegate_bench::redis_server::RedisServer;

use crate::chance::Chance;
use crate::load::Answers;
use crate::shim::Shim;

/// A day of 115 requests a second: the traffic of 100,000 users.
const DAY: u64 = 10_000_000;
/// Answers of 1 KB that are stored before.
const FILLED: u64 = 100_000;
/// So many requests are on their way at a time.
const CONNECTIONS: u64 = 48;
/// Rows of the report. The first is for the memory to fill; the second is what the last is held
/// against.
const TENTHS: u64 = 10;
/// Looks at the memory in each of them.
const LOOKS: u64 = 20;

/// Lets a day pass at the shim, and looks at its memory.
#[derive(Parser)]
#[command(name = "cargo xtask bench soak")]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// How many requests; a day's without it
    #[arg(long)]
    requests: Option<u64>,
}

/// Everything that was measured.
#[derive(Serialize)]
struct Report {
    /// Of a stored answer of 1 KB.
    stored: Stored,
    tenths: Vec<Tenth>,
}

/// Bytes of one answer.
#[derive(Serialize)]
struct Stored {
    resident: f64,
    accounted: f64,
}

/// A tenth of the day.
#[derive(Serialize)]
struct Tenth {
    /// Bytes of memory: the mean of all looks.
    memory: f64,
    /// What the zones account for, at its end.
    accounted: u64,
    seconds: f64,
    requests: u64,
    hits: u64,
    limited: u64,
    failed: u64,
}

fn main() -> io::Result<ExitCode> {
    let Arguments { options, requests } = Arguments::parse();
    let requests = requests.unwrap_or(if options.quick { DAY / 100 } else { DAY });
    let report = measure(requests)?;
    Ok(options.conclude(&report, judge, Report::print))
}

fn measure(requests: u64) -> io::Result<Report> {
    let origin = origin::serve()?;
    let limits = RedisServer::start(&["--maxmemory", "64mb"])?;
    let bound = ["--maxmemory", "128mb", "--maxmemory-policy", "allkeys-lru"];
    let answers = RedisServer::start(&bound)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stored = fill(&runtime, &Shim::start(origin, &limits, &answers)?)?;
    // One that has nothing of that.
    let shim = Shim::start(origin, &limits, &answers)?;
    let answers = Arc::<Answers>::default();
    let is_over = AtomicBool::new(false);
    let tenths = thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let tenths = watch(&shim, &answers, requests);
            is_over.store(true, Ordering::Relaxed);
            tenths
        });
        let purging = scope.spawn(|| purge(&shim, &is_over));
        let asking = runtime.block_on(async {
            let one = |seed| tokio::spawn(load::ask(shim.address, seed, requests, answers.clone()));
            let all: Vec<_> = (0..CONNECTIONS).map(one).collect();
            for one in all {
                one.await.map_err(io::Error::other)??;
            }
            Ok::<_, io::Error>(())
        });
        // Nobody waits for requests that nobody sends.
        answers.all.fetch_max(requests, Ordering::Relaxed);
        let join = |joined: thread::Result<io::Result<_>>| {
            joined.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        };
        let tenths = watching.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")));
        join(purging.join())?;
        asking?;
        tenths
    })?;
    Ok(Report { stored, tenths })
}

/// Has answers of 1 KB stored, and says what each takes.
fn fill(runtime: &tokio::runtime::Runtime, shim: &Shim) -> io::Result<Stored> {
    // What the first requests allocate is for all.
    let some = |from| runtime.block_on(load::fill(shim.address, from, Arc::default()));
    some(0..FILLED / 100)?;
    let before = (process::memory(shim.id())?, shim.held("filled")?);
    some(FILLED / 100..FILLED)?;
    let after = (process::memory(shim.id())?, shim.held("filled")?);
    let answers = (after.1.answers - before.1.answers) as f64;
    Ok(Stored {
        resident: after.0.saturating_sub(before.0) as f64 / answers,
        accounted: (after.1.bytes - before.1.bytes) as f64 / answers,
    })
}

/// Looks at the memory while requests are answered.
fn watch(shim: &Shim, answers: &Answers, requests: u64) -> io::Result<Vec<Tenth>> {
    let count = || {
        [&answers.all, &answers.hits, &answers.limited, &answers.failed]
            .map(|count| count.load(Ordering::Relaxed))
    };
    let mut tenths = Vec::new();
    for tenth in 0..TENTHS {
        let (begun, before) = (Instant::now(), count());
        let mut memory = 0.0;
        for look in 1..=LOOKS {
            let until = requests * (tenth * LOOKS + look) / (TENTHS * LOOKS);
            while answers.all.load(Ordering::Relaxed) < until {
                thread::sleep(Duration::from_millis(10));
            }
            memory += process::memory(shim.id())? as f64 / LOOKS as f64;
        }
        let accounted = ["pages", "own", "default"].map(|zone| shim.held(zone));
        let accounted = accounted.into_iter().map(|held| held.map(|held| held.bytes));
        let accounted = accounted.sum::<io::Result<u64>>()?;
        let after = count();
        let [requests, hits, limited, failed] = std::array::from_fn(|at| after[at] - before[at]);
        let seconds = begun.elapsed().as_secs_f64();
        tenths.push(Tenth { memory, accounted, seconds, requests, hits, limited, failed });
    }
    Ok(tenths)
}

/// Invalidates tags and prefixes, and asks for metrics, as whoever operates a shim does.
fn purge(shim: &Shim, is_over: &AtomicBool) -> io::Result<()> {
    let mut chance = Chance::of(u64::MAX);
    while !is_over.load(Ordering::Relaxed) {
        let tags: Vec<String> =
            (0..20).map(|_| format!("\"page:{}\"", chance.below(origin::TAGS))).collect();
        let order = match chance.below(50) {
            0 => format!("{{\"prefixes\": [\"/pages/{:x}\"]}}", chance.below(256)),
            1 => format!("{{\"keys\": [\"/pages/{}\"]}}", chance.next()),
            _ => format!("{{\"tags\": [{}]}}", tags.join(",")),
        };
        shim.ask("POST", "/purge", &order)?;
        shim.ask("GET", "/stats", "")?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn judge(report: &Report) -> Vec<Verdict> {
    let Report { stored, tenths } = report;
    let taken = stored.resident / stored.accounted;
    let (second, last) = (tenths[1].memory, tenths[tenths.len() - 1].memory);
    let grown = (last / second - 1.0) * 100.0;
    let failed: u64 = tenths.iter().map(|tenth| tenth.failed).sum();
    vec![
        Verdict {
            budget: "a stored answer of 1 KB: at most 1.1 times what it is accounted for".into(),
            found: format!("{taken:.2} times ({:.0} bytes)", stored.resident),
            holds: taken <= 1.1,
        },
        Verdict {
            budget: "memory in the last tenth: at most 5 % more than in the second".into(),
            found: format!("{grown:+.1} %"),
            holds: grown <= 5.0,
        },
        Verdict {
            budget: "no request fails".into(),
            found: format!("{failed} did"),
            holds: failed == 0,
        },
    ]
}

impl Report {
    fn print(&self) {
        let Stored { resident, accounted } = self.stored;
        println!(
            "A stored answer of 1 KB takes {resident:.0} bytes, and is accounted {accounted:.0}."
        );
        println!("\n    memory  accounted  requests  a second  hits  limited  failed");
        println!("       MiB        MiB                        %        %");
        for tenth in &self.tenths {
            let Tenth { memory, accounted, seconds, requests, hits, limited, failed } = tenth;
            let percent = |part: &u64| *part as f64 * 100.0 / *requests as f64;
            let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
            println!(
                "{:>10.1} {:>10.1} {requests:>9} {:>9.0} {:>5.1} {:>8.1} {failed:>7}",
                mebibytes(*memory),
                mebibytes(*accounted as f64),
                *requests as f64 / seconds,
                percent(hits),
                percent(limited),
            );
        }
    }
}
