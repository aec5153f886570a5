//! `[upstreams]`: groups of servers and how they are asked, or folders of files.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::{NonZeroU8, NonZeroU32};
use core::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText, Given, Located, Named};
use super::folder;
use super::shape::Shape;
use super::values::{Count, HostName, Ttl};
use crate::policy::upstream::{
    Balance, BreakerRule, Ejection, HEAD_TIMEOUT_OF_BREAKER, HealthCheck, Queue, Retry,
    SERVERS_MAX, Server, ServerAddress, Timeouts,
};
use crate::policy::{Folder, Malformed, Upstream};
use crate::status_ttl::Statuses;
use crate::target::Target;

section! {
    /// Servers that answer alike, or a folder of files: `servers` or `files`.
    struct UpstreamSection, "an upstream" {
        /// The servers, 64 at most: `host:port`, `https://host:port` by TLS 1.2 or 1.3 with a
        /// certificate that the system trusts (SSL_CERT_FILE names others), `unix:/path`, or
        /// tables.
        optional servers: Given<Located<Vec<Located<ServerSection>>>>,
        /// A folder in place of servers, beside the policy file unless it begins with `/`. GET and
        /// HEAD answer with its files, with entity tags, conditions and ranges. Nothing is given
        /// whose name begins with a dot, but for `/.well-known/`, nor what a link outside of the
        /// folder leads to; no folder is listed.
        optional files: Given<Located<String>>,
        /// The file that stands for a folder of `files`; `index.html` by default.
        optional index: Located<String>,
        /// The path of the file that answers for pages that are no file, as in `/index.html` of a
        /// single-page app: for clients that prefer HTML, at paths without a dot in their last
        /// name. Without it they are 404, as everything else that is missing.
        optional fallback: Located<String>,
        /// Whether `app.js.br`, `app.js.zst` and `app.js.gz` go out in place of `app.js` to clients
        /// that take them.
        optional precompressed: Located<bool>,
        /// Which of them is asked: `least-conn`, the one that is at the fewest requests for its
        /// weight, by default; or `round-robin`, one after the other.
        optional balance: Balance,
        /// How many idle connections are kept at most, to all servers together; 64 by default.
        optional keepalive: u32,
        /// How long it may take to connect, TLS included; `60s` by default.
        optional connect_timeout: Located<Ttl>,
        /// How long a server may take nothing of a request; `60s` by default.
        optional send_timeout: Located<Ttl>,
        /// How long the head of an answer may take once the request is sent: `3s` by default where
        /// there is a `breaker`, else `60s`.
        optional head_timeout: Located<Ttl>,
        /// How long a body may be quiet; `60s` by default. Server-sent events may be quiet for as
        /// long as they like.
        optional read_timeout: Located<Ttl>,
        /// How long a connection may be quiet that has become another protocol, such as
        /// WebSocket; `1h` by default.
        optional tunnel_timeout: Located<Ttl>,
        /// How many requests each server is at, at most; any number without it.
        optional max_connections: Count,
        /// How many requests wait when every server is at `max_connections`, and for how long:
        /// 256 for `5s` by default. Whoever finds no place, or none in time, gets 503.
        optional queue: QueueSection,
        /// How servers are checked when nobody asks; without it they are not.
        optional health: HealthSection,
        /// When a server that fails requests is left out: after 3 in a row, for `10s`, by default.
        /// A failure is a connection that cannot be had or breaks, an answer that is no HTTP, or
        /// none in time. If all others are out, too, it is asked all the same.
        optional eject: EjectSection,
        /// When another server is asked. One that cannot be reached passes every request on. A
        /// request that was sent goes to another only if it may be done twice (GET, HEAD, OPTIONS,
        /// TRACE, PUT, DELETE) and nothing of a body was sent, and never because the first was
        /// slow.
        optional retry: RetrySection,
        /// When nobody is asked any more because those who were asked failed: `true`, or a table.
        /// Then a stored answer serves, stale where neither the origin nor RFC 9111 §4.2.4 forbids
        /// it, or else 503 says when to come back.
        optional breaker: BreakerSection,
    }
    lenient
}

