//! The shim and its peers, each as a process of its own.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use tidegate_bench::process::Cores;

/// With all that a deployment has.
pub(crate) const TIDEGATE: &str = "tidegate";
/// With nothing but a cache.
pub(crate) const BARE: &str = "tidegate, bare";
pub(crate) const NGINX: &str = "nginx";
pub(crate) const HAPROXY: &str = "haproxy";
pub(crate) const VARNISH: &str = "varnish";

/// A server that can be started.
pub(crate) struct Server {
    name: &'static str,
    start: fn(&Place, &Cores) -> io::Result<(Child, SocketAddr)>,
}

pub(crate) const SERVERS: &[Server] = &[
    Server { name: TIDEGATE, start: |place, cores| tidegate(place, cores, FULL) },
    Server { name: BARE, start: |place, cores| tidegate(place, cores, ONLY_CACHE) },
    Server { name: NGINX, start: nginx },
    Server { name: HAPROXY, start: haproxy },
    Server { name: VARNISH, start: varnish },
];

const FULL: &str = include_str!("full.toml");
const ONLY_CACHE: &str = include_str!("bare.toml");
/// Whoever does not serve by then does not serve.
const START_MAX: Duration = Duration::from_secs(20);

/// A server that was started, ended when dropped.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

/// What a server is told.
struct Place {
    origin: SocketAddr,
    /// In memory: nobody waits for a disk.
    folder: PathBuf,
}

impl Server {
    pub(crate) fn start(&self, origin: SocketAddr, cores: &Cores) -> io::Result<Running> {
        let name = self.name.replace(", ", "-");
        let folder = format!("/dev/shm/tidegate-bench-{}-{name}", std::process::id());
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder)?;
        let place = Place { origin, folder };
        let (child, address) = (self.start)(&place, cores)?;
        let running = Running { name: self.name, address, child, folder: place.folder };
        running.answers()?;
        Ok(running)
    }
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of what it keeps in files, in memory too.
    pub(crate) fn on_disk(&self) -> io::Result<u64> {
        fn below(folder: &Path) -> io::Result<u64> {
            use std::os::unix::fs::MetadataExt;
            let mut bytes = 0;
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                bytes += match metadata.is_dir() {
                    true => below(&entry.path())?,
                    false => metadata.blocks() * 512,
                };
            }
            Ok(bytes)
        }
        // Varnish maps its files, which count as its memory then.
        if self.name == NGINX { below(&self.folder.join("cache")) } else { Ok(0) }
    }

    /// The last thing that it complained of, if it writes that down.
    pub(crate) fn complaint(&self) -> String {
        let errors = fs::read_to_string(self.folder.join("errors")).unwrap_or_default();
        errors.lines().last().unwrap_or_default().to_owned()
    }

    fn answers(&self) -> io::Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if begun.elapsed() > START_MAX {
                return Err(io::Error::other(format!("{} does not serve", self.name)));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Those with children end them when they are asked to end.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) && matches!(self.child.try_wait(), Ok(None))
        {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Place {
    /// Writes a configuration with its `@NAME@`s filled in.
    fn write(&self, file: &str, text: &str, listen: SocketAddr) -> io::Result<PathBuf> {
        // What is left over is for connections.
        let files_max = getrlimit(Resource::Nofile).maximum.unwrap_or(1 << 20);
        let text = text
            .replace("@FILES_MAX@", &files_max.to_string())
            .replace("@FILES_KEPT_OPEN@", &(files_max / 4 * 3).min(200_000).to_string())
            .replace("@FOLDER@", &self.folder.display().to_string())
            .replace("@LISTEN@", &listen.to_string())
            .replace("@HOST@", &self.origin.ip().to_string())
            .replace("@PORT@", &self.origin.port().to_string())
            .replace("@ORIGIN@", &self.origin.to_string());
        let path = self.folder.join(file);
        fs::write(&path, text)?;
        Ok(path)
    }
}

fn tidegate(place: &Place, cores: &Cores, policy: &str) -> io::Result<(Child, SocketAddr)> {
    let policy = place.write("tidegate.toml", policy, place.origin)?;
    let program = env::var_os("TIDEGATE_BIN").unwrap_or_else(|| "tidegate".into());
    let mut command = Command::new(program);
    command.arg("serve").arg("--policy").arg(policy);
    command.args(["--listen", "127.0.0.1:0"]);
    command.env("BENCH_ORIGIN", place.origin.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = cores.spawn(&mut command)?;
    let lines = child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
    let address = lines.and_then(|mut lines| {
        let listening = "tidegate: listening on http://";
        lines.find_map(|line| line.ok()?.strip_prefix(listening)?.parse().ok())
    });
    let address = address.ok_or_else(|| io::Error::other("the shim does not serve"))?;
    Ok((child, address))
}

fn nginx(place: &Place, cores: &Cores) -> io::Result<(Child, SocketAddr)> {
    let listen = free_address()?;
    let text = include_str!("../../peers/origin/nginx.conf");
    let file = place.write("nginx.conf", text, listen)?;
    let mut command = Command::new(server("nginx"));
    command.args(["-e", "errors", "-p"]).arg(&place.folder).arg("-c").arg(file);
    Ok((cores.spawn(command.stderr(Stdio::null()))?, listen))
}

fn haproxy(place: &Place, cores: &Cores) -> io::Result<(Child, SocketAddr)> {
    let listen = free_address()?;
    let text = include_str!("../../peers/origin/haproxy.cfg");
    let file = place.write("haproxy.cfg", text, listen)?;
    let mut command = Command::new(server("haproxy"));
    command.arg("-db").arg("-f").arg(file).stderr(Stdio::null());
    Ok((cores.spawn(&mut command)?, listen))
}

fn varnish(place: &Place, cores: &Cores) -> io::Result<(Child, SocketAddr)> {
    let listen = free_address()?;
    let text = include_str!("../../peers/origin/varnish.vcl");
    let file = place.write("varnish.vcl", text, listen)?;
    let mut command = Command::new(server("varnishd"));
    command.args(["-F", "-j", "none", "-T", "none", "-s", "malloc,3g"]);
    command.args(["-p", "default_ttl=3600"]);
    command.arg("-a").arg(listen.to_string());
    command.arg("-n").arg(place.folder.join("state")).arg("-f").arg(file);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Ok((cores.spawn(&mut command)?, listen))
}

/// Debian keeps servers where only root's `PATH` looks.
fn server(name: &str) -> PathBuf {
    let place = Path::new("/usr/sbin").join(name);
    if place.is_file() { place } else { PathBuf::from(name) }
}

/// Nobody else takes it in the moment until the server does.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
