//! `tidegate wrangler`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use tidegate_core::document;
use tidegate_core::rate::Limit;
use tidegate_core::rate::colo::Binding;
use tidegate_origin::wrangler_file;

use super::{Outcome, PolicyArgument};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// Wrangler's file [default: wrangler.toml beside the policy]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only say what differs, and fail if anything does
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let reading = arguments.policy.read()?;
    let limits = &reading.policy.model().limits;
    let path = arguments.config.clone().unwrap_or_else(|| beside(&arguments.policy.policy));
    let name = path.display().to_string();
    let text = fs::read_to_string(&path).map_err(|error| format!("{name}: {error}"))?;
    if arguments.check {
        let differences = document::bindings(limits, &text);
        if !differences.is_empty() {
            return Err(differences.display(&name).to_string().trim_end().into());
        }
        println!("{name}: binds what the policy needs");
        return Ok(());
    }
    let bindings = Binding::all(limits);
    let changed = wrangler_file::with_bindings(&text, &bindings)
        .map_err(|error| format!("{name}: {error}"))?;
    if changed == text {
        println!("{name}: binds what the policy needs");
        return Ok(());
    }
    fs::write(&path, changed).map_err(|error| format!("{name}: {error}"))?;
    let names: Vec<_> = bindings.into_iter().map(|binding| binding.name).collect();
    match names.is_empty() {
        true => println!("{name}: binds no limit any more"),
        false => println!("{name}: binds {}", names.join(", ")),
    }
    Ok(())
}

/// Wrangler's file beside the policy.
fn beside(policy: &Path) -> PathBuf {
    policy.with_file_name("wrangler.toml")
}

/// What the `wrangler.toml` beside the policy, if there is one, does not bind as `limits` need it.
pub(super) fn warnings(policy: &Path, limits: &[Limit]) -> String {
    let path = beside(policy);
    let Ok(text) = fs::read_to_string(&path) else { return String::new() };
    document::bindings(limits, &text).display(&path.display().to_string()).to_string()
}
