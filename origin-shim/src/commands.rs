//! The commands of `tidegate`.

pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod schema;
pub(crate) mod serve;

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use tidegate_core::Policy;
use tidegate_origin::policy_file;

/// What a command ends with; an error is a text for people.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Which policy to read.
#[derive(Args)]
pub(crate) struct PolicyArgument {
    /// The policy file
    #[arg(long, value_name = "FILE", default_value = "tidegate.toml", env = "TIDEGATE_POLICY")]
    policy: PathBuf,
}

impl PolicyArgument {
    fn read(&self) -> Result<Policy, Box<dyn Error>> {
        Ok(policy_file::read(&self.policy)?)
    }
}