section! {
    /// One server.
    struct ServerTable, "a server" {
        /// Where it is: `host:port`, `https://host:port` or `unix:/path`.
        required address: ServerAddress,
        /// Its share of the requests, compared with that of the others: 1 to 255, 1 by default.
        optional weight: Located<Count>,
        /// It is asked only while none of the others is up.
        default backup: bool,
    }
}

section! {
    /// Who waits when every server is at as many requests as it may be.
    struct QueueSection, "`queue`" {
        /// How many requests wait at most; 256 by default, and none with 0.
        optional length: u32,
        /// For how long each of them does; `5s` by default.
        optional timeout: Located<Ttl>,
    }
}

section! {
    /// How servers are checked when nobody asks.
    struct HealthSection, "`health`" {
        /// What they are asked for, by GET.
        required path: Located<String>,
        /// The Host of the question; the server's own address without it.
        optional host: HostName,
        /// How much time lies between two checks of a server; `5s` by default.
        optional interval: Located<Ttl>,
        /// How long the head of an answer may take, connecting included; `2s` by default.
        optional timeout: Located<Ttl>,
        /// The statuses of a server that is up: `204`, `"2xx"`. By default `["2xx", "3xx"]`.
        optional status: Vec<StatusSet>,
        /// A server is up again after so many good answers in a row; 2 by default.
        optional rise: Count,
        /// A server is down after so many bad ones in a row, or none; 3 by default.
        optional fall: Count,
    }
}

section! {
    /// When a server that fails requests is left out.
    struct EjectSection, "`eject`" {
        /// After so many in a row; 3 by default, and never with 0.
        optional failures: u32,
        /// For how long; `10s` by default.
        optional time: Located<Ttl>,
    }
}

section! {
    /// When another server is asked.
    struct RetrySection, "`retry`" {
        /// How many servers are sent a request at most, the first included: 2 by default, and 1
        /// for none but the first.
        optional attempts: Count,
        /// The statuses for which another is asked: `503`, `"5xx"`. None by default.
        default status: Vec<StatusSet>,
    }
}

section! {
    /// When nobody is asked any more: when so many calls of the last while have failed. A failed
    /// call is one without an answer in time, or with 500, 502, 503 or 504.
    struct BreakerTable, "`breaker`" {
        /// How many of a hundred; 50 by default.
        optional errors: Located<Count>,
        /// Of how many calls at least; 10 by default.
        optional calls: Count,
        /// In what time; `10s` by default.
        optional window: Located<Ttl>,
        /// For how long nobody is asked; `30s` by default. Then one call tries, and the breaker
        /// closes if it succeeds.
        optional open: Located<Ttl>,
    }
}

/// `"host:port"`, or a table.
#[derive(Debug)]
pub(super) struct ServerSection {
    address: ServerAddress,
    weight: Option<Located<Count>>,
    backup: bool,
}

/// `breaker = true`, or a table.
#[derive(Debug)]
pub(super) enum BreakerSection {
    Switch(bool),
    Table(BreakerTable),
}

/// `204`, `"204"` or `"2xx"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusSet(Statuses);

words!(Balance, "way to balance", {
    "least-conn" => Self::LeastConn,
    "round-robin" => Self::RoundRobin,
});

/// No phase of a request, and no pause between checks, takes longer than a day.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What the sections say, by name; a wrong one leaves no upstream.
type Resolved = (BTreeMap<String, Upstream>, BTreeMap<String, Folder>);

/// Those that are servers, and those that are folders.
pub(super) fn resolve(sections: Named<UpstreamSection>, context: &mut Context<'_>) -> Resolved {
    let (mut upstreams, mut folders) = Resolved::default();
    for (Located { value: name, span }, section) in sections.0 {
        let Some(mut section) = section else { continue };
        match (section.servers.take(), section.files.take()) {
            // A wrong one was reported.
            (Some(Given(None)), _) | (_, Some(Given(None))) => {}
            (Some(Given(Some(servers))), None) => {
                folder::refuse_fields_of_files(&section, context);
                upstreams.insert(name.clone(), upstream(&name, servers, section, context));
            }
            (None, Some(Given(Some(files)))) => {
                folder::refuse_fields_of_servers(&section, &files, context);
                folders.insert(name, folder::resolve(files, section, context));
            }
            (Some(_), Some(Given(Some(files)))) => {
                let message = format!("the upstream `{name}` has both `servers` and `files`");
                context.report(files.span, message, "make two of it, and let routes choose");
            }
            (None, None) => {
                let message = format!("the upstream `{name}` has neither `servers` nor `files`");
                context.report(span, message, "add `servers = \"127.0.0.1:4000\"`");
            }
        }
    }
    (upstreams, folders)
}

