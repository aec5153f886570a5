//! stub for now
use crate::workspace::Workspace;
use anyhow::Result;
pub(crate) fn run(_: &Workspace, _: bool) -> Result<()> {
    Ok(())
}
