//! `tidegate publish`

use clap::Args;
use tidegate_core::Policy;
use tidegate_core::policy::Published;
use tidegate_origin::clock;
use tidegate_origin::policy_diff::PolicyDiff;

use super::kv::{DELAY, KvArgument};
use super::published::{Shelf, Version};
use super::{Outcome, PolicyArgument, wrangler};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// As other commands are told; nothing else is published to
    #[arg(long)]
    edge: bool,
    #[command(flatten)]
    kv: KvArgument,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let reading = arguments.policy.read()?;
    eprint!("{}", arguments.policy.warnings(&reading));
    let limits = &reading.policy.model().limits;
    eprint!("{}", wrangler::warnings(&arguments.policy.policy, limits));
    let shelf = Shelf::open(arguments.kv.open())?;
    let next = Published::new(reading.policy, clock::now());
    if next.hash == shelf.current.name() {
        println!("Policy {} is in force at the edge already.", next.hash);
        return Ok(());
    }
    warn_of_secrets(&next.policy, &shelf);
    let next = Version::Published(Box::new(next));
    put(&shelf, &next)
}

/// Says what changes, and puts it in force.
pub(super) fn put(shelf: &Shelf, next: &Version) -> Outcome {
    if let (Version::Published(before), Version::Published(after)) = (&shelf.current, next) {
        print!("{}", PolicyDiff::between(&before.policy, &after.policy));
    }
    shelf.put(next)?;
    println!(
        "{} is in force at the edge in place of {}; `tidegate rollback` goes back.\n{DELAY}",
        capital(&next.words()),
        shelf.current.words()
    );
    Ok(())
}

/// Warns of secrets that the Worker has not; or where nobody can tell, of those that the policy
/// before did not need.
fn warn_of_secrets(policy: &Policy, shelf: &Shelf) {
    let mut needed = policy.secrets_at_edge();
    if needed.is_empty() {
        return;
    }
    let known = shelf.secrets();
    let known = known.or_else(|| match &shelf.current {
        Version::Embedded => None,
        Version::Published(before) => {
            let names = before.policy.secrets_at_edge().into_iter();
            Some(names.map(str::to_owned).collect())
        }
    });
    let is_sure = known.is_some();
    needed.retain(|name| known.iter().flatten().all(|known| known != name));
    for name in needed {
        let lacks = if is_sure { "lacks" } else { "needs" };
        eprintln!("warning: the Worker {lacks} the secret {name}: npx wrangler secret put {name}");
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
