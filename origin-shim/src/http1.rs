//! HTTP/1.1 by the letter (RFC 9112): a client's connection, one request after the other.
//!
//! Hyper takes what others read differently, sends no interim answers, and is not told of what
//! it costs; why this is here in place of it is in `docs/decisions`. Hyper still speaks HTTP/2;
//! HTTP/1.1 with the servers behind is `upstream`'s, by the same grammar.

mod answer;
mod buffers;
pub mod chunked;
mod connection;
pub mod framing;
pub mod head;
mod input;
mod interim;
mod malformed;
mod output;
mod patience;
mod stopping;
mod upgrade;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tidegate_core::Scheme;
use tidegate_core::respond::Problem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::body::Body;
use crate::client::Client;
use crate::gate::Gate;
use connection::Connection;

pub use interim::Interim;
pub use malformed::Malformed;
pub use upgrade::{NotUpgraded, Upgrade, Upgraded};
pub use upload::{Broken, Upload};

/// Who answers the requests of a connection.
pub trait Answering {
    /// Answers one; what comes before the answer goes over `interim`, where the client's version
    /// has such. It is dropped where the client goes before.
    fn answer(
        &self,
        request: Request<Body>,
        interim: Option<Interim>,
    ) -> impl Future<Output = Response<Body>> + Send;

    /// The answer to what is no request.
    fn refuse(&self, problem: &Problem) -> Response<Body>;
}

/// A gate, and who is before it.
struct Door {
    gate: Arc<Gate>,
    client: Client,
}

impl Answering for Door {
    fn answer(
        &self,
        request: Request<Body>,
        interim: Option<Interim>,
    ) -> impl Future<Output = Response<Body>> + Send {
        self.gate.handle_overlaid(request, self.client, interim)
    }

    fn refuse(&self, problem: &Problem) -> Response<Body> {
        self.gate.refuse(problem)
    }
}

/// Lets a client's requests through `gate` until either side closes. Once `stopped` says `true`,
/// or its sender is gone, an idle connection closes at once, another after the answer it is at. One
/// that was upgraded lasts until whoever has it drops it.
///
/// The client has had the time `waited` for its first head already.
///
/// Dropping the future closes the connection as it is.
pub async fn serve<S>(
    stream: S,
    client: Client,
    gate: Arc<Gate>,
    waited: Duration,
    stopped: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    serve_by(stream, client.scheme, Door { gate, client }, waited, stopped).await;
}

/// The same with anything that answers, over a connection of `scheme`.
pub async fn serve_by<S>(
    stream: S,
    scheme: Scheme,
    answering: impl Answering,
    waited: Duration,
    stopped: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Connection::new(stream, scheme, waited, stopped).serve(&answering).await;
}
