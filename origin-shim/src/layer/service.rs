//! A service behind the policy.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use tidegate_core::Scheme;
use tower_layer::Layer;
use tower_service::Service;

use super::{Client, Tidegate, TidegateLayer};
use crate::body::Body;
use crate::gate::Gate;
use crate::origin::{self, Origins, ServiceBody, ServiceError};

/// A service behind a policy: it is asked for what no stored answer can serve. What it fails at is
/// an answer, too, so that this never fails.
#[derive(Clone)]
pub struct TidegateService {
    gate: Arc<Gate>,
    layer: TidegateLayer,
}

/// What is behind the layer, asked by way of a clone each time, as tower wants it.
struct Inner<S>(S);

impl<S, B> Layer<S> for TidegateLayer
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<ServiceError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<ServiceError>,
{
    type Service = TidegateService;

    fn layer(&self, inner: S) -> TidegateService {
        let Tidegate(running) = &self.tidegate;
        let origins = Origins::with_service(running.servers.clone(), Arc::new(Inner(inner)));
        let gate = Gate::new(Arc::clone(self.tidegate.shared()), origins);
        TidegateService { gate: Arc::new(gate), layer: self.clone() }
    }
}

impl<B> Service<Request<B>> for TidegateService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<ServiceError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Each request has a clone of the service, which is awaited then: a hit needs none.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let client = self.layer.client_of(&request);
        let handling = Arc::clone(&self.gate).handle(request.map(Body::of_host), client);
        // What is done beside requests goes on as long as there are some.
        let running = Arc::clone(&self.layer.tidegate.0);
        Box::pin(async move {
            let response = handling.await;
            drop(running);
            Ok(response)
        })
    }
}

impl TidegateLayer {
    /// Who sends a request, as far as middleware or the server has noted that.
    fn client_of<B>(&self, request: &Request<B>) -> Client {
        let extensions = request.extensions();
        if let Some(client) = extensions.get::<Client>() {
            return *client;
        }
        let ip = self.client_ip.as_ref().and_then(|find| find(extensions));
        let is_https =
            request.uri().scheme().is_some_and(|scheme| *scheme == http::uri::Scheme::HTTPS);
        Client { ip, scheme: if is_https { Scheme::Https } else { Scheme::Http } }
    }
}

impl<S, B> origin::Service for Inner<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<ServiceError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<ServiceError>,
{
    fn ask(&self, request: Request<Body>) -> origin::Answering {
        let mut service = self.0.clone();
        Box::pin(async move {
            poll_fn(|context| service.poll_ready(context)).await.map_err(Into::into)?;
            let response = service.call(request).await.map_err(Into::into)?;
            Ok(response.map(ServiceBody::new))
        })
    }
}

impl<S> fmt::Debug for Inner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<S>())
    }
}

impl fmt::Debug for TidegateService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TidegateService").field("layer", &self.layer).finish_non_exhaustive()
    }
}