fn upstream(
    name: &str,
    named: Located<Vec<Located<ServerSection>>>,
    section: UpstreamSection,
    context: &mut Context<'_>,
) -> Upstream {
    let by_default = Upstream::new(Vec::new());
    let breaker = match section.breaker {
        None | Some(BreakerSection::Switch(false)) => None,
        Some(BreakerSection::Switch(true)) => Some(BreakerRule::default()),
        Some(BreakerSection::Table(table)) => Some(breaker(table, context)),
    };
    let timeouts = Timeouts::default();
    let head = if breaker.is_some() { HEAD_TIMEOUT_OF_BREAKER } else { timeouts.head };
    Upstream {
        servers: servers(name, named, context),
        balance: section.balance.unwrap_or_default(),
        keepalive: section.keepalive.unwrap_or(by_default.keepalive),
        timeouts: Timeouts {
            connect: time(section.connect_timeout, timeouts.connect, context),
            send: time(section.send_timeout, timeouts.send, context),
            head: time(section.head_timeout, head, context),
            read: time(section.read_timeout, timeouts.read, context),
            tunnel: time(section.tunnel_timeout, timeouts.tunnel, context),
        },
        max_connections: section.max_connections.map(|count| count.0),
        queue: section.queue.map_or(by_default.queue, |queue| Queue {
            length: queue.length.unwrap_or(by_default.queue.length),
            timeout: time(queue.timeout, by_default.queue.timeout, context),
        }),
        health: section.health.map(|health| self::health(health, context)),
        eject: section.eject.map_or(by_default.eject, |eject| Ejection {
            failures: eject.failures.unwrap_or(by_default.eject.failures),
            time: time(eject.time, by_default.eject.time, context),
        }),
        retry: section.retry.map_or(by_default.retry.clone(), |retry| Retry {
            attempts: retry.attempts.map_or(by_default.retry.attempts, |count| count.0),
            status: statuses(retry.status),
        }),
        breaker,
    }
}

fn servers(
    name: &str,
    section: Located<Vec<Located<ServerSection>>>,
    context: &mut Context<'_>,
) -> Vec<Server> {
    let span = section.span;
    match section.value.len() {
        0 => {
            let message = format!("the upstream `{name}` has no server");
            context.report(span.clone(), message, "name at least one `host:port`");
        }
        1..=SERVERS_MAX => {}
        many => {
            let message = format!("the upstream `{name}` has {many} servers, of {SERVERS_MAX}");
            context.report(span.clone(), message, "let a name stand for several of them");
        }
    }
    let mut known = BTreeSet::new();
    let mut servers = Vec::new();
    for Located { value: ServerSection { address, weight, backup }, span } in section.value {
        if !known.insert(address.to_string()) {
            let message = format!("`{address}` stands twice among the servers of `{name}`");
            context.report(span, message, "leave one out, or give it a `weight`");
        }
        let weight = weight.map_or(NonZeroU8::MIN, |weight| {
            NonZeroU8::try_from(weight.value.0).unwrap_or_else(|_| {
                let hint = "write a number from 1 to 255";
                context.report(weight.span, "a `weight` of more than 255", hint);
                NonZeroU8::MIN
            })
        });
        servers.push(Server { address, weight, backup });
    }
    if !servers.is_empty() && servers.iter().all(|server| server.backup) {
        let message = format!("all servers of `{name}` are backups");
        context.report(span, message, "let one be asked first");
    }
    servers
}

