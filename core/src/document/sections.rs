//! The sections of a policy file: what may be written, before references are followed.
//!
//! The comments on sections and fields are the text of the policy reference.

use alloc::string::String;
use alloc::vec::Vec;

use super::browser::BrowserSection;
use super::cache::CacheWide;
use super::caching::{CacheSection, KeySection};
use super::compression::{CompressionSection, RouteCompression};
use super::cors::{CorsSection, RouteCors};
use super::declare::section;
use super::decode::{Context, Decode, Each, Located, Named};
use super::edge::EdgeSection;
use super::fields::{AnswerFields, FieldName};
use super::jwt::JwtSection;
use super::limits::LimitSection;
use super::operation::{AdminSection, MaintenanceSection};
use super::redis::RedisSection;
use super::tls::TlsSection;
use super::upstreams::UpstreamSection;
use super::values::{Bytes, Count, HostName, Name, Ttl, TtlClasses};
use crate::policy::edge::RequestLog;
use crate::policy::{EdgeCache, Listen, Pattern, Template, TrustedProxy};

section! {
    /// The whole file.
    ///
    /// Every string takes values from the environment: `${NAME}` must be set, `${NAME:-default}`
    /// need not be.
    struct Document, "the policy" {
        /// The version of this language: `1`.
        required schema: Located<u32>,
        /// Times to live by name, as in `short = "60s"`. Wherever a `ttl` is written, such a name
        /// will do.
        default ttl: TtlClasses,
        /// What the shim alone needs.
        optional shim: ShimSection,
        /// What the worker at the edge needs besides the routes.
        optional edge: EdgeSection,
        /// Where a running shim is operated from.
        optional admin: Located<AdminSection>,
        /// When nobody gets through.
        optional maintenance: MaintenanceSection,
        /// How to find out who asks.
        optional identity: IdentitySection,
        /// Groups of servers, by the names that routes use.
        default upstreams: Named<UpstreamSection>,
        /// Limits, by the names that routes use.
        default limits: Named<LimitSection>,
        /// The store that all shims share.
        optional redis: RedisSection,
        /// What the shim does with stored answers besides keeping them in memory.
        optional cache: CacheWide,
        /// Parts of the shim's memory for answers, by the names that routes use. Routes that name
        /// none share the zone `default`, which has 256 MiB unless it is defined here.
        default zones: Named<ZoneSection>,
        /// What the shim compresses, and how; without it nothing. At the edge Cloudflare compresses
        /// on its own.
        optional compression: CompressionSection,
        /// Which pages of other sites may read what the shim answers.
        optional cors: CorsSection,
        /// Fields that every answer leaves with, like `x-frame-options = "SAMEORIGIN"`. They stand
        /// in place of what the origin says.
        default headers: AnswerFields,
        /// What kinds of requests there are. The most specific pattern wins, wherever it stands:
        /// segment by segment a literal before a parameter before a tail.
        default routes: Each<Located<RouteSection>>,
    }
    lenient
}

section! {
    /// What the shim alone needs.
    struct ShimSection, "`[shim]`" {
        /// Where to listen: `127.0.0.1:8080` (without it, too), `https://[::]:443` for TLS with
        /// the certificates of `tls`, `unix:/run/tidegate/http.sock mode=660`, or a list of such.
        /// `tidegate serve --listen` overrides it. docs/guides/listening.md has more.
        default listen: Vec<Located<Listen>>,
        /// What listeners with TLS show, and what they take.
        optional tls: Located<TlsSection>,
        /// How many connections of clients are held at once; whoever comes then is told 503.
        /// 16384 without it, or three quarters of the files that the process may open.
        optional connections: Count,
        /// Who may say in X-Forwarded-For who the client is: addresses and blocks, and `unix:` for
        /// whoever connects to a socket in the file system. Anyone else counts as itself.
        default trusted_proxies: Vec<TrustedProxy>,
        /// Whether requests must be signed by the edge, see `[edge] signature`: everybody else gets
        /// 403, but for the paths of `[maintenance] allow_paths`, where health is asked for.
        default require_edge_signature: Located<bool>,
        /// How large the body of a request may be, `10MiB` without it. A larger one is refused with
        /// 413: at once where its length is said, else as soon as so much of it has come.
        optional max_body: Bytes,
        /// Whether upstreams are told in Forwarded (RFC 7239), too, who asks for which host by which
        /// scheme; X-Forwarded-For, X-Forwarded-Proto and X-Real-IP say it in any case.
        default forwarded: bool,
        /// Which requests are a line of JSON each on standard output: `none` without it, `forwarded`
        /// for those that the cache did not answer, `all`. docs/guides/watching-the-origin.md.
        optional log: RequestLog,
        /// Whether each request becomes a span of the trace that its `traceparent` names, or of a
        /// new one, of which the upstream hears (W3C Trace Context). Without it `traceparent` is
        /// passed on as it comes.
        default tracing: bool,
    }
}

