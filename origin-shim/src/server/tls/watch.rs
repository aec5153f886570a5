//! Certificates are renewed while the process runs: their files are looked at every second.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tidegate_core::policy;

use crate::control::Control;
use crate::process_log;

/// A look at a file costs a microsecond.
const EVERY: Duration = Duration::from_secs(1);

/// What one look at a file tells; `None` where there is none.
type Look = Option<(u64, u64, u64, i64, i64)>;

/// Shows new certificates when their files have changed, for ever. A certificate and its key are
/// two files, so that they are read only once they have stayed as they are for a second.
pub(in crate::server) async fn keep_certificates_fresh(control: &Control) {
    let mut shown = look_at(control);
    let mut last = shown.clone();
    loop {
        tokio::time::sleep(EVERY).await;
        let seen = look_at(control);
        let is_settled = seen == last;
        last.clone_from(&seen);
        if seen == shown || !is_settled {
            continue;
        }
        shown = seen;
        match control.read_certificates().await {
            Ok(true) => {
                process_log::info("certificates have changed and are shown from now on", &[])
            }
            Ok(false) => {}
            Err(error) => process_log::error(
                format_args!("{error}\ntidegate: the old certificates stay"),
                &[],
            ),
        }
    }
}

/// One look at all files of the policy in force.
fn look_at(control: &Control) -> Vec<Look> {
    let in_force = control.shared().in_force();
    let Some(tls) = &in_force.file.model().shim.tls else { return Vec::new() };
    files(tls).map(|file| look(&control.start().folder().join(file))).collect()
}

fn files(tls: &policy::Tls) -> impl Iterator<Item = &str> {
    tls.certificates.iter().flat_map(|files| [&*files.chain, &*files.key])
}

/// Which file it is, behind links, and how it is.
fn look(file: &Path) -> Look {
    let file = file.metadata().ok()?;
    Some((file.dev(), file.ino(), file.len(), file.ctime(), file.ctime_nsec()))
}
