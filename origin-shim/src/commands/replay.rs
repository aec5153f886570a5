//! `tidegate replay`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tidegate_core::Policy;
use tidegate_replay::log::{self, Format, LogError, Unreadable};
use tidegate_replay::report::{Html, Text};
use tidegate_replay::{Asked, Assumptions, Engine, Report, Setup, Tiers};

use super::progress::Progress;
use super::{Outcome, PolicyArgument, print};

/// Requests between two looks at the clock.
const BETWEEN_LOOKS: u64 = 1 << 14;
/// Between two lines of how far it is.
const BETWEEN_LINES: Duration = Duration::from_millis(200);

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// Another policy file, to be shown the same requests
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// The format of the logs; without it each tells by its first lines
    #[arg(long, value_enum)]
    format: Option<FormatName>,
    /// Where the policy is applied
    #[arg(long, value_enum, default_value = "both")]
    tiers: TiersName,
    /// In how many places the edge stores by itself
    #[arg(long, value_name = "NUMBER", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    edge_locations: u16,
    /// The Host field where a log names none; the first that the policy names without it
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// What stands in for what a log does not say; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    assume: Vec<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    /// Write the report as one page, too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Say nothing of how far it is
    #[arg(long, short)]
    quiet: bool,
    /// Access logs, one after the other; `-` is standard input
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatName {
    Common,
    Combined,
    Nginx,
    Caddy,
    Cloudflare,
}

#[derive(Clone, Copy, ValueEnum)]
enum TiersName {
    Both,
    Edge,
    Origin,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let policy = arguments.policy.read()?.policy;
    let file = arguments.policy.file();
    let against = match &arguments.against {
        None => None,
        Some(path) => {
            let argument = PolicyArgument::of(path.clone());
            Some((argument.file(), argument.read()?.policy))
        }
    };
    let setup = setup(arguments, &policy)?;
    let mut engine = Engine::new(policy, setup.clone());
    let mut other = against.map(|(name, policy)| (name, Engine::new(policy, setup)));
    let unreadable = read(arguments, |asked| {
        engine.ask(asked);
        if let Some((_, other)) = &mut other {
            other.ask(asked);
        }
    })?;
    let other = other.as_ref().map(|(name, other)| (&**name, other));
    let report = Report::new(Some(&unreadable), (&file, &engine), other);
    if let Some(path) = &arguments.html {
        std::fs::write(path, Html(&report).to_string())
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    match arguments.json {
        true => print(&format!("{:#}\n", report.to_json())),
        false => print(&Text(&report).to_string()),
    }
}

fn setup(arguments: &Arguments, policy: &Policy) -> Result<Setup, Box<dyn Error>> {
    let mut assumptions = Assumptions::default();
    let hosts = policy.model().routes.iter().flat_map(|route| &route.hosts);
    if let Some(host) = arguments.host.as_ref().or(hosts.into_iter().next()) {
        assumptions.host.clone_from(host);
    }
    for assumed in &arguments.assume {
        assumptions.set(assumed)?;
    }
    if tidegate_core::Host::parse(&assumptions.host, assumptions.scheme).is_err() {
        return Err(format!(
            "`{}` is no host\n= hint: write it as in the Host field, like shop.example or [::1]:8080",
            assumptions.host
        )
        .into());
    }
    let tiers = match arguments.tiers {
        TiersName::Both => Tiers::Both,
        TiersName::Edge => Tiers::Edge,
        TiersName::Origin => Tiers::Origin,
    };
    Ok(Setup { assumptions, edge_locations: arguments.edge_locations, tiers })
}

/// Reads all logs; what of them could not be read.
fn read(
    arguments: &Arguments,
    mut then: impl FnMut(&Asked<'_>),
) -> Result<Unreadable, Box<dyn Error>> {
    let format = arguments.format.map(|format| match format {
        FormatName::Common => Format::Common,
        FormatName::Combined => Format::Combined,
        FormatName::Nginx => Format::Nginx,
        FormatName::Caddy => Format::Caddy,
        FormatName::Cloudflare => Format::Cloudflare,
    });
    let mut unreadable = Unreadable::default();
    let mut progress = Progress::new(arguments.quiet, BETWEEN_LINES);
    let size = size(&arguments.logs);
    let (mut requests, mut done) = (0_u64, 0_u64);
    for path in &arguments.logs {
        let name = match path == Path::new("-") {
            true => "standard input".to_owned(),
            false => path.display().to_string(),
        };
        let source = log::open(path).map_err(|error| {
            format!("{name}: {error}\n= hint: name access logs, or - for standard input")
        })?;
        let read = std::sync::Arc::clone(&source.read);
        let before = done;
        let outcome = log::read(source.text, &name, format, &mut unreadable, |asked| {
            requests += 1;
            if requests.is_multiple_of(BETWEEN_LOOKS) && progress.is_due() {
                let done = before + read.load(Ordering::Relaxed);
                progress.show(requests, size.map(|size| done as f64 / size as f64));
            }
            then(asked);
        });
        done = before + read.load(Ordering::Relaxed);
        outcome.map_err(|error| match error {
            LogError::Io(error) => format!(
                "{name}: {error}\n= hint: the file is damaged or ends too early; gzip -t and zstd -t tell"
            ),
            other => format!("{name}: {other}"),
        })?;
    }
    progress.end();
    Ok(unreadable)
}

/// Bytes of all logs, if all are files with something in them.
fn size(logs: &[PathBuf]) -> Option<u64> {
    let size = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
        meta.map(|meta| meta.len())
    };
    logs.iter().map(size).sum::<Option<u64>>().filter(|size| *size > 0)
}
