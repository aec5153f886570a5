//! `cargo xtask smoke URL`: asks a deployed Worker what only the real platform can tell.
//!
//! The questions are in `xtask/smoke/`, for the Node that wrangler needs anyway.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{report, run, tools};

/// When there is nobody to ask, as for arguments that make no sense.
const UNABLE: u8 = 2;

/// What to ask about.
#[derive(clap::Args)]
#[command(
    after_help = "Sends at most 60 requests in 3 minutes. Exit code: 0 if all that can be told is \
                  as expected, 1 if not, 2 if nobody can be asked. docs/guides/after-deploying.md \
                  has every question."
)]
pub(crate) struct Smoke {
    /// Where the Worker is reached; a path in it is that of `--path`
    url: String,
    /// A path that the policy caches at the edge, best text of 1 KiB or more [default:
    /// /plugins/app.js]
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// A path that passes the edge uncached, best one with a limit [default: /api/v1/plugins]
    #[arg(long, value_name = "PATH")]
    bypass: Option<String>,
    /// The variable that has the token of the policy's `[edge]`; it is never printed
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// Asks, and exits as the script does.
pub(crate) fn run(workspace: &Workspace, smoke: &Smoke) -> ExitCode {
    ask(workspace, smoke).unwrap_or_else(|error| {
        report::failure(&error);
        ExitCode::from(UNABLE)
    })
}

fn ask(workspace: &Workspace, smoke: &Smoke) -> Result<ExitCode> {
    let mut node = Command::new(tools::node(workspace)?);
    node.arg(workspace.path("xtask/smoke/smoke.mjs"));
    let named =
        [("--path", &smoke.path), ("--bypass", &smoke.bypass), ("--token-env", &smoke.token_env)];
    for (name, value) in named {
        // In one word: a value may begin with a dash.
        node.args(value.iter().map(|value| format!("{name}={value}")));
    }
    node.args(smoke.json.then_some("--json"));
    node.arg("--").arg(&smoke.url);
    let status = run::spawn(&mut node)?.wait()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(UNABLE)))
}
