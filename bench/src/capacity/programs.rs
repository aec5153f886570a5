//! What `cargo xtask load` has built.

use std::env;
use std::io;
use std::path::PathBuf;

/// Where each program is.
pub(crate) struct Programs {
    pub(crate) tidegate: PathBuf,
    pub(crate) workerd: PathBuf,
    /// The folder of the worker's modules.
    pub(crate) worker: PathBuf,
    pub(crate) policy: PathBuf,
}

impl Programs {
    pub(crate) fn find() -> io::Result<Self> {
        let place = |name| {
            let not_called =
                || io::Error::other(format!("{name} is not set: call it by `cargo xtask load`"));
            env::var_os(name).map(PathBuf::from).ok_or_else(not_called)
        };
        Ok(Self {
            tidegate: place("TIDEGATE_BIN")?,
            workerd: place("TIDEGATE_WORKERD")?,
            worker: place("TIDEGATE_LOAD_WORKER")?,
            policy: place("TIDEGATE_LOAD_POLICY")?,
        })
    }
}
