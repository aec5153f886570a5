//! What the demo stack bears: many virtual users, with Tidegate and without, and failures in between.
//!
//! `cargo xtask load` builds all of it and runs this.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod origin;
mod page;
mod programs;
mod runs;
mod stack;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tidegate_bench::cache_service::CacheService;
use tidegate_origin::server::allow_files;
use tokio::task::LocalSet;

use crate::programs::Programs;
use crate::runs::Effort;

/// So many files may be open, if the machine lets a process allow itself so many.
const FILES: u64 = 1 << 17;

/// Measures what the demo stack bears.
#[derive(Parser)]
#[command(name = "cargo xtask load")]
struct Arguments {
    #[command(subcommand)]
    service: Option<Service>,
    /// Few users for some seconds: enough to see that all holds, too short to say how much
    #[arg(long)]
    quick: bool,
    /// Write what was found as a page into this folder, and its pictures beside it
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Service {
    /// The service behind all, as a process of its own
    #[command(hide = true)]
    Origin {
        /// Where it listens
        address: SocketAddr,
    },
}

fn main() -> io::Result<ExitCode> {
    let Arguments { service, quick, write } = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    if let Some(Service::Origin { address }) = service {
        local.block_on(&runtime, origin::serve(address))?;
        return Ok(ExitCode::SUCCESS);
    }
    let programs = Programs::find()?;
    // Each of many users has connections, and an edge, a shim and a service have some behind each:
    // all of them are started by this process, and may open what it may.
    allow_files(FILES);
    let effort = if quick { Effort::quick() } else { Effort::whole() };
    let found = local.block_on(&runtime, async {
        let cache = CacheService::default().serve().await?;
        runs::all(&programs, cache, &effort).await
    })?;
    for verdict in &found.verdicts {
        let word = if verdict.holds { "PASS" } else { "FAIL" };
        println!("{word}  {}: {}", verdict.budget, verdict.found);
    }
    if let Some(folder) = write {
        let pictures = folder.join("pictures");
        fs::create_dir_all(&pictures)?;
        for (name, svg) in page::pictures(&found) {
            fs::write(pictures.join(name), svg)?;
        }
        fs::write(folder.join("capacity.md"), page::text(&found, &effort))?;
    }
    Ok(match found.verdicts.iter().all(|verdict| verdict.holds) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
