//! The caches under test: how each is started before the suite's origin.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::conformance::FOLDER;
use crate::conformance::program::{Program, free_address};
use crate::system;
use crate::workspace::Workspace;

/// A cache, and how to run it.
pub(super) struct Cache {
    pub(super) name: &'static str,
    /// Starts it before an origin, with a folder to itself.
    pub(super) start: fn(&Workspace, SocketAddr, &Path) -> Result<Running>,
    /// What asks it for its version, and the words before the answer. Nothing
    /// for Tidegate, which is of this repository.
    version: Option<Question>,
}

/// A cache that is up; it ends when dropped.
pub(super) struct Running {
    address: SocketAddr,
    _program: Program,
}

struct Question {
    program: &'static str,
    option: &'static str,
    before: &'static str,
}

pub(super) const TIDEGATE: Cache = Cache { name: "Tidegate", start: tidegate, version: None };

pub(super) const NGINX: Cache = Cache {
    name: "nginx",
    start: nginx,
    version: Some(Question { program: "nginx", option: "-v", before: "nginx/" }),
};

pub(super) const VARNISH: Cache = Cache {
    name: "Varnish",
    start: varnish,
    version: Some(Question { program: "varnishd", option: "-V", before: "varnish-" }),
};

impl Cache {
    /// Its name, with the version that is installed.
    pub(super) fn titled(&self) -> Result<String> {
        let Some(Question { program, option, before }) = &self.version else {
            return Ok(self.name.to_owned());
        };
        let output = Command::new(system::server(program))
            .arg(option)
            .output()
            .with_context(|| format!("`{program} {option}` could not be started"))?;
        // Both say it on standard error.
        let said = String::from_utf8_lossy(&output.stderr);
        let version = version_after(before, &said)
            .with_context(|| format!("`{program} {option}` said no version: {said:?}"))?;
        Ok(format!("{} {version}", self.name))
    }
}

impl Running {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn tidegate(workspace: &Workspace, origin: SocketAddr, folder: &Path) -> Result<Running> {
    let mut command = Command::new(workspace.debug_binary("tidegate"));
    command.arg("serve").arg("--policy").arg(workspace.path(FOLDER).join("policy.toml"));
    command.args(["--listen", "127.0.0.1:0"]);
    command.env("CONFORMANCE_ORIGIN", origin.to_string());
    let mut program = Program::start("tidegate", command, &folder.join("tidegate.log"))?;
    let address = program.address_after("tidegate: listening on http://")?;
    Ok(Running { address, _program: program })
}

fn nginx(workspace: &Workspace, origin: SocketAddr, folder: &Path) -> Result<Running> {
    let address = free_address()?;
    // Started by root, its workers would become somebody who may not write
    // here; started by anyone else, they are that one, and the word is unused.
    let values = [
        ("USER", "root".to_owned()),
        ("FOLDER", folder.display().to_string()),
        ("LISTEN", address.to_string()),
        ("ORIGIN", origin.to_string()),
    ];
    let configuration = filled_in(workspace, "nginx.conf", &values, folder)?;
    let mut command = Command::new(system::server("nginx"));
    command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(configuration);
    up(Program::start("nginx", command, &folder.join("nginx.log"))?, address)
}

fn varnish(workspace: &Workspace, origin: SocketAddr, folder: &Path) -> Result<Running> {
    let address = free_address()?;
    let values = [("HOST", origin.ip().to_string()), ("PORT", origin.port().to_string())];
    let configuration = filled_in(workspace, "varnish.vcl", &values, folder)?;
    let mut command = Command::new(system::server("varnishd"));
    // In the foreground, as the user who starts it, without a management port.
    command.args(["-F", "-j", "none", "-T", "none", "-s", "default,64m"]);
    command.arg("-a").arg(address.to_string());
    command.arg("-n").arg(folder.join("state")).arg("-f").arg(configuration);
    up(Program::start("Varnish", command, &folder.join("varnish.log"))?, address)
}

fn up(mut program: Program, address: SocketAddr) -> Result<Running> {
    program.answers_at(address)?;
    Ok(Running { address, _program: program })
}

/// Writes one of our configurations with its `@NAME@`s filled in.
fn filled_in(
    workspace: &Workspace,
    file: &str,
    values: &[(&str, String)],
    folder: &Path,
) -> Result<PathBuf> {
    let template = workspace.path(FOLDER).join(file);
    let text = fs::read_to_string(&template)
        .with_context(|| format!("could not read {}", template.display()))?;
    let fill =
        |text: String, (name, value): &(&str, String)| text.replace(&format!("@{name}@"), value);
    let path = folder.join(file);
    fs::write(&path, values.iter().fold(text, fill))
        .with_context(|| format!("could not write {}", path.display()))?;
    Ok(path)
}

/// The digits and dots that follow `before`.
fn version_after<'a>(before: &str, said: &'a str) -> Option<&'a str> {
    let (_, rest) = said.split_once(before)?;
    let version = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    (!version.is_empty()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_without_what_packagers_add() {
        assert_eq!(
            version_after("nginx/", "nginx version: nginx/1.22.1 (Debian)\n"),
            Some("1.22.1")
        );
        let varnish =
            "varnishd (varnish-7.1.1 revision 7cee1c581bead20e88d101ab3d72afb29f14d87a)\n";
        assert_eq!(version_after("varnish-", varnish), Some("7.1.1"));
        assert_eq!(version_after("nginx/", "nginx: not found"), None);
    }
}
