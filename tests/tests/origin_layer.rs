//! The policy within a service, over hyper and real sockets. The example has the rest.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONNECTION, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tidegate_origin::Tidegate;
use tidegate_origin::body::Body;
use tidegate_origin::layer::User;
use tidegate_tests::policy_file::PolicyFile;
use tidegate_tests::wire::{self, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tower::{Layer, service_fn};

type Answer = Result<Response<BoxBody<Bytes, Infallible>>, &'static str>;

const POLICY: &str = r#"schema = 1
[identity]
credential = "authorization"
[limits.few]
limit = "2 per 1h"
key = "client-ip"
[[routes]]
name = "kept"
match = "/kept/*"
origin = { mode = "default", ttl = "1m" }
[[routes]]
name = "mine"
match = "/mine"
key = "mine:{user}"
origin = { mode = "default", ttl = "1m" }
[[routes]]
name = "shaky"
match = "/shaky"
origin = { mode = "default", ttl = "0s", stale_if_error = "1h" }
[[routes]]
name = "few"
match = "/few"
limit = "few"
"#;

/// A service behind the policy on threads of its own.
struct Service {
    runtime: Runtime,
    address: SocketAddr,
    asked: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
}

impl Service {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let policy = PolicyFile::with_text(POLICY);
        let tidegate = runtime.block_on(Tidegate::from_file(policy.path())).expect("a policy");
        let (asked, fails) = <(Arc<AtomicU64>, Arc<AtomicBool>)>::default();
        let state = (Arc::clone(&asked), Arc::clone(&fails));
        let handler = service_fn(move |request: Request<Body>| {
            let (asked, fails) = state.clone();
            asked.fetch_add(1, Ordering::Relaxed);
            async move { answer(request, fails.load(Ordering::Relaxed)).await }
        });
        let peer = |has: &http::Extensions| has.get::<SocketAddr>().map(SocketAddr::ip);
        let service = tidegate.layer().client_ip(peer).layer(handler);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("a port");
        runtime.spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let service = service.clone();
                // Middleware before the layer, which knows who asks.
                let service = service_fn(move |mut request: Request<_>| {
                    request.extensions_mut().insert(peer);
                    if let Some(user) = request.headers().get("x-verified") {
                        let user = User::from(user.to_str().unwrap_or_default());
                        request.extensions_mut().insert(user);
                    }
                    tower_service::Service::call(&mut service.clone(), request)
                });
                tokio::spawn(async move {
                    auto::Builder::new(TokioExecutor::new())
                        .serve_connection_with_upgrades(
                            TokioIo::new(stream),
                            TowerToHyperService::new(service),
                        )
                        .await
                });
            }
        });
        Self { runtime, address, asked, fails }
    }

    fn get(&self, target: &str) -> wire::Response {
        Client::of(self.address).get(target)
    }

    fn send(&self, request: &wire::Request) -> wire::Response {
        Client::of(self.address).send(request)
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

fn full(bytes: impl Into<Bytes>) -> BoxBody<Bytes, Infallible> {
    Full::new(bytes.into()).boxed()
}

async fn answer(mut request: Request<Body>, fails: bool) -> Answer {
    if fails {
        return Err("no luck");
    }
    match request.uri().path() {
        "/echo" => {
            let body = request.into_body().collect().await.map_err(|_| "it broke off")?;
            Ok(Response::new(full(body.to_bytes())))
        }
        "/stream" => {
            let pieces = (0..1000).map(|n| Ok(Frame::data(Bytes::from(format!("{n}\n")))));
            Ok(Response::new(BodyExt::boxed(StreamBody::new(stream::iter(pieces)))))
        }
        "/upgrade" => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut io = TokioIo::new(upgrade.await?);
                let mut word = [0; 4];
                let echoed = async {
                    io.read_exact(&mut word).await?;
                    io.write_all(&word).await
                };
                drop(echoed.await);
                Ok::<_, hyper::Error>(())
            });
            let mut response = Response::new(full(""));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            for (name, value) in [(CONNECTION, "upgrade"), (UPGRADE, "echo")] {
                response.headers_mut().insert(name, http::HeaderValue::from_static(value));
            }
            Ok(response)
        }
        _ => {
            let real_ip = request.headers().get("x-real-ip").cloned();
            let mut response = Response::new(full(format!("for {}", request.uri())));
            response
                .headers_mut()
                .extend(real_ip.map(|ip| (http::HeaderName::from_static("x-saw"), ip)));
            Ok(response)
        }
    }
}

