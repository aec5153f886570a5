//! `tidegate load`

use std::process::ExitCode;

pub(crate) use tidegate_load::command::Arguments;

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    tidegate_load::command::run(arguments)
}
