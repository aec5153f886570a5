//! How commands reach what they operate: a running shim over its admin listener, the edge through
//! KV.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tidegate_core::Policy;
use tidegate_origin::admin::VERSION;

use super::PolicyArgument;
use super::edge::{Edge, EdgeArgument};

/// The variable with the token, where no policy names one.
const TOKEN: &str = "TIDEGATE_ADMIN_TOKEN";
/// An answer may take so long; a reload waits for key sets.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer, in bytes.
const ANSWER_MAX: usize = 16 << 20;
/// What stands for itself in a path segment (RFC 3986 §2.3).
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// What to operate: a shim, unless the edge is named.
#[derive(Args)]
pub(crate) struct ShimArgument {
    #[command(flatten)]
    shim: AdminArgument,
    #[command(flatten)]
    edge: EdgeArgument,
    /// As JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a shim is operated.
#[derive(Args)]
pub(crate) struct AdminArgument {
    #[command(flatten)]
    pub(crate) policy: PolicyArgument,
    /// The URL of the admin listener, in place of the one in the policy
    #[arg(long, value_name = "URL", env = "TIDEGATE_ADMIN")]
    admin: Option<Uri>,
}

/// What is operated.
pub(crate) enum Operated {
    /// A running shim.
    Shim(Shim),
    /// The worker at the edge.
    Edge(Box<Edge>),
}

impl Operated {
    /// What it answers; an error is a text for people.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Value, Box<dyn Error>> {
        match self {
            Self::Shim(shim) => shim.ask(method, path, body),
            Self::Edge(edge) => edge.ask(&method, path, body),
        }
    }
}

/// A running shim.
pub(crate) struct Shim {
    base: String,
    token: Option<String>,
}

impl ShimArgument {
    /// What is meant; a shim may not run.
    pub(crate) fn find(&self) -> Result<Operated, Box<dyn Error>> {
        if self.edge.is_meant() {
            return Ok(Operated::Edge(Box::new(self.edge.open(&self.shim.policy)?)));
        }
        self.shim.find().map(Operated::Shim)
    }
}

impl AdminArgument {
    /// The shim that is meant; it may not run.
    pub(crate) fn find(&self) -> Result<Shim, Box<dyn Error>> {
        match &self.admin {
            Some(url) => self.at(url),
            None => self.of_the_policy(),
        }
    }

    /// Whether something says where a shim is operated.
    pub(crate) fn is_there(&self, policy: &Policy) -> bool {
        self.admin.is_some() || policy.model().admin.is_some()
    }

    fn at(&self, url: &Uri) -> Result<Shim, Box<dyn Error>> {
        let hint = "= hint: write it like http://127.0.0.1:9180";
        let authority = url.authority().filter(|_| url.scheme_str() == Some("http"));
        let authority = authority.ok_or_else(|| format!("`{url}` is no URL of http\n{hint}"))?;
        // The policy may name the variable, but none is needed here.
        let named = self.policy.read().ok().and_then(|reading| {
            reading.policy.model().admin.as_ref().and_then(|admin| admin.token.clone())
        });
        let token = named.and_then(|name| env::var(name).ok()).or_else(|| env::var(TOKEN).ok());
        Ok(Shim { base: format!("http://{authority}"), token })
    }

    fn of_the_policy(&self) -> Result<Shim, Box<dyn Error>> {
        let reading = self.policy.read().map_err(|error| {
            format!(
                "{}\n= hint: this file says where the shim is operated from; --admin \
                 http://127.0.0.1:9180, or wherever its `[admin]` says, does without it",
                error.to_string().trim_end()
            )
        })?;
        let file = self.policy.file();
        let Some(admin) = &reading.policy.model().admin else {
            return Err(format!(
                "{file} has no `[admin]` section, so its shim cannot be operated\n= hint: add \
                 `[admin]` to it and restart `tidegate serve`, or say where another listens: \
                 --admin URL"
            )
            .into());
        };
        let token = match &admin.token {
            None => None,
            Some(name) => Some(env::var(name).map_err(|_| {
                format!(
                    "{file} wants the token `{name}`, which is not set here\n= hint: put the \
                     same value into this environment as `tidegate serve` has"
                )
            })?),
        };
        Ok(Shim { base: format!("http://{}", reachable(admin.listen)), token })
    }
}

/// Where something that listens on `address` is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Shim {
    /// What it answers; an error is a text for people.
    pub(crate) fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Value, Box<dyn Error>> {
        let mut url = self.base.clone();
        for segment in path {
            write!(url, "/{}", utf8_percent_encode(segment, SEGMENT))?;
        }
        let mut request = Request::builder().method(method).uri(&url);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request = request.header(CONTENT_TYPE, "application/json");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::<Bytes>::from(body))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answered =
            runtime.block_on(async { tokio::time::timeout(TIMEOUT, exchange(request)).await });
        let (status, body) = match answered {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return Err(self.unreachable(&*error).into()),
            Err(_) => return Err(format!("{} did not answer within {TIMEOUT:?}", self.base).into()),
        };
        let value: Value = serde_json::from_slice(&body).map_err(|_| self.unlike(status))?;
        match status.is_success() {
            true => Ok(value),
            false => Err(explain(&value).unwrap_or_else(|| self.unlike(status)).into()),
        }
    }

    fn unreachable(&self, error: &(dyn Error + 'static)) -> String {
        // The innermost says what happened.
        let mut cause = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        format!(
            "nobody answers at {}: {cause}\n= hint: is `tidegate serve` running, and was it \
             started with this `[admin]` section? Another address goes by --admin URL",
            self.base
        )
    }

    fn unlike(&self, status: StatusCode) -> String {
        format!(
            "what answers at {} is no admin listener (status {status})\n= hint: name the address \
             of `[admin] listen`, not that of `[shim] listen`",
            self.base
        )
    }
}

/// The status and the body; none where something else answers than an admin listener.
async fn exchange(
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let response = client.request(request).await?;
    let status = response.status();
    if !response.headers().contains_key(VERSION) {
        return Ok((status, Bytes::new()));
    }
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await?;
    Ok((status, body.to_bytes()))
}

/// A problem in words; `None` if this is none.
fn explain(problem: &Value) -> Option<String> {
    let detail = problem["detail"].as_str()?;
    let mut text = match problem["report"].as_str() {
        Some(report) => format!("{}\n{detail}", report.trim_end()),
        None => detail.to_owned(),
    };
    if let Some(hint) = problem["hint"].as_str() {
        text.push_str("\n= hint: ");
        text.push_str(hint);
    }
    Some(text)
}
