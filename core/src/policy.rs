//! The policy: one typed model, the same on every tier.
//!
//! People write it as TOML ([`crate::document`], feature `toml`); programs carry it as
//! canonical JSON, in which presets are expanded, values from the environment are filled in
//! and every reference is known to hold.

mod by_text;
pub mod cache;
pub mod edge;
mod edge_cache;
mod fail_open;
pub mod folder;
pub mod health;
pub mod identify;
mod isolate_memory;
pub mod listen;
pub mod maintenance;
pub mod overrides;
pub mod pattern;
pub mod plan;
pub mod published;
pub mod redis;
mod route_table;
pub mod template;
mod terms;
pub mod units;
pub mod upstream;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use cache::{Cache, CacheRedis, Snapshot};
pub use edge::Edge;
pub use edge_cache::EdgeCache;
pub use folder::Folder;
pub use isolate_memory::IsolateMemory;
pub use listen::{CertificateFiles, Listen, Tls, TlsVersion, TrustedProxy};
pub use maintenance::{Closed, Maintenance, Page};
pub use overrides::Overrides;
pub use pattern::Pattern;
pub use plan::{Bypass, Plan};
pub use published::Published;
pub use redis::Redis;
pub use template::Template;
pub use terms::Terms;
pub use upstream::Upstream;

use crate::canonical::{self, Unreadable};
use crate::compress::CompressionRule;
use crate::cors::CorsRule;
use crate::headers::ResponseDirectives;
use crate::rate::Limit;
use crate::rule::CacheRule;
pub use crate::tier::Tier;
use crate::token::TokenRule;
use route_table::RouteTable;

/// How many bytes the body of a request has at most where the policy says nothing (P5): what
/// Express means by `10mb`.
pub const BODY_MAX: u64 = 10 << 20;
/// The version of the policy language that this crate reads.
pub const SCHEMA: u32 = 1;

/// Everything a Tidegate decides by. Immutable once built.
#[derive(Clone, Debug)]
pub struct Policy {
    model: Model,
    table: RouteTable,
    /// For each route: browsers are told not to store, in whichever spelling.
    browsers_store_nothing: Vec<bool>,
    /// For each route, at the edge and at the origin; none where nobody asks.
    terms: Vec<[Terms; 2]>,
    /// Paths that pass in maintenance.
    passing: RouteTable,
    /// The canonical JSON that it was read from.
    source: Option<Box<str>>,
    /// Clients that are let in again at run time.
    forgiven: overrides::Forgiven,
}

/// What a policy says: the canonical form, ready to be written as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The version of the policy language: [`SCHEMA`].
    pub schema: u32,
    /// What the shim alone needs.
    #[serde(default, deserialize_with = "canonical::of_the_shim")]
    pub shim: Shim,
    /// What the worker at the edge needs besides the routes.
    #[serde(default, skip_serializing_if = "Edge::is_default")]
    pub edge: Edge,
    /// Where the shim is operated from.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "Option::is_none"
    )]
    pub admin: Option<Admin>,
    /// When nobody gets through.
    #[serde(default, skip_serializing_if = "Maintenance::is_default")]
    pub maintenance: Maintenance,
    /// How to find out who asks.
    #[serde(default)]
    pub identity: IdentityRule,
    /// Groups of servers by name.
    #[serde(default, deserialize_with = "canonical::of_the_shim")]
    pub upstreams: BTreeMap<String, Upstream>,
    /// Folders of files by name, which are upstreams, too: no name stands for both.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub folders: BTreeMap<String, Folder>,
    /// The limits that routes refer to by position.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// The store that all shims share.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "Option::is_none"
    )]
    pub redis: Option<Redis>,
    /// What the shim does with stored answers besides keeping them in memory.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "Cache::is_default"
    )]
    pub cache: Cache,
    /// The stores of the shim that routes refer to by position.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub zones: Vec<Zone>,
    /// What is compressed, and how: routes refer to these by position.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub compression: Vec<CompressionRule>,
    /// Fields that every answer leaves with, by lower-case name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The routes, in the order of the file.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// What the shim alone needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shim {
    /// Where to listen; at [`listen::DEFAULT_LISTEN`] when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<Listen>,
    /// What listeners with TLS show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How many connections of clients are held at once; [`listen::DEFAULT_CONNECTIONS`] without
    /// it, if the process may open as many files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<NonZeroU32>,
    /// Who may name the client in forwarding fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Whether requests must be signed by the edge.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub require_edge_signature: bool,
    /// How many bytes the body of a request has at most; [`BODY_MAX`] without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body: Option<u64>,
    /// Whether upstreams are told in Forwarded who asks.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub forwarded: bool,
    /// Which requests are a line of the log each.
    #[serde(default, skip_serializing_if = "edge::RequestLog::is_default")]
    pub log: edge::RequestLog,
    /// Whether each request becomes a span of a trace.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub tracing: bool,
}

