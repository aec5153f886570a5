//! One listening service: connections, health, counters; the rest is asked of
//! an [`Application`].

use std::{convert::Infallible, future::Future, net::TcpListener, sync::Arc, time::Duration};

use http::{Method, Request, StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use serde_json::json;
use tokio::{net::TcpStream, sync::watch};

use super::{
    Service,
    body::{self, Answer},
    counters::Counters,
    knobs,
};

/// What a service answers to a request that counts.
pub(super) trait Application: Send + Sync + 'static {
    /// `served` numbers the requests for this path, from 1.
    fn answer(
        &self,
        request: Request<Incoming>,
        served: u64,
    ) -> impl Future<Output = Answer> + Send;
}

#[derive(Debug)]
pub(super) struct Server<A> {
    listener: TcpListener,
    site: Arc<Site<A>>,
}

#[derive(Debug)]
struct Site<A> {
    application: A,
    counters: Arc<Counters>,
}

/// How long running answers may take once the service was told to stop.
const GRACE: Duration = Duration::from_secs(1);

impl<A: Application> Server<A> {
    pub(super) fn new(listener: TcpListener, application: A) -> Self {
        Self { listener, site: Arc::new(Site { application, counters: Arc::default() }) }
    }

    pub(super) fn service(&self) -> Service {
        Service {
            address: self.listener.local_addr().expect("a bound socket has an address"),
            counters: Arc::clone(&self.site.counters),
        }
    }

    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let listener = tokio::net::TcpListener::from_std(self.listener)
            .expect("a non-blocking listener inside a runtime");
        let connections = GracefulShutdown::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => serve_connection(stream, &self.site, &connections),
                    // Out of descriptors: they come back as connections end,
                    // and asking at once again would only burn the processor.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                },
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        drop(listener);
        let _ = tokio::time::timeout(GRACE, connections.shutdown()).await;
    }
}

fn serve_connection<A: Application>(
    stream: TcpStream,
    site: &Arc<Site<A>>,
    connections: &GracefulShutdown,
) {
    // Small answers must not wait for a full segment.
    let _ = stream.set_nodelay(true);
    let site = Arc::clone(site);
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(
        TokioIo::new(stream),
        service_fn(move |request| {
            let site = Arc::clone(&site);
            async move { Ok::<_, Infallible>(site.answer(request).await) }
        }),
    );
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // A client that leaves early is its own business.
        let _ = connection.await;
    });
}

impl<A: Application> Site<A> {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/healthz") => {
                body::json(StatusCode::OK, &json!({ "status": "ok" }))
            }
            (&Method::GET, "/__count") => body::json(StatusCode::OK, &self.counters.to_json()),
            (&Method::POST, "/__count/reset") => {
                self.counters.reset();
                body::empty(StatusCode::NO_CONTENT)
            }
            (_, path) => {
                let served = self.counters.count(path);
                let knobs = knobs::asked_for(request.uri());
                let mut answer = self.application.answer(request, served).await;
                knobs.apply(&mut answer);
                answer
            }
        }
    }
}