fn health(section: HealthSection, context: &mut Context<'_>) -> HealthCheck {
    let HealthSection { path, host, interval, timeout, status, rise, fall } = section;
    if !path.value.starts_with('/') || Target::parse(&path.value).is_err() {
        let message = format!("`{}` is no path", path.value.escape_debug());
        context.report(path.span, message, "write, say, `/healthz`");
    }
    let count = |count: Option<Count>, by_default: u32| {
        count.map_or(NonZeroU32::MIN.saturating_add(by_default - 1), |count| count.0)
    };
    HealthCheck {
        path: path.value,
        host: host.map(|HostName(host)| host),
        interval: time(interval, Duration::from_secs(5), context),
        timeout: time(timeout, Duration::from_secs(2), context),
        status: status.map_or_else(|| [2, 3].map(Statuses::Class).into(), statuses),
        rise: count(rise, 2),
        fall: count(fall, 3),
    }
}

fn breaker(table: BreakerTable, context: &mut Context<'_>) -> BreakerRule {
    let by_default = BreakerRule::default();
    let BreakerTable { errors, calls, window, open } = table;
    let errors = errors.map_or(by_default.errors, |errors| {
        let percent = NonZeroU8::try_from(errors.value.0).ok().filter(|p| p.get() <= 100);
        percent.unwrap_or_else(|| {
            let hint = "write how many of a hundred calls, like `50`";
            context.report(errors.span, "`errors` are 100 of a hundred at most", hint);
            by_default.errors
        })
    });
    BreakerRule {
        errors,
        calls: calls.map_or(by_default.calls, |calls| calls.0),
        window: time(window, by_default.window, context),
        open: time(open, by_default.open, context),
    }
}

/// A time of some length, and not for ever.
fn time(said: Option<Located<Ttl>>, by_default: Duration, context: &mut Context<'_>) -> Duration {
    let Some(Located { value: Ttl(time), span }) = said else { return by_default };
    if time.is_zero() || time > LONGEST {
        let hint = "write a time like `5s` or `500ms`";
        context.report(span, "this time lies between `1ms` and `1d`", hint);
    }
    time
}

/// Sorted and without doubles, so that what means the same is the same.
fn statuses(sets: Vec<StatusSet>) -> Vec<Statuses> {
    let sorted: BTreeSet<Statuses> = sets.into_iter().map(|StatusSet(set)| set).collect();
    sorted.into_iter().collect()
}

