//! What is invalidated here, told to the edge: in batches, behind the back of every request.
//!
//! Nothing that was invalidated is lost: what cannot be sent is sent again, and what does not
//! fit into the queue becomes "everything". Too much may be purged, too little never.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tidegate_core::invalidate::{Resource, Tag};
use tidegate_core::policy::Edge;
use tidegate_core::purge::order::{ITEMS_MAX, Order};
use tidegate_core::{Host, Method, Policy, Scheme, Target, Tier};
use tokio::sync::Notify;
use tokio_rustls::rustls::crypto::ring;

/// As many wait at most to be sent.
const WAITING_MAX: usize = 10_000;
/// One call in so long at most.
const BETWEEN_CALLS: Duration = Duration::from_secs(1);
/// Between attempts that fail at most; the first is [`BETWEEN_CALLS`], each next twice as long.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// A call may take so long.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Where the worker takes purges.
const PATH: &str = "/.tidegate/purge";
/// Shorter secrets can be guessed, and the worker takes none.
const TOKEN_MIN: usize = 16;

/// What waits to be told.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    keys: BTreeSet<String>,
    tags: BTreeSet<String>,
    everything: bool,
}

/// A batch on its way: whatever becomes of that, it waits again unless the edge has heard.
struct Lent<'a> {
    outbox: &'a Outbox,
    order: Order,
}

/// Why the edge was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotTold {
    /// The variable of this name holds no token.
    NoToken(String),
    /// This machine has no certificates to tell servers by.
    NoRoots,
    /// Nobody answers there.
    Unreachable,
    /// The answer took more than 15 s.
    Silent,
    /// The answer is not 200.
    Status(StatusCode),
}

/// What became of a look into the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told {
    /// There was nothing to tell.
    Nothing,
    /// So many keys and tags were told.
    Items(usize),
}

