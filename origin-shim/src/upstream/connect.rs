//! Connections to servers: in clear, by TLS, or to a socket of this machine.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tidegate_core::policy::upstream::ServerAddress;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// For so long the addresses of a name are taken from memory.
const RESOLVED_FOR: Duration = Duration::from_secs(10);
/// A peer that is silently gone is found out within about a minute and a half, so that a quiet
/// stream does not wait for it for ever.
const KEEPALIVE: Duration = Duration::from_secs(45);

/// Where a server is, and what is known of its name.
#[derive(Debug)]
pub(super) struct Addresses {
    place: Place,
    /// Counts connections, so that the addresses of a name take turns.
    turn: AtomicUsize,
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
enum Place {
    Fixed {
        address: SocketAddr,
        tls: Option<ServerName<'static>>,
    },
    Named {
        authority: String,
        tls: Option<ServerName<'static>>,
    },
    Unix(PathBuf),
    /// No name that a certificate could have.
    Unnamable,
}

#[derive(Clone, Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

/// A connection to a server.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Addresses {
    pub(super) fn of(address: &ServerAddress) -> Self {
        let place = match address {
            ServerAddress::Unix(path) => Place::Unix(path.into()),
            ServerAddress::Plain(authority) => Place::of(authority, None),
            ServerAddress::Tls(authority) => {
                let host = authority.rsplit_once(':').map_or(&**authority, |(host, _)| host);
                let host = host.trim_start_matches('[').trim_end_matches(']');
                match ServerName::try_from(host.to_owned()) {
                    Ok(name) => Place::of(authority, Some(name)),
                    Err(_) => Place::Unnamable,
                }
            }
        };
        Self { place, turn: AtomicUsize::new(0), known: Mutex::default() }
    }

    /// Connects; TLS is spoken when it returns.
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        let (tcp, tls) = match &self.place {
            Place::Unix(path) => return UnixStream::connect(path).await.map(Stream::Unix),
            Place::Fixed { address, tls } => (TcpStream::connect(address).await?, tls),
            Place::Named { authority, tls } => (self.connect_to_any(authority).await?, tls),
            Place::Unnamable => return Err(io::Error::other("no certificate has such a name")),
        };
        // Requests are written whole; waiting for more to send only delays them.
        tcp.set_nodelay(true)?;
        let alive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
        SockRef::from(&tcp).set_tcp_keepalive(&alive.with_retries(3))?;
        let Some(name) = tls else { return Ok(Stream::Plain(tcp)) };
        let config = TLS.as_ref().map_err(|error| io::Error::other(error.clone()))?;
        let tls = TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp).await?;
        Ok(Stream::Tls(Box::new(tls)))
    }

    /// Tries the addresses of a name, another one first each time.
    async fn connect_to_any(&self, authority: &str) -> io::Result<TcpStream> {
        let addresses = self.resolve(authority).await?;
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for at in 0..addresses.len() {
            match TcpStream::connect(addresses[(first + at) % addresses.len()]).await {
                Ok(stream) => return Ok(stream),
                Err(other) => error = other,
            }
        }
        Err(error)
    }

    /// The addresses of a name, asked for anew when what is known is old; the old ones serve on
    /// where nobody answers for the name.
    async fn resolve(&self, authority: &str) -> io::Result<Vec<SocketAddr>> {
        let known = self.known().clone();
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < RESOLVED_FOR) {
            return Ok(known.addresses.clone());
        }
        let found = tokio::net::lookup_host(authority).await;
        let addresses = found.map(Iterator::collect::<Vec<_>>);
        match (addresses, known) {
            (Ok(addresses), _) if !addresses.is_empty() => {
                *self.known() = Some(Known { addresses: addresses.clone(), at: Instant::now() });
                Ok(addresses)
            }
            (_, Some(known)) => Ok(known.addresses),
            (Ok(none), None) => Ok(none),
            (Err(error), None) => Err(error),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn of(authority: &str, tls: Option<ServerName<'static>>) -> Self {
        match authority.parse() {
            Ok(address) => Self::Fixed { address, tls },
            Err(_) => Self::Named { authority: authority.into(), tls },
        }
    }
}

/// Certificates are checked against those that the system trusts, or those of SSL_CERT_FILE and
/// SSL_CERT_DIR.
static TLS: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(ToString::to_string).unwrap_or_default();
        return Err(format!("no certificate is trusted here: {why}"));
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
});

impl Stream {
    /// Whether the server has closed it, or said something that nobody asked for, while it lay
    /// idle: then it is of no use. The system is asked only where something is known to have
    /// come, or `surely`.
    pub(super) fn is_stale(&self, surely: bool) -> bool {
        let mut byte = [0];
        let read = match self {
            Self::Plain(stream) if surely => return has_come(stream) != Come::Nothing,
            Self::Unix(stream) if surely => return has_come(stream) != Come::Nothing,
            Self::Plain(stream) => stream.try_read(&mut byte),
            Self::Unix(stream) => stream.try_read(&mut byte),
            // Bytes there may be a new ticket of the session.
            Self::Tls(stream) => return has_come(stream.get_ref().0) == Come::End,
        };
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Come {
    Nothing,
    Bytes,
    End,
}

/// What there is to read.
fn has_come(socket: &impl AsFd) -> Come {
    let mut byte = [std::mem::MaybeUninit::uninit()];
    match SockRef::from(socket).peek(&mut byte) {
        Ok(1..) => Come::Bytes,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Come::Nothing,
        Ok(0) | Err(_) => Come::End,
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(_) | Self::Unix(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
