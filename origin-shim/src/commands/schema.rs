//! `tidegate schema`

use clap::Args;
use tidegate_core::document;

use super::Outcome;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The policy reference for people, in Markdown
    #[arg(long)]
    reference: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match arguments.reference {
        true => print!("{}", document::reference()),
        false => print!("{}", document::schema()),
    }
    Ok(())
}
