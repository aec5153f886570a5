//! The commands of `tidegate`.

pub(crate) mod check;
pub(crate) mod diff;
mod edge;
pub(crate) mod explain;
mod kv;
pub(crate) mod limits;
#[cfg(feature = "load")]
pub(crate) mod load;
pub(crate) mod maintenance;
mod operate;
#[cfg(feature = "replay")]
mod progress;
pub(crate) mod publish;
mod published;
pub(crate) mod purge;
pub(crate) mod reload;
#[cfg(feature = "replay")]
pub(crate) mod replay;
pub(crate) mod rollback;
pub(crate) mod schema;
pub(crate) mod serve;
#[cfg(feature = "replay")]
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod top;
pub(crate) mod wrangler;

use std::error::Error;
#[cfg(feature = "replay")]
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use tidegate_core::document::Reading;
use tidegate_origin::policy_file;

/// What a command ends with; an error is a text for people.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Which policy to read.
#[derive(Args, Clone)]
pub(crate) struct PolicyArgument {
    /// The policy file
    #[arg(long, value_name = "FILE", default_value = "tidegate.toml", env = "TIDEGATE_POLICY")]
    policy: PathBuf,
}

impl PolicyArgument {
    pub(super) const fn of(policy: PathBuf) -> Self {
        Self { policy }
    }

    fn read(&self) -> Result<Reading, Box<dyn Error>> {
        Ok(policy_file::read(&self.policy)?)
    }

    /// The file as the person named it.
    fn file(&self) -> String {
        self.policy.display().to_string()
    }

    /// The warnings as text; empty without any.
    fn warnings(&self, reading: &Reading) -> String {
        reading.warnings.display(&self.file()).to_string()
    }
}

/// Prints all of a report.
#[cfg(feature = "replay")]
fn print(text: &str) -> Outcome {
    match io::stdout().write_all(text.as_bytes()) {
        // Who reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