impl Decode for ServerSection {
    fn shape() -> Shape {
        Shape::Either(Vec::from([<ServerAddress as FromText>::shape(), ServerTable::shape()]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            let address = ServerAddress::decode(value, context)?;
            return Some(Self { address, weight: None, backup: false });
        }
        let ServerTable { address, weight, backup } = ServerTable::decode(value, context)?;
        Some(Self { address, weight, backup })
    }
}

impl Decode for BreakerSection {
    fn shape() -> Shape {
        Shape::Either(Vec::from([Shape::Flag, BreakerTable::shape()]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        match value.get_ref().as_bool() {
            Some(switch) => Some(Self::Switch(switch)),
            None => BreakerTable::decode(value, context).map(Self::Table),
        }
    }
}

impl Decode for StatusSet {
    fn shape() -> Shape {
        Shape::Either(Vec::from([
            Shape::Number,
            Shape::Text("a class of statuses, like `5xx`, or one of them"),
        ]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let text = match value.get_ref().as_integer() {
            Some(number) => number.to_string(),
            None => context.text(value)?,
        };
        let parsed = Statuses::parse(&text).map(Self);
        parsed.map_err(|bad| context.report(value.span(), bad.message, bad.hint)).ok()
    }
}

impl FromText for ServerAddress {
    fn shape() -> Shape {
        Shape::Text(
            "a server, like `127.0.0.1:4000`, `https://app.internal` or `unix:/run/app.sock`",
        )
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    fn read_one(section: &str) -> Result<Upstream, String> {
        let source = format!("schema = 1\n[upstreams.app]\n{section}\n");
        let policy = read(&source, &|_| None).map_err(|report| report.to_string())?;
        Ok(policy.model().upstreams["app"].clone())
    }

    #[test]
    fn p1_p2_what_is_not_said_is_as_it_should_be() {
        let upstream = read_one("servers = \"127.0.0.1:4000\"").unwrap();
        assert_eq!(
            upstream,
            Upstream::new(alloc::vec![ServerAddress::Plain("127.0.0.1:4000".into())])
        );
        let json = serde_json::to_string(&upstream).unwrap();
        assert_eq!(json, r#"{"servers":[{"address":"127.0.0.1:4000"}]}"#);
    }

    #[test]
    fn p1_servers_have_weights_and_backups() {
        let upstream = read_one(
            "servers = [\"a:1\", { address = \"https://b\", weight = 3 }, \
             { address = \"unix:/run/c\", backup = true }]\nbalance = \"round-robin\"\nkeepalive = 32",
        );
        let json = serde_json::to_string(&upstream.unwrap()).unwrap();
        assert_eq!(
            json,
            r#"{"servers":[{"address":"a:1"},{"address":"https://b:443","weight":3},{"address":"unix:/run/c","backup":true}],"balance":"round-robin","keepalive":32}"#
        );
    }

    #[test]
    fn p6_a_breaker_brings_three_seconds_to_the_head_unless_something_else_is_said() {
        let breaker = read_one("servers = \"a:1\"\nbreaker = true").unwrap();
        assert_eq!(breaker.timeouts.head, Duration::from_secs(3));
        assert_eq!(breaker.timeouts.read, Duration::from_secs(60), "it never cuts a stream");
        let rule = breaker.breaker.unwrap();
        assert_eq!((rule.errors.get(), rule.calls.get()), (50, 10));
        assert_eq!((rule.window.as_secs(), rule.open.as_secs()), (10, 30));
        let own = read_one(
            "servers = \"a:1\"\nhead_timeout = \"5s\"\nbreaker = { errors = 20, open = \"5s\" }",
        );
        let own = own.unwrap();
        assert_eq!(own.timeouts.head, Duration::from_secs(5));
        assert_eq!(own.breaker.unwrap().errors.get(), 20);
        assert_eq!(read_one("servers = \"a:1\"\nbreaker = false").unwrap().breaker, None);
    }

    #[test]
    fn p1_a_health_check_needs_a_path_alone() {
        let upstream = read_one("servers = \"a:1\"\nhealth = { path = \"/healthz\" }").unwrap();
        let health = upstream.health.unwrap();
        assert_eq!(health.status, [Statuses::Class(2), Statuses::Class(3)]);
        assert_eq!((health.interval.as_secs(), health.timeout.as_secs()), (5, 2));
        assert_eq!((health.rise.get(), health.fall.get()), (2, 3));
        let upstream =
            read_one("servers = \"a:1\"\nhealth = { path = \"/\", status = [204, \"3xx\", 204] }");
        let health = upstream.unwrap().health.unwrap();
        assert_eq!(health.status, [Statuses::One(204), Statuses::Class(3)]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_place() {
        let many: Vec<String> = (0..65).map(|at| format!("\"s{at}:1\"")).collect();
        for (section, message) in [
            ("servers = []".into(), "has no server"),
            (format!("servers = [{}]", many.join(",")), "has 65 servers, of 64"),
            ("servers = [\"a:1\", \"a:1\"]".into(), "stands twice"),
            ("servers = { address = \"a:1\", backup = true }".into(), "are backups"),
            ("servers = { address = \"a:1\", weight = 256 }".into(), "more than 255"),
            ("servers = { address = \"a:1\", weight = 0 }".into(), "0 is not enough"),
            ("servers = { addres = \"a:1\" }".into(), "did you mean `address`?"),
            ("servers = \"ftp://a:1\"".into(), "no address with a port"),
            ("servers = \"a:1\"\nbalance = \"least_conn\"".into(), "did you mean `least-conn`?"),
            ("servers = \"a:1\"\nread_timeout = \"0s\"".into(), "between `1ms` and `1d`"),
            ("servers = \"a:1\"\nhead_timeout = \"2d\"".into(), "between `1ms` and `1d`"),
            ("servers = \"a:1\"\nhealth = { path = \"up\" }".into(), "`up` is no path"),
            ("servers = \"a:1\"\nhealth = { path = \"/\", status = 99 }".into(), "no status"),
            ("servers = \"a:1\"\nbreaker = { errors = 101 }".into(), "of a hundred"),
            ("servers = \"a:1\"\nbreaker = \"on\"".into(), "expected a table"),
            ("servers = \"a:1\"\nmax_connections = 0".into(), "0 is not enough"),
        ] {
            let report = read_one(&section).unwrap_err();
            assert!(report.contains(message), "{section}: {report}");
        }
    }
}
