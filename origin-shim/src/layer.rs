//! The policy within a service: a layer of tower, for axum, hyper, tonic and whatever else speaks
//! tower.
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tidegate_origin::Tidegate;
//! use tidegate_origin::body::Body;
//! use tower::{Layer, Service, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let file = std::env::temp_dir().join(format!("tidegate-layer-{}.toml", std::process::id()));
//! # std::fs::write(&file, r#"
//! # schema = 1
//! # [[routes]]
//! # name = "list"
//! # match = "/list"
//! # origin = { mode = "default", ttl = "5m" }
//! # "#)?;
//! let tidegate = Tidegate::from_file(&file).await?;
//! # std::fs::remove_file(&file)?;
//! let handler = service_fn(|_: Request<Body>| async {
//!     Ok::<_, std::convert::Infallible>(Response::new(Full::from("from the database")))
//! });
//! let mut service = tidegate.layer().layer(handler);
//!
//! // The route `/list` says `origin = { mode = "default", ttl = "5m" }`.
//! for cache in ["MISS", "HIT"] {
//!     let request = Request::get("/list").header("host", "a.example").body(Body::empty())?;
//!     let response = service.call(request).await?;
//!     assert_eq!(response.headers()["x-cache"], cache);
//!     assert_eq!(response.into_body().collect().await?.to_bytes(), "from the database");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The service answers what no stored answer can, for routes that name no upstream and for paths
//! without a route. It is asked as it would be without the layer, with the extensions of the
//! request; what a client must not choose ([`crate::upstream::question`]) is settled.
//!
//! # Who asks
//!
//! Middleware before the layer knows more than a proxy could:
//!
//! - [`Client`] among the extensions of a request is its client's address and scheme;
//!   [`TidegateLayer::client_ip`] finds the address where the server has put it. Without either
//!   limits by address count everybody as one.
//! - [`User`] among them is a user that was verified: keys and limits mean it, whatever the
//!   policy's `[identity]` would make of the request.
//!
//! # Paths
//!
//! The key of an answer is its normalised path, and the service may have routed the request by the
//! path as it came. So a path that is written otherwise (`/a/../b`, `/%61`) is redirected to the
//! normalised one: else somebody could have the answer to one stored as the other's.

mod invalidation;
mod service;
mod start;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use http::Extensions;
use serde_json::Value;
use tidegate_core::policy::health::Check;
use tokio::task::JoinHandle;

use crate::audit::Who;
use crate::clock;
use crate::control::{Control, ReloadError, Reloaded};
use crate::gate::Shared;
use crate::metrics::{self, Snapshot};
use crate::server::duties;
use crate::upstream::UpstreamClient;

pub use crate::client::Client;
pub use invalidation::Invalidation;
pub use service::TidegateService;
pub use start::StartError;
pub use tidegate_core::identity::User;

/// A policy in force within this process, with what is stored and counted. Clones are the same.
#[derive(Clone, Debug)]
pub struct Tidegate(Arc<Running>);

#[derive(Debug)]
struct Running {
    control: Arc<Control>,
    servers: UpstreamClient,
    warnings: String,
    /// Health checks, keys of tokens, ends of overrides.
    duties: JoinHandle<()>,
}

/// Puts services behind a policy.
#[derive(Clone)]
pub struct TidegateLayer {
    tidegate: Tidegate,
    client_ip: Option<Arc<FindIp>>,
}

type FindIp = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

impl Tidegate {
    /// Puts the policy of a file in force, and begins what is done beside requests on the runtime
    /// around, until all clones, layers and services are dropped. `[admin]` and what `[shim]` says
    /// of listening mean nothing here.
    ///
    /// # Errors
    /// If the policy is wrong, or something that it needs cannot be had.
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    pub async fn from_file(policy: impl AsRef<Path>) -> Result<Self, StartError> {
        let (control, warnings) = start::control(policy.as_ref()).await?;
        let control = Arc::new(control);
        let in_background = Arc::clone(&control);
        let duties = tokio::spawn(async move { duties::of_the_policy(&in_background).await });
        Ok(Self(Arc::new(Running { control, servers: UpstreamClient::new(), warnings, duties })))
    }

    /// A layer that puts services behind the policy. All of them share what is stored.
    pub fn layer(&self) -> TidegateLayer {
        TidegateLayer { tidegate: self.clone(), client_ip: None }
    }

    /// Voids stored answers, once it is told which.
    pub fn invalidate(&self) -> Invalidation<'_> {
        Invalidation::new(&self.0.control)
    }

    /// Reads the policy file again. Requests that have begun go on with what was in force; what is
    /// stored and counted stays.
    ///
    /// # Errors
    /// If something is wrong with it: then the policy stays.
    pub async fn reload(&self) -> Result<Reloaded, ReloadError> {
        self.0.control.reload(&Who::Service).await
    }

    /// What the policy file said that is probably not meant; empty if nothing.
    pub fn warnings(&self) -> &str {
        &self.0.warnings
    }

    /// Numbers of what was done so far, as `GET /stats` of the admin listener has them.
    pub fn stats(&self) -> Value {
        metrics::describe(&self.0.control)
    }

    /// The same for Prometheus.
    pub fn metrics(&self) -> String {
        metrics::expose(&Snapshot::take(&self.0.control))
    }

    /// What requests need, and how it is: for the service's own `/ready`.
    pub fn checks(&self) -> Vec<Check> {
        self.shared().checks(clock::now())
    }

    /// Whatever else changes what is in force: overrides, maintenance.
    pub fn control(&self) -> &Arc<Control> {
        &self.0.control
    }

    fn shared(&self) -> &Arc<Shared> {
        self.0.control.shared()
    }
}

impl TidegateLayer {
    /// Finds the address of a request's client among its extensions, as with axum:
    ///
    /// ```ignore
    /// tidegate.layer().client_ip(|has| has.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip()))
    /// ```
    #[must_use]
    pub fn client_ip(
        self,
        find: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self { client_ip: Some(Arc::new(find)), ..self }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.duties.abort();
    }
}

impl std::fmt::Debug for TidegateLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TidegateLayer").field("tidegate", &self.tidegate).finish_non_exhaustive()
    }
}