#[test]
fn c3_what_is_stored_does_not_ask_the_service() {
    let service = Service::start();
    assert_eq!(service.get("/kept/a?b=1").body, b"for /kept/a?b=1");
    assert_eq!(service.get("/kept/a?b=1").header("x-cache"), Some("HIT"));
    assert_eq!(service.asked(), 1);
    assert_eq!(service.get("/no/route").body, b"for /no/route", "the service has more paths");
    assert_eq!(service.get("/healthz").body, b"for /healthz", "and says itself how it is");
    assert_eq!(service.get("/kept/b").header("x-saw"), Some("127.0.0.1"));
}

#[test]
fn c12_a_user_that_was_verified_before_the_layer_has_answers_of_their_own() {
    let service = Service::start();
    let by = |user: &str| service.send(&wire::Request::get("/mine").header("x-verified", user));
    for (user, cache) in [("ada", "MISS"), ("bob", "MISS"), ("ada", "HIT"), ("bob", "HIT")] {
        assert_eq!(by(user).header("x-cache"), Some(cache), "{user}");
    }
}

#[test]
fn r1_limits_count_by_the_address_that_the_server_knows() {
    let service = Service::start();
    let statuses = |last: u8| -> Vec<u16> {
        let client = Client::of(service.address).at_loopback(last);
        (0..3).map(|_| client.get("/few").status).collect()
    };
    assert_eq!(statuses(1), [200, 200, 429]);
    assert_eq!(statuses(2), [200, 200, 429]);
}

#[test]
fn bodies_stream_both_ways() {
    let service = Service::start();
    let long = "long".repeat(100_000);
    let echoed = service.send(&wire::Request::new("POST", "/echo").body(long.clone()));
    assert!(echoed.status == 200 && echoed.body == long.as_bytes());
    let streamed = service.get("/stream");
    assert_eq!(streamed.body.iter().filter(|byte| **byte == b'\n').count(), 1000);
}

#[test]
fn a_path_that_a_router_may_have_read_otherwise_is_redirected() {
    let service = Service::start();
    for (path, location) in [
        ("/x/../kept/a?q=1", "/kept/a?q=1"),
        ("/%6bept/a", "/kept/a"),
        ("/kept/%c3%a9", "/kept/%C3%A9"),
    ] {
        let redirect = service.get(path);
        assert_eq!((redirect.status, redirect.header("location")), (308, Some(location)), "{path}");
    }
    assert_eq!(service.get("/.//evil.example/").status, 400, "leads to no other host");
    assert_eq!(service.asked(), 0);
}

#[test]
fn a_service_that_fails_is_an_answer_or_what_was_stored() {
    let service = Service::start();
    assert_eq!(service.get("/shaky").status, 200);
    service.fails.store(true, Ordering::Relaxed);
    let stale = service.get("/shaky");
    assert_eq!((stale.status, &*stale.body), (200, &b"for /shaky"[..]), "{stale:?}");
    let failed = service.get("/no/route");
    assert_eq!(failed.status, 500);
    assert!(String::from_utf8_lossy(&failed.body).contains("The service does not answer."));
}

#[test]
fn the_service_takes_a_connection_over_that_is_upgraded() {
    let service = Service::start();
    let said = service.runtime.block_on(async {
        let mut stream = TcpStream::connect(service.address).await?;
        let head =
            "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(b"ping").await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        Ok::<_, std::io::Error>(said)
    });
    let said = said.unwrap();
    assert!(said.starts_with("HTTP/1.1 101 "), "{said}");
    assert!(said.ends_with("\r\n\r\nping"), "{said}");
}