impl Outbox {
    /// A resource was invalidated: the edge may have it if a route of its path is cached there.
    ///
    /// It is told by its path alone, since the edge may know this shim by another host than its
    /// clients know the edge.
    pub fn resource(&self, policy: &Policy, resource: &Resource) {
        if !is_told(policy) {
            return;
        }
        let (_, rest) = resource.as_str().split_once("://").unwrap_or_default();
        let (host, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if may_be_cached(policy, host, target) {
            self.push(|waiting| waiting.keys.insert(target.to_owned()));
        }
    }

    /// A tag was invalidated.
    pub fn tag(&self, policy: &Policy, tag: &Tag) {
        let edge = &policy.model().edge;
        if !is_told(policy) || !policy.model().routes.iter().any(|route| route.edge.is_some()) {
            return;
        }
        // A group is one of its origin, which at the edge goes by another name.
        let text = match (tag.as_str().split_once('\n'), &edge.url) {
            (Some((_, group)), Some(url)) => format!("{url}\n{group}"),
            _ => tag.as_str().to_owned(),
        };
        self.push(|waiting| waiting.tags.insert(text));
    }

    fn push(&self, add: impl FnOnce(&mut Waiting) -> bool) {
        let mut waiting = self.waiting();
        if waiting.everything {
            return;
        }
        add(&mut waiting);
        if waiting.keys.len() + waiting.tags.len() > WAITING_MAX {
            *waiting = Waiting { everything: true, ..Waiting::default() };
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// Tells the edge of what is there and of what comes, for ever. `complain` hears of what
    /// fails, once until it works again.
    pub async fn tell_edge(
        &self,
        edge: impl Fn() -> Edge,
        complain: impl Fn(&NotTold),
        relieved: impl Fn(),
    ) {
        let (mut wait, mut failing) = (BETWEEN_CALLS, None);
        loop {
            self.news.notified().await;
            loop {
                match self.tell(&edge()).await {
                    Ok(Told::Nothing) => break,
                    Ok(Told::Items(_)) => {
                        if failing.take().is_some() {
                            relieved();
                        }
                        wait = BETWEEN_CALLS;
                    }
                    Err(why) => {
                        if failing.as_ref() != Some(&why) {
                            complain(&why);
                        }
                        failing = Some(why);
                        wait = (wait * 2).min(RETRY_MAX);
                    }
                }
                tokio::time::sleep(wait).await;
            }
        }
    }

    /// Tells the edge of one batch of what is there.
    ///
    /// # Errors
    /// If it does not hear: then the batch waits on.
    pub async fn tell(&self, edge: &Edge) -> Result<Told, NotTold> {
        let (Some(url), Some(token)) = (&edge.url, &edge.token) else { return Ok(Told::Nothing) };
        let order = self.waiting().take();
        if order.is_empty() && !order.everything {
            return Ok(Told::Nothing);
        }
        let lent = Lent { outbox: self, order };
        send(url, token, &lent.order).await?;
        Ok(Told::Items(lent.settle()))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change is whole whatever panics around it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// The edge has heard; how much that was.
    fn settle(mut self) -> usize {
        std::mem::take(&mut self.order).len()
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let order = std::mem::take(&mut self.order);
        if !order.is_empty() || order.everything {
            self.outbox.waiting().put_back(order);
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Order {
        let everything = std::mem::take(&mut self.everything);
        let (mut keys, mut tags) = (Vec::new(), Vec::new());
        while keys.len() + tags.len() < ITEMS_MAX {
            if let Some(key) = self.keys.pop_first() {
                keys.push(key);
            } else if let Some(tag) = self.tags.pop_first() {
                tags.push(Tag::named(tag));
            } else {
                break;
            }
        }
        Order { keys, tags, prefixes: Vec::new(), everything }
    }

    fn put_back(&mut self, order: Order) {
        let Order { keys, tags, everything, .. } = order;
        self.everything |= everything;
        self.keys.extend(keys);
        self.tags.extend(tags.iter().map(|tag| tag.as_str().to_owned()));
        if self.everything || self.keys.len() + self.tags.len() > WAITING_MAX {
            *self = Self { everything: true, ..Self::default() };
        }
    }
}

fn is_told(policy: &Policy) -> bool {
    let edge = &policy.model().edge;
    edge.url.is_some() && edge.token.is_some()
}

/// Whether the edge stores what a GET for this is answered with: on the host that the shim knows,
/// or on any that routes name.
fn may_be_cached(policy: &Policy, host: &str, target: &str) -> bool {
    let Ok(target) = Target::parse(target) else { return true };
    let routes = &policy.model().routes;
    let named = routes.iter().flat_map(|route| route.hosts.iter().map(String::as_str));
    let fields = http::HeaderMap::new();
    [host].into_iter().chain(named).any(|host| {
        let Ok(host) = Host::parse(host, Scheme::Https) else { return true };
        let get = tidegate_core::Request::read(Method::Get, Scheme::Https, &host, &target, &fields);
        let route = policy.plan(Tier::Edge, &get).route;
        route.is_some_and(|route| route.cache_rule(Tier::Edge).is_some())
    })
}

/// One call of the worker's purge.
///
/// # Errors
/// If it does not answer 200.
pub async fn send(url: &str, token: &str, order: &Order) -> Result<(), NotTold> {
    let secret = std::env::var(token).ok().filter(|secret| secret.len() >= TOKEN_MIN);
    let secret = secret.ok_or_else(|| NotTold::NoToken(token.to_owned()))?;
    let exchange = async {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(ring::default_provider())
            .map_err(|_| NotTold::NoRoots)?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let request = Request::post(format!("{url}{PATH}"))
            .header(AUTHORIZATION, format!("Bearer {secret}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(order.to_value().to_string())));
        let request = request.map_err(|_| NotTold::NoToken(token.to_owned()))?;
        let answer = client.request(request).await.map_err(|_| NotTold::Unreachable)?;
        match answer.status() {
            StatusCode::OK => Ok(()),
            status => Err(NotTold::Status(status)),
        }
    };
    tokio::time::timeout(TIMEOUT, exchange).await.map_err(|_| NotTold::Silent)?
}

impl fmt::Display for NotTold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken(name) => {
                write!(f, "{name} holds no token of at least {TOKEN_MIN} bytes")
            }
            Self::NoRoots => f.write_str("this machine has no root certificates (ca-certificates)"),
            Self::Unreachable => f.write_str("nobody answers at its URL"),
            Self::Silent => write!(f, "no answer came within {} s", TIMEOUT.as_secs()),
            Self::Status(StatusCode::UNAUTHORIZED) => f.write_str("it does not take the token"),
            Self::Status(StatusCode::NOT_FOUND) => {
                f.write_str("it knows no token, or is no worker of ours (404)")
            }
            Self::Status(status) => write!(f, "it answers {status}"),
        }
    }
}

impl std::error::Error for NotTold {}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::document;

    const POLICY: &str = r#"schema = 1
[edge]
url = "https://www.example.com"
token = "${TIDEGATE_OUTBOX_TEST_TOKEN}"
[[routes]]
name = "list"
match = "/list/*"
edge = { mode = "override", ttl = "1h" }
[[routes]]
name = "rest"
match = "/*"
"#;

    fn policy(source: &str) -> Policy {
        document::read(source, &|_| None).unwrap()
    }

    fn resource(path: &str) -> Resource {
        let host = Host::parse("127.0.0.1:8080", Scheme::Http).unwrap();
        let target = Target::parse(path).unwrap();
        let fields = http::HeaderMap::new();
        Resource::of(&tidegate_core::Request::read(
            Method::Post,
            Scheme::Http,
            &host,
            &target,
            &fields,
        ))
    }

    #[test]
    fn c4_what_the_edge_may_have_is_told_by_its_path_and_nothing_else() {
        let (outbox, policy) = (Outbox::default(), policy(POLICY));
        for path in ["/list/1?a=b", "/rest/1", "/list/1?a=b"] {
            outbox.resource(&policy, &resource(path));
        }
        outbox.tag(&policy, &Tag::named("team:42"));
        outbox.tag(&policy, &Tag::named("http://127.0.0.1:8080\nlists\n"));
        let order = outbox.waiting().take();
        assert_eq!(order.keys, ["/list/1?a=b"]);
        let tags = ["https://www.example.com\nlists\n", "team:42"].map(Tag::named);
        assert_eq!(order.tags, tags);
    }

    #[test]
    fn c4_without_a_url_and_a_token_nothing_waits() {
        let outbox = Outbox::default();
        let policy = policy(&POLICY.replace("token", "# token"));
        outbox.resource(&policy, &resource("/list/1"));
        outbox.tag(&policy, &Tag::named("team:42"));
        assert!(outbox.waiting().take().is_empty());
    }

    #[test]
    fn c4_what_does_not_fit_becomes_everything_and_a_batch_that_failed_comes_back() {
        let (outbox, policy) = (Outbox::default(), policy(POLICY));
        for number in 0..WAITING_MAX {
            outbox.tag(&policy, &Tag::named(number.to_string()));
        }
        let batch = outbox.waiting().take();
        assert_eq!((batch.len(), batch.everything), (ITEMS_MAX, false));
        outbox.waiting().put_back(batch.clone());
        assert_eq!(outbox.waiting().take(), batch);
        outbox.waiting().put_back(batch);
        outbox.tag(&policy, &Tag::named("one more"));
        let all = outbox.waiting().take();
        assert!(all.everything && all.is_empty());
        assert!(!outbox.waiting().take().everything, "once");
    }

    #[test]
    fn c4_a_token_that_is_not_there_is_named_and_the_batch_waits() {
        let (outbox, policy) = (Outbox::default(), policy(POLICY));
        outbox.tag(&policy, &Tag::named("team:42"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let said = runtime.block_on(outbox.tell(&policy.model().edge));
        assert_eq!(said, Err(NotTold::NoToken("TIDEGATE_OUTBOX_TEST_TOKEN".into())));
        assert_eq!(outbox.waiting().take().tags, [Tag::named("team:42")]);
    }
}
