//! Components that come from the system's packages, not from cargo or npm.
//!
//! Where the person may install packages (root on Debian), a missing one is
//! installed; elsewhere the line to type is the error, so that callers can
//! tell "not testable here" from "broken".

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use anyhow::{Result, ensure};

use crate::{report, run};

/// Something a command needs that only the system's package manager brings.
pub(crate) struct Component {
    /// What it is and what needs it, as one phrase.
    pub(crate) what: &'static str,
    /// Whether it is there.
    pub(crate) present: fn() -> bool,
    /// The Debian packages that bring it.
    pub(crate) packages: &'static [&'static str],
}

/// A peer of the conformance table.
pub(crate) const NGINX: Component = Component {
    what: "nginx, beside which the cache tests run",
    present: || run::answer(server("nginx"), &["-v"]).is_some(),
    packages: &["nginx"],
};

/// The other one; the packages include the C compiler that reads its
/// configuration.
pub(crate) const VARNISH: Component = Component {
    what: "Varnish, beside which the cache tests run",
    present: || run::answer(server("varnishd"), &["-V"]).is_some(),
    packages: &["varnish"],
};

/// A peer of the shim's bench.
pub(crate) const HAPROXY: Component = Component {
    what: "HAProxy, beside which the shim is measured",
    present: || run::answer(server("haproxy"), &["-v"]).is_some(),
    packages: &["haproxy"],
};

/// What asks in the shim's bench. Asked for its version, it says so and fails.
pub(crate) const WRK: Component = Component {
    what: "wrk, which asks what is measured",
    present: || Command::new("wrk").arg("-v").output().is_ok(),
    packages: &["wrk"],
};

/// What limits can be counted in.
pub(crate) const REDIS: Component = Component {
    what: "Redis, in which tests and benches count limits",
    present: || {
        let version = |program| run::answer(program, &["--version"]).is_some();
        version("redis-server") && version("redis-cli")
    },
    packages: &["redis-server"],
};

/// What judges the units of deploy/systemd.
pub(crate) const SYSTEMD: Component = Component {
    what: "systemd-analyze, which reads the units of deploy/systemd",
    present: || run::answer("systemd-analyze", &["--version"]).is_some(),
    packages: &["systemd"],
};

/// What shows the calls that those units would filter.
pub(crate) const STRACE: Component = Component {
    what: "strace, under whose eyes the shim does what its unit must allow",
    present: || run::answer("strace", &["--version"]).is_some(),
    packages: &["strace"],
};

/// What builds the image without a daemon; files in it belong to others than whoever builds it,
/// which is for root to do.
pub(crate) const BUILDAH: Component = Component {
    what: "buildah as root, which builds the image of deploy/container",
    present: || {
        rustix::process::geteuid().is_root() && run::answer("buildah", &["--version"]).is_some()
    },
    packages: &["buildah"],
};

/// What judges alert rules.
pub(crate) const PROMTOOL: Component = Component {
    what: "promtool, which reads and tries the rules of deploy/prometheus, and the shim's metrics",
    present: || run::answer("promtool", &["--version"]).is_some(),
    packages: &["prometheus"],
};

/// In which the dashboard is tested.
pub(crate) const CHROMIUM: Component = Component {
    what: "Chromium, in which the dashboard is tested",
    present: || run::answer("/usr/bin/chromium", &["--version"]).is_some(),
    packages: &["chromium"],
};

/// What the validators from PyPI run on.
pub(crate) const PYTHON: Component = Component {
    what: "Python with `venv`, for validators of manifests",
    present: || run::answer("python3", &["-c", "import ensurepip, venv"]).is_some(),
    packages: &["python3-venv"],
};

/// A component is missing and may not be installed from here.
#[derive(Debug)]
pub(crate) struct Missing {
    what: &'static str,
    line: String,
}

impl Missing {
    pub(crate) fn new(component: &Component) -> Self {
        let line = format!("sudo apt-get install {}", component.packages.join(" "));
        Self { what: component.what, line }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this machine lacks {}: type `{}`", self.what, self.line)
    }
}

impl Error for Missing {}

/// Makes sure a component is there; [`Missing`] where that is not ours to do.
pub(crate) fn require(component: &Component) -> Result<()> {
    if (component.present)() {
        return Ok(());
    }
    if !may_install_packages() {
        return Err(Missing::new(component).into());
    }
    report::step(&format!("Installing {}, from the system's packages", component.what), || {
        refresh_package_lists();
        let mut install = apt_get();
        run::visibly({
            install.args(["install", "--yes", "--no-install-recommends"]).args(component.packages);
            install
        })?;
        ensure!(
            (component.present)(),
            "{} installed, and still this machine lacks {}",
            component.packages.join(" and "),
            component.what
        );
        Ok(())
    })
}

/// A server's program: Debian keeps them where only root's `PATH` looks.
pub(crate) fn server(name: &str) -> PathBuf {
    let place = Path::new("/usr/sbin").join(name);
    if place.is_file() { place } else { PathBuf::from(name) }
}

fn may_install_packages() -> bool {
    rustix::process::geteuid().is_root() && run::answer("apt-get", &["--version"]).is_some()
}

/// Once a run: a fresh image has no lists. A failure is not the end, because
/// the lists that are there may suffice; installing then has the last word.
fn refresh_package_lists() {
    static REFRESH: Once = Once::new();
    REFRESH.call_once(|| {
        let mut update = apt_get();
        update.args(["--quiet", "update"]);
        if let Err(error) = run::visibly(update) {
            report::note(format!("the package lists could not be refreshed: {error}"));
        }
    });
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // A package may bring a service; only its program is wanted, so systemd
    // is not told to start it.
    command.env("SYSTEMD_OFFLINE", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_component_comes_with_the_line_to_type() {
        assert_eq!(
            Missing::new(&NGINX).to_string(),
            "this machine lacks nginx, beside which the cache tests run: \
             type `sudo apt-get install nginx`"
        );
    }

    #[test]
    fn what_is_there_is_not_installed_again() {
        let there = Component { what: "a thing", present: || true, packages: &["no-such-package"] };
        assert!(require(&there).is_ok());
    }
}
