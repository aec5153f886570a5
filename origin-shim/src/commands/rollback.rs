//! `tidegate rollback`

use clap::Args;
use tidegate_core::policy::Published;
use tidegate_core::time::rfc3339::Rfc3339;
use tidegate_origin::clock;

use super::Outcome;
use super::kv::KvArgument;
use super::publish;
use super::published::{Shelf, Version};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The policy to go back to: its hash or the begin of that, or `embedded` for the one that the
    /// worker was built with. Without it, the one before
    #[arg(long, value_name = "HASH")]
    to: Option<String>,
    /// Only say which there are
    #[arg(long)]
    list: bool,
    /// As other commands are told; nothing else is published to
    #[arg(long)]
    edge: bool,
    #[command(flatten)]
    kv: KvArgument,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let shelf = Shelf::open(arguments.kv.open())?;
    if arguments.list {
        println!("{}  in force", described(&shelf.current));
        for version in &shelf.before {
            println!("{}", described(version));
        }
        return Ok(());
    }
    let wanted = match &arguments.to {
        None => shelf.before.first(),
        Some(name) if *name == *Version::Embedded.name() => Some(&Version::Embedded),
        Some(hash) => shelf.before.iter().find(|known| known.name().starts_with(hash)),
    };
    let wanted = wanted.ok_or(match arguments.to {
        None => {
            "no policy was in force at the edge before\n= hint: `--to embedded` goes back to \
                 the one that the worker was built with"
        }
        Some(_) => {
            "no such policy was in force at the edge\n= hint: `tidegate rollback --list` \
                    says which were; another is published by `tidegate publish`"
        }
    })?;
    if wanted.name() == shelf.current.name() {
        println!("{} is in force at the edge already.", wanted.name());
        return Ok(());
    }
    let next = match wanted {
        Version::Embedded => Version::Embedded,
        // From now on, and not since then.
        Version::Published(known) => {
            let policy = known.policy.clone();
            Version::Published(Box::new(Published::new(policy, clock::now())))
        }
    };
    publish::put(&shelf, &next)
}

fn described(version: &Version) -> String {
    match version {
        Version::Embedded => format!("{:<16}  built into the worker", version.name()),
        Version::Published(known) => {
            format!("{:<16}  published {}", known.hash, Rfc3339(known.at))
        }
    }
}
