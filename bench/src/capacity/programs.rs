//! What `cargo xtask load` has built.

use std::env;
use std::io;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

/// Raises how many files this process and those that it starts may open: each of many users has
/// connections of their own, and an edge, a shim and a service have some behind each.
pub(crate) fn may_open_many_files() {
    let enough = Some(1 << 17);
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Without the right to more than that, it is what is allowed.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: enough, maximum: enough })
        .or_else(|_| setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }));
}
