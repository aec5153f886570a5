//! The demo origin as a program: two services to put a gate before.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its terminal")]

use std::{net::SocketAddr, process::ExitCode};

use clap::Parser;
use tidegate_tests::demo_origin::BoundDemoOrigin;

/// A plugin server and a base service that count what they are asked.
#[derive(Parser)]
#[command(name = "demo-origin")]
struct Arguments {
    /// Where the plugin server listens (/plugins/*); port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3100")]
    plugins: SocketAddr,
    /// Where the base service listens (/api/v1/*); port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4000")]
    base: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let origin = match BoundDemoOrigin::bind(arguments.plugins, arguments.base) {
        Ok(origin) => origin,
        Err(refused) => {
            eprintln!("demo-origin: {refused}");
            return ExitCode::FAILURE;
        }
    };
    // The signals are caught before anybody can read that we are up.
    let told_to_stop = told_to_stop();
    println!("demo-origin: plugin server listening on http://{}", origin.plugins().address());
    println!("demo-origin: base service listening on http://{}", origin.base().address());
    origin.serve_until(told_to_stop).await;
    ExitCode::SUCCESS
}

/// Resolves on Ctrl-C or, where there is such a thing, SIGTERM.
#[cfg(unix)]
fn told_to_stop() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt()).expect("a handler for SIGINT");
    let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
    async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Resolves on Ctrl-C.
#[cfg(not(unix))]
async fn told_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}
