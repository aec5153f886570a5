//! An origin that is a function over bytes: for servers that break off, keep silent, talk nonsense
//! or are counted.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use socket2::SockRef;

/// How long a peer waits for what it expects.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listening origin; its threads end with the process.
#[derive(Clone, Debug)]
pub struct RawOrigin {
    address: Option<SocketAddr>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
    ended: AtomicUsize,
}

/// One connection, from the origin's side.
#[derive(Debug)]
pub struct Peer {
    /// Which connection this is, from 1 on.
    pub connection: usize,
    stream: BufReader<Stream>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl RawOrigin {
    /// Listens on a port of its own and serves each connection by `serve`, in a thread of its own.
    ///
    /// # Panics
    /// If the system has no port.
    #[must_use]
    pub fn start(serve: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::listen(listener, serve)
    }

    /// The same on a listener that is there already.
    ///
    /// # Panics
    /// If it has no address.
    #[must_use]
    pub fn listen(
        listener: TcpListener,
        serve: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let streams = move || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(Stream::Tcp(stream))
        };
        Self { address: Some(address), counts: accept(streams, serve) }
    }

    /// The same on a socket of this machine.
    ///
    /// # Panics
    /// If there is no place for it.
    #[must_use]
    pub fn at(
        path: &Path,
        serve: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).expect("a place for a socket");
        let streams = move || listener.accept().map(|(stream, _)| Stream::Unix(stream));
        Self { address: None, counts: accept(streams, serve) }
    }

    /// Answers every request with 200 and this text, over connections that stay.
    #[must_use]
    pub fn saying(text: &'static str) -> Self {
        Self::start(move |peer| peer.say_ever(text))
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If it is a socket of this machine.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address.expect("an origin with an address")
    }

    /// How many connections were made to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }

    /// How many connections it has closed.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.counts.ended.load(Ordering::SeqCst)
    }

    /// How many requests it has read the head of.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }
}

fn accept(
    mut next: impl FnMut() -> io::Result<Stream> + Send + 'static,
    serve: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
) -> Arc<Counts> {
    let (counts, serve) = (Arc::<Counts>::default(), Arc::new(serve));
    let counted = Arc::clone(&counts);
    thread::spawn(move || {
        while let Ok(stream) = next() {
            let connection = counts.connections.fetch_add(1, Ordering::SeqCst) + 1;
            let (counts, serve) = (Arc::clone(&counts), Arc::clone(&serve));
            // A connection that breaks off is the gate's business.
            thread::spawn(move || {
                let (stream, after) = (BufReader::new(stream), Arc::clone(&counts));
                drop(serve(&mut Peer { connection, stream, counts }));
                after.ended.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    counted
}

impl Peer {
    /// The head of the next request, with its empty line.
    ///
    /// # Errors
    /// If there is none.
    pub fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.counts.requests.fetch_add(1, Ordering::SeqCst);
        Ok(head)
    }

    /// A line without its end.
    ///
    /// # Errors
    /// If there is none.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        line.strip_suffix("\r\n").map(str::to_owned).ok_or(io::ErrorKind::UnexpectedEof.into())
    }

    /// So many bytes of a body.
    ///
    /// # Errors
    /// If they do not come.
    pub fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// All that comes until the other side ends.
    ///
    /// # Errors
    /// If it does not end well.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes these bytes as they are.
    ///
    /// # Errors
    /// If nobody takes them.
    pub fn write(&mut self, text: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_ref())
    }

    /// Answers with 200 and this text.
    ///
    /// # Errors
    /// If nobody takes it.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        let length = text.len();
        self.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}"))
    }

    /// Answers request after request so; none of them has a body.
    ///
    /// # Errors
    /// When the other side ends.
    pub fn say_ever(&mut self, text: &str) -> io::Result<()> {
        loop {
            self.head()?;
            self.say(text)?;
        }
    }

    /// Says that nothing more will be written, and goes on to read.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn end_writing(&mut self) -> io::Result<()> {
        match self.stream.get_ref() {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Resets the connection, so that the other side reads an error.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn reset(&mut self) -> io::Result<()> {
        if let Stream::Tcp(stream) = self.stream.get_ref() {
            SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}
