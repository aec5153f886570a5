//! The origin of the demo and of the tests: a plugin server with real bundles
//! and a base service with JSON endpoints, each counting what it was asked.
//!
//! It says nothing about caching unless a request tells it to (see
//! [`knobs`]), so that the policy's word is what one sees. The counters are the
//! proof of a cache: an answer that leaves them alone came from somewhere else.

mod base_service;
mod body;
mod bundle;
mod conditional;
mod counters;
mod generate;
mod identity;
pub mod knobs;
mod plugin_server;
mod server;
mod team_plugins;

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use tokio::sync::oneshot;

use self::{base_service::BaseService, plugin_server::PluginServer, server::Server};
pub use self::{
    bundle::{Bundle, bundles},
    counters::Counters,
};

/// A demo origin on a thread of its own, stopped when dropped.
#[derive(Debug)]
pub struct DemoOrigin {
    plugins: Service,
    base: Service,
    running: Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>,
}

impl DemoOrigin {
    /// Starts both services on loopback ports that the system picks.
    ///
    /// # Panics
    /// If the system has no port or no thread left.
    #[must_use]
    pub fn start() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound = BoundDemoOrigin::bind(any, any).expect("a free loopback port");
        let (plugins, base) = (bound.plugins(), bound.base());
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("demo-origin".to_owned())
            .spawn(move || {
                single_threaded_runtime().block_on(bound.serve_until(async {
                    // A dropped sender asks for the same as a sent message.
                    let _ = stopped.await;
                }));
            })
            .expect("a thread for the demo origin");
        Self { plugins, base, running: Some((stop, thread)) }
    }

    /// The server of `/plugins/*`.
    #[must_use]
    pub fn plugins(&self) -> &Service {
        &self.plugins
    }

    /// The server of `/api/v1/*`.
    #[must_use]
    pub fn base(&self) -> &Service {
        &self.base
    }
}

impl Drop for DemoOrigin {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            // The thread may have ended by itself; then nobody listens.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// Where a service listens and how often it was asked.
#[derive(Clone, Debug)]
pub struct Service {
    address: SocketAddr,
    counters: Arc<Counters>,
}

impl Service {
    /// The address the service listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests for this path, without its query, were answered.
    #[must_use]
    pub fn served(&self, path: &str) -> u64 {
        self.counters.of(path)
    }

    /// How many requests were answered in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counters.total()
    }
}

/// Both services with their ports taken, not yet answering.
#[derive(Debug)]
pub struct BoundDemoOrigin {
    plugins: Server<PluginServer>,
    base: Server<BaseService>,
}

impl BoundDemoOrigin {
    /// Takes the two addresses; port 0 lets the system pick.
    ///
    /// # Errors
    /// [`CannotListen`] names the address that could not be had.
    pub fn bind(plugins: SocketAddr, base: SocketAddr) -> Result<Self, CannotListen> {
        Ok(Self {
            plugins: Server::new(listen("--plugins", plugins)?, PluginServer::new()),
            base: Server::new(listen("--base", base)?, BaseService::new()),
        })
    }

    /// The server of `/plugins/*`.
    #[must_use]
    pub fn plugins(&self) -> Service {
        self.plugins.service()
    }

    /// The server of `/api/v1/*`.
    #[must_use]
    pub fn base(&self) -> Service {
        self.base.service()
    }

    /// Answers until `stop` resolves, then lets running answers finish for at
    /// most a second.
    pub async fn serve_until(self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = tokio::sync::watch::channel(false);
        let both = async {
            tokio::join!(self.plugins.run(stopped.clone()), self.base.run(stopped));
        };
        let stop = async {
            stop.await;
            stopping.send_replace(true);
        };
        tokio::join!(both, stop);
    }
}

/// An address that the demo origin was told to listen on and could not.
#[derive(Debug)]
pub struct CannotListen {
    flag: &'static str,
    address: SocketAddr,
    error: io::Error,
}

impl std::fmt::Display for CannotListen {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { flag, address, error } = self;
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                out,
                "{address} is already taken: stop the program that listens there, \
                 or choose another address with `{flag} {}:0`",
                address.ip(),
            ),
            _ => write!(out, "cannot listen on {address} (`{flag}`): {error}"),
        }
    }
}

impl std::error::Error for CannotListen {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

fn listen(flag: &'static str, address: SocketAddr) -> Result<TcpListener, CannotListen> {
    let nonblocking = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    nonblocking.map_err(|error| CannotListen { flag, address, error })
}

fn single_threaded_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a tokio runtime")
}
