//! Sockets and threads: one current-thread runtime per core, each with a listener of its own
//! on the same port (`SO_REUSEPORT`), so that threads share nothing but what is remembered.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use socket2::{Domain, Protocol, Socket, Type};
use tidegate_core::Scheme;
use tokio::net::TcpStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::admin::AdminListener;
use crate::audit::Who;
use crate::body::Body;
use crate::client::Client;
use crate::control::Control;
use crate::edge_outbox::{NotTold, Told};
use crate::edge_signature::Report;
use crate::gate::{Gate, Shared};
use crate::tallies::Rehearsals;
use crate::tokens::FetchError;

/// A client must send a whole request head within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// For what is left to tell the edge when nobody is served any more.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Connections get this long to finish what they are at (P7).
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A bound server that does not accept yet.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    address: SocketAddr,
}

impl Server {
    /// Binds `threads` listeners to one address; port 0 takes any free one.
    pub fn bind(address: SocketAddr, threads: usize) -> io::Result<Self> {
        // Without SO_REUSEPORT first: two processes must not share a port unawares.
        drop(TcpListener::bind(address)?);
        let first = listen(address)?;
        let address = first.local_addr()?;
        let others = (1..threads).map(|_| listen(address));
        let listeners = std::iter::once(Ok(first)).chain(others).collect::<io::Result<_>>()?;
        Ok(Self { listeners, address })
    }

    /// The address that clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until SIGTERM or SIGINT, then finishes what runs; a second signal, or 30 s,
    /// ends it at once. SIGHUP makes it read the policy again. `ready` is called once signals
    /// are heeded; `admin` answers from then on.
    pub fn run(
        self,
        control: &Arc<Control>,
        admin: Option<AdminListener>,
        ready: impl FnOnce(),
    ) -> io::Result<()> {
        let main = runtime()?;
        // tokio takes signals within a runtime alone.
        let signals = main.block_on(async { Signals::new() })?;
        let Signals { mut interrupt, mut terminate, mut hangup } = signals;
        let (stop, stopped) = watch::channel(false);
        let threads: Vec<_> = self
            .listeners
            .into_iter()
            .map(|listener| {
                let (shared, stopped) = (Arc::clone(control.shared()), stopped.clone());
                thread::Builder::new()
                    .name("tidegate".into())
                    .spawn(move || runtime()?.block_on(accept(listener, shared, stopped)))
            })
            .collect::<io::Result<_>>()?;
        ready();
        main.block_on(async {
            tokio::select! {
                () = stop_signal(&mut interrupt, &mut terminate) => {}
                () = reload_on_hangup(&mut hangup, control) => {}
                () = control.keep_tokens_fresh(complain) => {}
                () = control.end_overrides() => {}
                () = tell_of_refusals(control) => {}
                () = operate(admin, control) => {}
                () = tell_edge(control) => {}
            }
            // All threads hold a receiver, so this reaches them.
            let _ = stop.send(true);
        });
        for thread in threads {
            thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))?;
        }
        // A timer wants its runtime around it.
        main.block_on(async {
            let _ = tokio::time::timeout(LAST_WORDS, tell_edge_the_rest(control)).await;
        });
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let gate = Arc::new(Gate::new(shared));
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => serve(stream, peer, Arc::clone(&gate), &connections),
                // Out of file descriptors, or a client gone already: others may do better.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, connections.shutdown()).await;
    Ok(())
}

fn serve(stream: TcpStream, peer: SocketAddr, gate: Arc<Gate>, connections: &GracefulShutdown) {
    // Answers are written whole; waiting for more to send only delays them.
    let _ = stream.set_nodelay(true);
    let client = Client { ip: peer.ip(), scheme: Scheme::Http };
    let service = service_fn(move |request: Request<Incoming>| {
        let request = request.map(Body::passing);
        let gate = Arc::clone(&gate);
        async move { Ok::<_, Infallible>(gate.handle(request, client).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    // A connection that breaks off is its client's business.
    tokio::spawn(async move { drop(connection.await) });
}

#[allow(
    clippy::print_stderr,
    reason = "whoever runs this should know, and there is no client to tell"
)]
fn complain(error: &FetchError) {
    eprintln!("tidegate: {error}; the last good keys stay");
}

/// The signals that mean something here.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they end the process no more.
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn stop_signal(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Tells the edge what is invalidated here, for ever.
#[allow(clippy::print_stderr, reason = "whoever runs this should know, and nobody else can")]
async fn tell_edge(control: &Control) {
    let outbox = Arc::clone(&control.shared().in_force().outbox);
    let edge = || control.shared().in_force().policy.model().edge.clone();
    let complain = |why: &NotTold| {
        eprintln!(
            "tidegate: the edge does not hear what is invalidated: {why}; it is told again, and              of everything if too much comes together"
        );
    };
    let relieved = || eprintln!("tidegate: the edge has heard what was invalidated");
    outbox.tell_edge(edge, complain, relieved).await;
}

/// What came last, when nothing more comes.
#[allow(clippy::print_stderr, reason = "whoever runs this should know, and nobody else can")]
async fn tell_edge_the_rest(control: &Control) {
    let in_force = control.shared().in_force();
    loop {
        match in_force.outbox.tell(&in_force.policy.model().edge).await {
            Ok(Told::Nothing) => return,
            Ok(Told::Items(_)) => {}
            Err(why) => {
                return eprintln!(
                    "tidegate: the edge has not heard all that was invalidated: {why}; purge it                      by `tidegate purge --everything`"
                );
            }
        }
    }
}

/// Lets a running shim be operated, for ever.
#[allow(clippy::print_stderr, reason = "whoever runs this should know, and nobody else can")]
async fn operate(admin: Option<AdminListener>, control: &Arc<Control>) {
    if let Some(admin) = admin
        && let Err(error) = admin.serve(Arc::clone(control)).await
    {
        eprintln!("tidegate: the admin listener ends: {error}");
    }
    std::future::pending().await
}

/// Says what limits would refuse that are rehearsed, and whom the edge did not send, for ever.
#[allow(clippy::print_stderr, reason = "whoever rehearses a limit or changes keys reads the log")]
async fn tell_of_refusals(control: &Control) {
    /// A look costs a few additions for each limit that is rehearsed.
    const EVERY: Duration = Duration::from_secs(1);
    let (mut rehearsals, mut unsigned) = (Rehearsals::default(), Report::default());
    let start = Instant::now();
    loop {
        tokio::time::sleep(EVERY).await;
        let in_force = control.shared().in_force();
        let limits = &in_force.policy.model().limits;
        for line in rehearsals.look(limits, &in_force.tallies, start.elapsed()) {
            eprintln!("tidegate: {line}");
        }
        if let Some(line) = unsigned.look(&in_force.edge, start.elapsed()) {
            eprintln!("tidegate: {line}");
        }
    }
}

/// Reads the policy again at every SIGHUP, and says what came of it. Ends when the signal says
/// that the terminal is gone on which this was started.
#[allow(clippy::print_stderr, reason = "whoever sent the signal reads the log")]
async fn reload_on_hangup(hangup: &mut Signal, control: &Control) {
    let on_terminal = io::stdin().is_terminal();
    while hangup.recv().await.is_some() {
        if on_terminal && !io::stdin().is_terminal() {
            return;
        }
        match control.reload(&Who::Hangup).await {
            Ok(reloaded) => eprint!("{reloaded}"),
            Err(error) => eprintln!("{error}\ntidegate: the policy in force stays"),
        }
    }
}
