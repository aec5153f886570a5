//! `tidegate`: applies a policy file before a service, checks it, and explains it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to people")]

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;
use tidegate_origin::process_log::{self, Level};

/// An answer is stored by one thread and dropped by another: what is freed has to come back to
/// whoever allocates next.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Caching and rate limits from one policy file, at the origin.
#[derive(Parser)]
#[command(name = "tidegate", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the proxy before the upstreams of the policy
    Serve(commands::serve::Arguments),
    /// Read the policy and report every error in it
    Check(commands::check::Arguments),
    /// Say what the policy does with a request, and why
    Explain(commands::explain::Arguments),
    /// Say what another policy would decide differently
    Diff(commands::diff::Arguments),
    /// Say what the policy would have made of the requests in access logs
    #[cfg(feature = "replay")]
    Replay(commands::replay::Arguments),
    /// Say what the policy would make of so many users, and what that needs
    #[cfg(feature = "replay")]
    Simulate(commands::simulate::Arguments),
    /// Put the policy in force at the edge, in place of the one that its worker was built with
    Publish(commands::publish::Arguments),
    /// Put a policy in force at the edge that was so before
    Rollback(commands::rollback::Arguments),
    /// Say what a running shim is at
    Status(commands::status::Arguments),
    /// Show what a running shim does, as it does it
    Top(commands::top::Arguments),
    /// Make a running shim read its policy again
    Reload(commands::reload::Arguments),
    /// Show the limits of a running shim or of the edge, and override them
    Limits(commands::limits::Arguments),
    /// Switch maintenance of a running shim or of the edge on and off
    Maintenance(commands::maintenance::Arguments),
    /// Void what shims and the edge have stored
    Purge(commands::purge::Arguments),
    /// Let virtual users visit a website, and judge what they find
    #[cfg(feature = "load")]
    Load(commands::load::Arguments),
    /// Write what the limits of the policy need into `wrangler.toml`
    Wrangler(commands::wrangler::Arguments),
    /// Print the JSON Schema of policy files, for editors
    Schema(commands::schema::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments),
        Command::Diff(arguments) => return commands::diff::run(&arguments),
        #[cfg(feature = "replay")]
        Command::Replay(arguments) => commands::replay::run(&arguments),
        #[cfg(feature = "replay")]
        Command::Simulate(arguments) => commands::simulate::run(&arguments),
        Command::Publish(arguments) => commands::publish::run(&arguments),
        Command::Rollback(arguments) => commands::rollback::run(&arguments),
        Command::Status(arguments) => commands::status::run(&arguments),
        Command::Top(arguments) => commands::top::run(&arguments),
        Command::Reload(arguments) => commands::reload::run(&arguments),
        Command::Limits(arguments) => commands::limits::run(&arguments),
        Command::Maintenance(arguments) => commands::maintenance::run(&arguments),
        Command::Purge(arguments) => commands::purge::run(&arguments),
        #[cfg(feature = "load")]
        Command::Load(arguments) => return commands::load::run(&arguments),
        Command::Wrangler(arguments) => commands::wrangler::run(&arguments),
        Command::Schema(arguments) => commands::schema::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process_log::report(Level::Error, error);
            ExitCode::FAILURE
        }
    }
}
