//! TLS (RFC 8446): the certificates that clients are shown, and what of the protocol is spoken.

mod expiry;
mod watch;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tidegate_core::Timestamp;
use tidegate_core::policy::{self, CertificateFiles, TlsVersion};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::{
    ClientHello, ParsedCertificate, ProducesTickets, ResolvesServerCert,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig, client, version};

pub(super) use watch::keep_certificates_fresh;

/// How HTTP/2 is called in a handshake (RFC 9113 §3.1).
pub(super) const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// What handshakes go by. Replaced as a whole: a connection keeps what it began with.
#[derive(Debug)]
pub struct Tls {
    in_force: ArcSwapOption<Loaded>,
    provider: Arc<CryptoProvider>,
    /// Of the process, so that who comes back needs no whole handshake whatever was read again.
    tickets: Arc<dyn ProducesTickets>,
}

/// What a policy's `[shim.tls]` comes to.
#[derive(Debug)]
pub struct Loaded {
    config: Arc<ServerConfig>,
    expiries: Vec<Expiry>,
}

/// Until when a certificate of the policy is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Its file, as the policy names it.
    pub chain: String,
    /// When the first of the file's certificates is valid no more.
    pub at: Timestamp,
}

/// Why certificates are not put in force.
#[derive(Debug)]
pub struct TlsError {
    file: PathBuf,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Unreadable(io::Error),
    NoCertificate,
    NoKey,
    Malformed(pem::Error),
    /// A key of a kind that is not known, or a certificate that is none.
    Unusable(rustls::Error),
    /// This is the key of another certificate than the one in the file.
    OfAnother(PathBuf),
}

impl Tls {
    /// Nothing is shown yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            in_force: ArcSwapOption::empty(),
            provider: Arc::new(ring::default_provider()),
            tickets: ring::Ticketer::new().map_err(io::Error::other)?,
        })
    }

    /// Reads what `rule` names; names that are not absolute are in `folder`.
    pub fn load(&self, rule: &policy::Tls, folder: &Path) -> Result<Loaded, TlsError> {
        let read = |files| self.read(files, folder).map(Arc::new);
        let certificates =
            rule.certificates.iter().map(read).collect::<Result<Vec<Arc<CertifiedKey>>, _>>()?;
        let expiry = |(files, known): (&CertificateFiles, &Arc<CertifiedKey>)| {
            let all = known.cert.iter().filter_map(|one| expiry::not_after(one));
            Some(Expiry { chain: files.chain.clone(), at: all.min()? })
        };
        let expiries = rule.certificates.iter().zip(&certificates).filter_map(expiry).collect();
        let versions: &[_] = match rule.min_version {
            TlsVersion::Tls12 => &[&version::TLS13, &version::TLS12],
            TlsVersion::Tls13 => &[&version::TLS13],
        };
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let config = config.with_protocol_versions(versions);
        let config = config
            .map_err(|error| TlsError { file: folder.into(), why: Why::Unusable(error) })?
            .with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::new(Certificates(certificates)));
        config.alpn_protocols = vec![ALPN_HTTP2.into(), ALPN_HTTP1.into()];
        config.ticketer = Arc::clone(&self.tickets);
        Ok(Loaded { config: Arc::new(config), expiries })
    }

    /// Shows this in handshakes from now on.
    pub fn put_in_force(&self, loaded: Loaded) {
        self.in_force.store(Some(Arc::new(loaded)));
    }

    /// Takes handshakes by what is in force; `None` where no certificate was ever.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        let in_force = self.in_force.load();
        in_force.as_ref().map(|loaded| TlsAcceptor::from(Arc::clone(&loaded.config)))
    }

    /// Until when the certificates in force are valid. All listeners with TLS show the same ones.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.in_force.load().as_ref().map(|loaded| loaded.expiries.clone()).unwrap_or_default()
    }

    fn read(&self, files: &CertificateFiles, folder: &Path) -> Result<CertifiedKey, TlsError> {
        let CertificateFiles { chain: chain_file, key: key_file } = files;
        let (chain_file, key_file) = (folder.join(chain_file), folder.join(key_file));
        let wrong = |file: &Path, why| TlsError { file: file.into(), why };
        let contents =
            |file: &Path| std::fs::read(file).map_err(|error| wrong(file, Why::Unreadable(error)));
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(&contents(&chain_file)?).collect();
        let chain = chain.map_err(|error| wrong(&chain_file, Why::Malformed(error)))?;
        let Some(certificate) = chain.first() else {
            return Err(wrong(&chain_file, Why::NoCertificate));
        };
        ParsedCertificate::try_from(certificate)
            .map_err(|error| wrong(&chain_file, Why::Unusable(error)))?;
        let key = PrivateKeyDer::from_pem_slice(&contents(&key_file)?);
        let key = key.map_err(|error| match error {
            pem::Error::NoItemsFound => wrong(&key_file, Why::NoKey),
            error => wrong(&key_file, Why::Malformed(error)),
        })?;
        let key = self.provider.key_provider.load_private_key(key);
        let key = key.map_err(|error| wrong(&key_file, Why::Unusable(error)))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            // Some kinds of keys cannot tell.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(certified)
            }
            Err(_) => Err(wrong(&key_file, Why::OfAnother(chain_file))),
        }
    }
}

/// The first that is for the host and that the client can verify; else the first of all.
#[derive(Debug)]
struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let suits = |known: &&Arc<CertifiedKey>| {
            name.as_ref().is_some_and(|name| is_for(known, name))
                && known.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        self.0.iter().find(suits).or_else(|| self.0.first()).cloned()
    }
}

/// Whether the certificate is for this name, by the names in it (RFC 9525 §6.3).
fn is_for(known: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let certificate = known.end_entity_cert().and_then(ParsedCertificate::try_from);
    certificate.is_ok_and(|certificate| client::verify_server_name(&certificate, name).is_ok())
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.why {
            Why::Unreadable(error) => {
                write!(f, "cannot read `{file}` of `[shim.tls]`: {error}\n= hint: ")?;
                f.write_str(match error.kind() {
                    io::ErrorKind::NotFound => {
                        "name the files of a certificate; those that are not absolute are beside \
                         the policy file"
                    }
                    _ => "the user that tidegate runs as must be able to read it",
                })
            }
            Why::NoCertificate => write!(
                f,
                "`{file}` of `[shim.tls]` has no certificate\n= hint: `chain` is a file in PEM \
                 with `-----BEGIN CERTIFICATE-----` in it"
            ),
            Why::NoKey => write!(
                f,
                "`{file}` of `[shim.tls]` has no private key\n= hint: `key` is a file in PEM with \
                 `-----BEGIN PRIVATE KEY-----` in it, and not encrypted"
            ),
            // Neither says what is in the file.
            Why::Malformed(error) => write!(
                f,
                "`{file}` of `[shim.tls]` is no PEM: {error}\n= hint: write it anew as whoever \
                 issued the certificate gave it"
            ),
            Why::Unusable(error) => write!(
                f,
                "`{file}` of `[shim.tls]` is of no use: {error}\n= hint: certificates are X.509, \
                 and keys are ECDSA (P-256, P-384), Ed25519 or RSA"
            ),
            Why::OfAnother(chain) => write!(
                f,
                "the key in `{file}` is not that of the certificate in `{}`\n= hint: name the two \
                 files that were made together",
                chain.display()
            ),
        }
    }
}

impl std::error::Error for TlsError {}
