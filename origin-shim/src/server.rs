//! Sockets and threads: one current-thread runtime per core, each accepting connections of its
//! own, so that threads share nothing but what is remembered.
//!
//! [`listeners`](Server::bind) has the sockets, `accept` is a thread, `connection` one connection;
//! what is done beside serving are `duties` on the main thread.

mod accept;
mod capacity;
mod connection;
pub(crate) mod duties;
mod http2;
mod inherited;
mod listeners;
mod signals;
mod stop;
mod supervisor;
mod takeover;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidegate_core::policy::Listen;
use tokio::sync::watch;

use crate::admin::AdminListener;
use crate::control::Control;

use accept::Thread;
use listeners::Listener;
use signals::Signals;
use socket2::Socket;
use stop::Stop;
use supervisor::Watchdog;
use takeover::Heritage;

pub use capacity::{Capacity, allow_files};
pub use inherited::{Inherited, NoListener};
pub use listeners::ListenError;

/// For what is left to tell the edge when nobody is served any more.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A bound server that does not accept yet.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    threads: usize,
    capacity: Arc<Capacity>,
    complaint: Option<String>,
    watchdog: Option<Watchdog>,
    /// Held as long as this process runs, as [`Heritage`] says.
    predecessor: Option<UnixDatagram>,
}

impl Server {
    /// Listens at each of `places`, for as many threads, by sockets that were passed where there
    /// are some. `connections` are held at most.
    pub fn bind(
        places: &[Listen],
        inherited: &mut Inherited,
        connections: Option<NonZeroU32>,
        threads: usize,
    ) -> Result<Self, ListenError> {
        let bind = |listen| Listener::bind(listen, inherited, threads, leaves_v4(listen, places));
        let listeners = places.iter().map(bind).collect::<Result<_, _>>()?;
        let (watchdog, predecessor) = (Watchdog::wanted(threads), inherited.take_predecessor());
        let (capacity, complaint) = Capacity::new(connections);
        Ok(Self {
            listeners,
            threads,
            capacity: Arc::new(capacity),
            complaint,
            watchdog,
            predecessor,
        })
    }

    /// Where clients connect to.
    pub fn places(&self) -> impl Iterator<Item = &Listen> {
        self.listeners.iter().map(Listener::listen)
    }

    /// How many connections there are, and how many there is room for.
    pub const fn capacity(&self) -> &Arc<Capacity> {
        &self.capacity
    }

    /// What of the policy cannot be had on this machine, for whoever runs it.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Serves until SIGTERM or SIGINT, or until SIGUSR2 has put a new process into its place, then
    /// finishes what runs; a second signal, or 30 s, ends it at once. SIGHUP makes it read the
    /// policy again. `ready` is called once signals are heeded; `admin` answers from then on.
    pub fn run(
        self,
        control: &Arc<Control>,
        admin: Option<AdminListener>,
        ready: impl FnOnce(),
    ) -> io::Result<()> {
        control.shared().watch(Arc::clone(&self.capacity));
        let heritage = self.heritage(admin.as_ref())?;
        let main = runtime()?;
        // tokio takes signals within a runtime alone.
        let mut signals = main.block_on(async { Signals::new() })?;
        let (stop, stopped) = watch::channel(Stop::Not);
        let threads = (0..self.threads).map(|at| self.spawn(at, control, &stopped));
        let threads: Vec<_> = threads.collect::<io::Result<_>>()?;
        drop(stopped);
        ready();
        supervisor::ready();
        self.predecessor.iter().for_each(takeover::tell);
        let duties = async {
            tokio::join!(
                duties::of_the_policy(control),
                tls::keep_certificates_fresh(control),
                duties::operate(admin, control),
                self.keep_watchdog_calm(),
            )
        };
        let told = main.block_on(async {
            tokio::select! {
                told = signals.until_told_to_stop(control, &heritage) => told,
                _ = duties => Stop::Closed,
            }
        });
        control.shared().drain();
        if told == Stop::Closed {
            supervisor::stopping();
            self.listeners.iter().for_each(Listener::remove_file);
        }
        // Else a thread's would not be the last of a socket's descriptors.
        drop((heritage, self.listeners));
        stop.send_replace(told);
        let is_done = main.block_on(async {
            tokio::select! {
                // All threads hold a receiver.
                () = stop.closed() => true,
                () = signals.stop() => false,
            }
        });
        if !is_done {
            control.shared().log().end();
            return Ok(());
        }
        for thread in threads {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))?;
        }
        if told == Stop::Closed {
            duties::keep_snapshot(control);
        }
        // A timer wants its runtime around it.
        main.block_on(async {
            duties::tell_shims_the_rest(control).await;
            let _ = tokio::time::timeout(LAST_WORDS, duties::tell_edge_the_rest(control)).await;
            #[cfg(feature = "otel")]
            if let Some(exporter) = control.shared().exporter() {
                exporter.end().await;
            }
        });
        control.shared().log().end();
        Ok(())
    }

    /// What a new process gets: all that is listened at.
    fn heritage(&self, admin: Option<&AdminListener>) -> io::Result<Heritage> {
        let sockets = self.listeners.iter().flat_map(Listener::sockets).map(Socket::try_clone);
        // In the order in which they are taken.
        let sockets = admin.map(AdminListener::socket).into_iter().chain(sockets);
        Heritage::new(sockets.collect::<io::Result<_>>()?)
    }

    /// For ever, also where there is no watchdog.
    async fn keep_watchdog_calm(&self) {
        match &self.watchdog {
            Some(watchdog) => watchdog.keep_telling().await,
            None => std::future::pending().await,
        }
    }

    /// Starts thread number `at`.
    fn spawn(
        &self,
        at: usize,
        control: &Control,
        stopped: &watch::Receiver<Stop>,
    ) -> io::Result<thread::JoinHandle<io::Result<()>>> {
        let mut sockets = Vec::new();
        for listener in &self.listeners {
            let mine = listener.of_thread(at, self.threads)?;
            sockets.extend(mine.into_iter().map(|socket| (listener.listen().clone(), socket)));
        }
        let thread = Thread {
            sockets,
            shared: Arc::clone(control.shared()),
            capacity: Arc::clone(&self.capacity),
            tls: Arc::clone(control.tls()),
            pulse: self.watchdog.as_ref().and_then(|watchdog| watchdog.pulse(at)),
            stop: stopped.clone(),
        };
        thread::Builder::new()
            .name("tidegate".into())
            .spawn(move || runtime()?.block_on(thread.serve()))
    }
}

/// Whether `listen` is an address of IPv6 whose port another of `places` has in IPv4: else
/// `[::]` takes connections of both.
fn leaves_v4(listen: &Listen, places: &[Listen]) -> bool {
    let Listen::Tcp { address: SocketAddr::V6(v6), .. } = listen else { return false };
    places.iter().any(|other| {
        matches!(other, Listen::Tcp { address: SocketAddr::V4(v4), .. } if v4.port() == v6.port())
    })
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