/// Where the shim is operated from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The address to listen on: of this machine alone, unless there is a token.
    pub listen: SocketAddr,
    /// The name of the variable that holds the token which every request must show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Names in the Host field besides addresses and `localhost`, in lower case, without port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The file that keeps overrides over a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// A block of addresses, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: core::net::IpAddr,
    prefix: u8,
}

/// How to find out who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRule {
    /// The request field, in lower case, whose value is an opaque credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The request field, in lower case, in which a trusted proxy names the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_header: Option<String>,
    /// Which tokens name the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<TokenRule>,
}

/// What one kind of request is and how it is treated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The name for logs and `explain`.
    pub name: String,
    /// Which paths it matches.
    pub pattern: Pattern,
    /// Which hosts, in lower case, without port; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Where the shim fetches from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Positions in [`Model::limits`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<usize>,
    /// The key as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<Template>,
    /// Position in [`Model::zones`]; the shim's own store without it.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "Option::is_none"
    )]
    pub zone: Option<usize>,
    /// How many bytes the body of a request has at most, in place of what the shim takes elsewhere.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_body: Option<u64>,
    /// Stale answers serve while the breaker of its upstream is open, even those that the origin
    /// forbids to serve so.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "core::ops::Not::not"
    )]
    pub unsafe_stale_while_open: bool,
    /// What its answers are invalidated by, besides their URI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Template>,
    /// The tags that a successful unsafe request invalidates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalidates: Vec<Template>,
    /// Position in [`Model::compression`]; without it the shim compresses nothing.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "Option::is_none"
    )]
    pub compression: Option<usize>,
    /// Which pages of other sites may read what the shim answers; as the origin says without it.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "Option::is_none"
    )]
    pub cors: Option<CorsRule>,
    /// Fields that its answers leave with, by lower-case name, in place of the policy's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Caching at the edge; none is bypass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<CacheRule>,
    /// Which of the platform's caches keeps what the edge does.
    #[serde(default, skip_serializing_if = "EdgeCache::is_default")]
    pub edge_cache: EdgeCache,
    /// Caching at the origin; none is bypass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<CacheRule>,
    /// Whether the origin answers although the shim caches, to see what would differ.
    #[serde(
        default,
        deserialize_with = "canonical::of_the_shim",
        skip_serializing_if = "core::ops::Not::not"
    )]
    pub shadow: bool,
    /// What browsers are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<BrowserRule>,
}

/// What browsers, and the caches between, are told where the origin does not protect the
/// answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrowserRule {
    /// The Cache-Control field.
    pub cache_control: String,
    /// The CDN-Cache-Control field (RFC 9213 §3.1), which the shim writes towards the CDN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cdn: Option<String>,
    /// The Surrogate-Control field, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surrogate: Option<String>,
}

/// A part of the shim's memory for stored answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// How many bytes its answers take at most.
    pub bytes: u64,
    /// How many answers it holds at most; as many as the bytes allow without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<NonZeroU32>,
}

/// Text that does not mean what it should, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Why a canonical policy was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// It is not the JSON of a policy.
    Json(Unreadable),
    /// It is written for another version of the policy language.
    Schema(u32),
    /// A route refers to a limit that is not there.
    UnknownLimit(String),
    /// A route refers to a zone that is not there.
    UnknownZone(String),
    /// A route refers to a rule of compression that is not there.
    UnknownCompression(String),
}

impl Policy {
    /// Builds the policy from its model.
    pub fn new(model: Model) -> Result<Self, LoadError> {
        if model.schema != SCHEMA {
            return Err(LoadError::Schema(model.schema));
        }
        if let Some(route) =
            model.routes.iter().find(|r| r.limits.iter().any(|at| *at >= model.limits.len()))
        {
            return Err(LoadError::UnknownLimit(route.name.clone()));
        }
        if let Some(route) =
            model.routes.iter().find(|r| r.zone.is_some_and(|at| at >= model.zones.len()))
        {
            return Err(LoadError::UnknownZone(route.name.clone()));
        }
        let rules = model.compression.len();
        if let Some(route) =
            model.routes.iter().find(|r| r.compression.is_some_and(|at| at >= rules))
        {
            return Err(LoadError::UnknownCompression(route.name.clone()));
        }
        let routes = model.routes.iter().enumerate();
        let table = RouteTable::build(routes.map(|(at, r)| (at, &r.pattern, &*r.hosts)));
        let stores_nothing = |rule: &BrowserRule| {
            ResponseDirectives::parse([rule.cache_control.as_bytes()].into_iter()).no_store
        };
        let browsers_store_nothing =
            model.routes.iter().map(|r| r.browser.as_ref().is_some_and(stores_nothing)).collect();
        let passing = model.maintenance.passing();
        let forgiven = overrides::Forgiven::new();
        let terms = Vec::new();
        let source = None;
        Ok(Self { model, table, browsers_store_nothing, terms, passing, source, forgiven })
    }

