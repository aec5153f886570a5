//! TLS with the shim: certificates of an authority that exists for one test, and a client that
//! believes nobody else.

use std::{
    fs, io,
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};

use crate::wire::{Connection, PATIENCE};

/// Both versions of TLS that there may be.
pub const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];
/// What clients from before 2018 speak.
pub const ONLY_1_2: &[&SupportedProtocolVersion] = &[&TLS12];

/// Issues certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// What a handshake came to.
#[derive(Debug)]
pub struct Spoken {
    /// The version of TLS.
    pub version: ProtocolVersion,
    /// What is spoken within, if anything was agreed on.
    pub alpn: Option<String>,
    /// The certificate that the server showed.
    pub certificate: Vec<u8>,
    /// The connection, for HTTP/1.1.
    pub connection: Connection,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// If the system has no randomness.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("a certificate").der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    /// Writes a certificate for `names` and its key to `STEM.pem` and `STEM.key` in `folder`, each
    /// at once, and returns the certificate.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn issue(&self, folder: &Path, stem: &str, names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        for (ending, text) in [("pem", certificate.pem()), ("key", key.serialize_pem())] {
            let new = folder.join(format!("{stem}.{ending}.new"));
            fs::write(&new, text).expect("a folder that can be written");
            fs::rename(&new, new.with_extension("")).expect("a folder that can be written");
        }
        certificate.der().to_vec()
    }

    /// Its own certificate, as programs read those that they trust.
    #[must_use]
    pub fn root_pem(&self) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(&self.root);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    /// A client that speaks `versions` and offers `alpn`.
    ///
    /// # Panics
    /// Never: the versions are known.
    #[must_use]
    pub fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_protocol_versions(versions).expect("versions of TLS");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Does a handshake with `server` as a client of `host`, which is verified.
    ///
    /// # Errors
    /// What the server or this client objects to.
    ///
    /// # Panics
    /// If `host` is no name.
    pub fn speak(
        &self,
        server: SocketAddr,
        host: &str,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> io::Result<Spoken> {
        let host = ServerName::try_from(host.to_owned()).expect("a host");
        let client = ClientConnection::new(self.client(versions, alpn), host);
        let mut client = client.map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        while client.is_handshaking() {
            client.complete_io(&mut stream)?;
        }
        let shown = client.peer_certificates().and_then(|chain| chain.first());
        Ok(Spoken {
            version: client.protocol_version().expect("a handshake that is done"),
            alpn: client.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
            certificate: shown.map(|certificate| certificate.to_vec()).unwrap_or_default(),
            connection: Connection::over(StreamOwned::new(client, stream), server),
        })
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
