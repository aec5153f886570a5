//! Fetches the key set of a URL.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tidegate_core::token::{BadKeySet, KeySet, RemoteKeys};
use tokio_rustls::rustls::crypto::ring;

/// The whole exchange may take so long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A key set has a few kilobytes; the core refuses more than this.
const BODY_MAX: usize = 64 * 1024;

/// A URL with a key set, and how often it is asked for.
#[derive(Debug)]
pub(super) struct KeySource {
    remote: RemoteKeys,
}

/// Why no key set came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchError {
    /// This machine has no certificates to tell servers by.
    NoRoots,
    /// Nobody answers there, or not by the protocol.
    Unreachable,
    /// The answer took more than 5 s.
    Silent,
    /// The answer is not 200. Redirections are not followed.
    Status(StatusCode),
    /// The answer is too long, or broke off.
    Body,
    /// The answer is no key set that has a key for us.
    Bad(BadKeySet),
}

impl KeySource {
    pub(super) fn new(remote: &RemoteKeys) -> Self {
        Self { remote: remote.clone() }
    }

    pub(super) const fn interval(&self) -> Duration {
        self.remote.refresh
    }

    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        let fetched = tokio::time::timeout(TIMEOUT, self.exchange()).await;
        Ok(KeySet::from_jwks(&fetched.map_err(|_| FetchError::Silent)??)?)
    }

    /// Over a connection of its own: the next time is minutes away.
    async fn exchange(&self) -> Result<Bytes, FetchError> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(ring::default_provider())
            .map_err(|_| FetchError::NoRoots)?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let request = Request::get(&*self.remote.url).header(ACCEPT, "application/json");
        let request = request.body(Empty::<Bytes>::new()).map_err(|_| FetchError::Unreachable)?;
        let response = client.request(request).await.map_err(|_| FetchError::Unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
        body.map(|body| body.to_bytes()).map_err(|_| FetchError::Body)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots => f.write_str("this machine has no root certificates (ca-certificates)"),
            Self::Unreachable => f.write_str("the key set's server cannot be reached"),
            Self::Silent => write!(f, "the key set did not come within {TIMEOUT:?}"),
            Self::Status(status) => write!(f, "the key set's server answers {status}"),
            Self::Body => f.write_str("the key set is too long, or broke off"),
            Self::Bad(bad) => bad.fmt(f),
        }
    }
}

impl std::error::Error for FetchError {}
