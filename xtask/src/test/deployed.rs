//! What deploy/ holds, by those who read it where it is deployed: systemd, a builder of images,
//! promtool, and validators from PyPI.

use anyhow::Result;

use crate::test::rust;
use crate::test::session::TestRun;
use crate::workspace::Workspace;
use crate::{system, tools};

/// Runs tests/tests/deployment.
pub(super) fn check(workspace: &Workspace) -> Result<TestRun> {
    use system::{BUILDAH, PROMTOOL, REDIS, STRACE, SYSTEMD};
    [SYSTEMD, STRACE, BUILDAH, PROMTOOL, REDIS].iter().try_for_each(system::require)?;
    let validators = tools::validators(workspace)?;
    rust::test_that_needs_more(workspace, "deployment", |command| {
        command.env("VALIDATORS", validators);
    })
}
