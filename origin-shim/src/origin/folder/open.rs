//! Files are opened so that nothing outside of the folder ever is: no path with `..`, and no link
//! that leads out of it, whoever changes what while it is looked up.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tidegate_core::files::Name;

/// The folder at the moment of a request: what replaces it by a link does not mix two of them.
pub(super) struct Root(OwnedFd);

/// What there is under a name.
pub(super) enum Found {
    File(File, Metadata),
    Folder,
    /// Nothing, or nothing that is given.
    Nothing,
}

/// A link that is changed while it is followed is followed again, so often at most.
const ATTEMPTS: usize = 8;

/// A pipe must not wait for who writes into it.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, FOLDER, Mode::empty())?))
    }

    /// What is there under `name`.
    pub(super) fn look(&self, name: &Name) -> io::Result<Found> {
        let opened = match self.beneath(name.as_bytes()) {
            // An old kernel, or a sandbox that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => self.step_by_step(name.as_bytes()),
            opened => opened,
        };
        let file = match opened {
            Ok(opened) => File::from(opened),
            Err(error) if is_missing(error) => return Ok(Found::Nothing),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        Ok(match metadata.is_file() {
            true => Found::File(file, metadata),
            false if metadata.is_dir() => Found::Folder,
            false => Found::Nothing,
        })
    }

    /// Links are followed as long as they stay within the folder.
    fn beneath(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let open = || rustix::fs::openat2(&self.0, name, READ, Mode::empty(), within);
        let mut opened = open();
        for _ in 1..ATTEMPTS {
            match opened {
                Err(Errno::AGAIN | Errno::INTR) => opened = open(),
                _ => break,
            }
        }
        opened
    }

    /// No link is followed.
    fn step_by_step(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        let mut folder: Option<OwnedFd> = None;
        let (folders, last) = match name.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&name[..at], &name[at + 1..]),
            None => (&name[..0], name),
        };
        for segment in folders.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()) {
            let from = folder.as_ref().unwrap_or(&self.0);
            let flags = FOLDER | OFlags::NOFOLLOW;
            folder = Some(rustix::fs::openat(from, segment, flags, Mode::empty())?);
        }
        let from = folder.as_ref().unwrap_or(&self.0);
        rustix::fs::openat(from, last, READ | OFlags::NOFOLLOW, Mode::empty())
    }
}

/// Whether nobody can get what is there, so that there might as well be nothing.
fn is_missing(error: Errno) -> bool {
    let missing = [
        Errno::NOENT,
        Errno::NOTDIR,
        Errno::ACCESS,
        Errno::LOOP,
        // A link leads out of the folder.
        Errno::XDEV,
        Errno::NAMETOOLONG,
        Errno::INVAL,
        // A socket.
        Errno::NXIO,
    ];
    missing.contains(&error)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tidegate_core::policy::Folder;

    use super::*;

    /// What is found both ways: by the call of newer kernels, and without it.
    fn found(root: &Root, path: &str) -> [&'static str; 2] {
        let folder = Folder {
            path: String::new(),
            index: "index.html".into(),
            fallback: None,
            precompressed: false,
        };
        let name = Name::of(&folder, path).unwrap();
        let name = name.as_bytes();
        [root.beneath(name), root.step_by_step(name)].map(|opened| match opened {
            Ok(_) => "opened",
            Err(error) if is_missing(error) => "missing",
            Err(_) => "error",
        })
    }

    #[test]
    fn c7_no_link_leads_out_of_the_folder() {
        let place = std::env::temp_dir().join(format!("tidegate-open-{}", std::process::id()));
        let inside = place.join("inside");
        fs::create_dir_all(inside.join("sub")).unwrap();
        fs::write(place.join("secret"), "secret").unwrap();
        fs::write(inside.join("a.txt"), "a").unwrap();
        fs::write(inside.join("sub/b.txt"), "b").unwrap();
        symlink("../secret", inside.join("out")).unwrap();
        symlink(place.join("secret"), inside.join("absolute")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink("a.txt", inside.join("link.txt")).unwrap();
        symlink("sub", inside.join("folder")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();
        let root = Root::open(&inside).unwrap();
        let all: Vec<_> = [
            "/a.txt",
            "/sub/b.txt",
            "/link.txt",
            "/folder/b.txt",
            "/out",
            "/absolute",
            "/up/secret",
            "/loop",
            "/none",
            "/a.txt/b",
        ]
        .map(|path| found(&root, path))
        .into();
        fs::remove_dir_all(&place).unwrap();
        let (yes, no) = ("opened", "missing");
        assert_eq!(all[..2], [[yes, yes]; 2]);
        assert_eq!(all[2..4], [[yes, no]; 2], "links within, by the one way alone");
        assert_eq!(all[4..], [[no, no]; 6]);
    }
}