section! {
    /// How to find out who asks. Without it everybody is anonymous.
    struct IdentitySection, "`[identity]`" {
        /// The request field that holds a credential. Nobody checks it: the same credential
        /// meets the same cache entry, but limits do not count by it.
        optional credential: FieldName,
        /// The request field in which a trusted proxy names the user; anyone else's is ignored.
        optional trusted_header: FieldName,
        /// Which JSON Web Tokens name the user, for keys and for limits.
        optional jwt: Located<JwtSection>,
    }
}

section! {
    /// A part of the shim's memory for stored answers, so that no kind of answer pushes out
    /// another. What is used least goes first.
    struct ZoneSection, "a zone" {
        /// How much memory its answers take at most, heads and bookkeeping included.
        required bytes: Located<Bytes>,
        /// How many answers it holds at most; as many as the bytes allow without it.
        optional capacity: Count,
        /// The time to live for the rules of its routes that have none.
        optional ttl: Ttl,
    }
}

section! {
    /// One kind of request, and how it is treated.
    struct RouteSection, "a route" {
        /// Its name in logs and in `explain`.
        required name: Located<Name>,
        /// Which paths it matches: `/api/v1/teams/:id/my-plugins`, `/plugins/*`, `/*.{js,css}`.
        /// `:name` stands for one segment, `*` for all that follows.
        required pattern as "match": Located<Pattern>,
        /// Which hosts it is for; all without it.
        default hosts as "host": Vec<HostName>,
        /// Where the shim fetches from.
        optional upstream: Located<String>,
        /// The limits that its requests must pass. In the shim, a request that one of them
        /// refuses uses up nothing of the others that are counted in memory; elsewhere, nothing
        /// of those that stand behind it.
        default limits as "limit": Vec<Located<String>>,
        /// What tells one answer from another: always scheme, host, path and, unless it says
        /// otherwise, the query.
        optional key: Located<KeySection>,
        /// How large the body of a request may be, in place of what `[shim]` says.
        optional max_body: Bytes,
        /// The zone of the shim's memory for its answers.
        optional zone: Located<String>,
        /// Names under which its answers can be invalidated together, besides their URI. `{user}`
        /// stands for who asks, any other `{name}` for that parameter of the pattern.
        default tags: Located<Vec<Template>>,
        /// The tags whose answers are invalid once a POST, PUT, DELETE or other unsafe request
        /// of this route has succeeded. The shim drops them; of the edge, the
        /// data centre that the request passed through.
        default invalidates: Located<Vec<Template>>,
        /// Caching at the edge: `"bypass"` (the default), `"respect"`, or a table.
        optional edge: Located<CacheSection>,
        /// Which of Cloudflare's caches keeps them: `cache-api` without it; `zone`, the zone's own,
        /// for answers that go by the origin's word under plain keys; `workers-cache`, before a
        /// second Worker. docs/guides/caches-of-the-edge.md says what each can do.
        optional edge_cache: Located<EdgeCache>,
        /// Caching at the origin, in the shim: likewise.
        optional origin: Located<CacheSection>,
        /// Whether the origin answers although the shim caches: to see what caching would do before it
        /// does. The shim decides, looks up, stores and counts as its rule says, and notes where what
        /// is stored would have differed from the origin's answer.
        default shadow: Located<bool>,
        /// While the `breaker` of its upstream is open, serves stale answers even where the origin
        /// forbids that by `must-revalidate`, `proxy-revalidate`, `s-maxage` or `no-cache`.
        default unsafe_stale_while_open: Located<bool>,
        /// What browsers are told, on answers that the origin does not protect by `no-store`,
        /// `private` or a cookie: a preset, a time, or a table.
        optional browser: BrowserSection,
        /// Compression of its answers: `false`, `true`, or a table whose fields count in place of
        /// those of `[compression]`.
        optional compression: RouteCompression,
        /// Which pages of other sites may read its answers: `false`, or a table in place of `[cors]`.
        optional cors: RouteCors,
        /// Fields that its answers leave with, besides those of the whole policy or in their
        /// place.
        default headers: AnswerFields,
    }
    lenient
}