    /// The same, able to tell under which terms its routes keep answers ([`Plan::terms`]): for
    /// who stores under one policy and serves under the next.
    pub fn with_terms(self) -> Self {
        Self { terms: Terms::of_all(&self.model.routes), ..self }
    }

    /// Under which terms routes keep answers on this tier, if it can tell
    /// ([`Self::with_terms`]).
    pub fn terms(&self, tier: Tier) -> impl Iterator<Item = Terms> {
        let routes = self.model.routes.iter().zip(&self.terms);
        let that_keep = routes.filter(move |(route, _)| route.cache_rule(tier).is_some());
        that_keep.map(move |(_, terms)| Terms::at(*terms, tier))
    }

    /// Reads the canonical JSON.
    pub fn from_json(json: &str) -> Result<Self, LoadError> {
        let policy = Self::new(canonical::read(json).map_err(LoadError::Json)?)?;
        Ok(Self { source: Some(json.into()), ..policy })
    }

    /// The canonical JSON that it was read from, unless it was made otherwise or changed since: to
    /// read it once more takes no code of its own, other than to copy or to write a policy.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Writes the canonical JSON: the same policy always gives the same bytes.
    pub fn to_json(&self) -> String {
        // A model holds only strings, numbers and lists of them, which all serialise.
        serde_json::to_string(&self.model).unwrap_or_default()
    }

    /// The first 16 hexadecimal digits of the SHA-256 of the canonical JSON: tells whether
    /// two tiers run the same policy.
    pub fn hash(&self) -> String {
        Self::hash_of(&self.to_json())
    }

    /// The hash of the policy whose canonical JSON this is.
    pub fn hash_of(json: &str) -> String {
        let digest = Sha256::digest(json);
        digest.iter().take(8).map(|byte| alloc::format!("{byte:02x}")).collect()
    }

    /// What the policy says.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

impl Route {
    /// The cache rule on a tier; `None` is bypass.
    pub fn cache_rule(&self, tier: Tier) -> Option<&CacheRule> {
        match tier {
            Tier::Edge => self.edge.as_ref(),
            Tier::Origin => self.origin.as_ref(),
        }
    }
}

impl Network {
    /// Reads `address` or `address/prefix`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let bad = || {
            Malformed::new(
                alloc::format!("`{text}` is no block of addresses"),
                "write an address or a block, like `127.0.0.1`, `10.0.0.0/8` or `fd00::/8`",
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: core::net::IpAddr = address.trim().parse().map_err(|_| bad())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(whole), |p| p.trim().parse()).map_err(|_| bad())?;
        if prefix > whole {
            return Err(bad());
        }
        Ok(Self { address, prefix })
    }

    /// Whether every address of its kind lies in this block.
    pub const fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether `address` lies in this block; IPv4 mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: core::net::IpAddr) -> bool {
        use core::net::IpAddr::{V4, V6};
        match (self.address, address.to_canonical()) {
            (V4(block), V4(address)) => {
                let differs = u32::from(block) ^ u32::from(address);
                differs.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (V6(block), V6(address)) => {
                let differs = u128::from(block) ^ u128::from(address);
                differs.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        alloc::format!("{}/{}", network.address, network.prefix)
    }
}

impl Malformed {
    /// What is wrong, and what to do about it.
    pub fn new<'a>(message: impl Into<Cow<'a, str>>, hint: impl Into<Cow<'a, str>>) -> Self {
        Self { message: message.into().into_owned(), hint: hint.into().into_owned() }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

impl core::error::Error for Malformed {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "not the canonical JSON of a policy: {error}"),
            Self::Schema(found) => {
                write!(f, "the policy has schema {found}; this program reads {SCHEMA}")
            }
            Self::UnknownLimit(route) => {
                write!(f, "the route `{route}` refers to a limit that is not there")
            }
            Self::UnknownZone(route) => {
                write!(f, "the route `{route}` refers to a zone that is not there")
            }
            Self::UnknownCompression(route) => {
                write!(f, "the route `{route}` refers to a compression that is not there")
            }
        }
    }
}

impl core::error::Error for LoadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_alone() {
        let holds = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(holds("10.0.0.0/8", "10.255.1.2"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("127.0.0.1", "::ffff:127.0.0.1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe00::1"));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "x/8"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn another_schema_is_refused() {
        assert!(matches!(Policy::from_json(r#"{"schema":2}"#), Err(LoadError::Schema(2))));
    }
}
