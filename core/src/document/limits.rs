//! `[limits]`: how often clients may ask, and where that is counted.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText, Located, Named};
use super::fields::{CookieName, FieldName};
use super::shape::Shape;
use super::spelling;
use super::values::{Count, Rate, Ttl, check_name};
use crate::policy::{Malformed, units};
use crate::rate::colo::Binding;
use crate::rate::{
    Algorithm, Counted, EdgeStore, KeyPart, Limit, Numbers, OnStoreError, OriginStore, Stores,
};

section! {
    /// How often a client may ask. Allowed answers say what is left, refusals when to come back.
    struct LimitSection, "a limit" {
        /// How many requests in which time.
        required limit: Rate,
        /// For how long a client is refused once it has asked too often. Without it, until its
        /// window ends.
        optional block: Ttl,
        /// How requests are counted. `fixed-window`, the default: a window starts with the
        /// client's first request. `sliding-window`: any window, wherever it starts; exact up
        /// to 16 requests, estimated from two counts above. `gcra`: at an even pace.
        optional algorithm: Algorithm,
        /// How many may come ahead of the even pace of `gcra`, as nginx counts them: with a
        /// burst of 5, 6 pass at once.
        optional burst: Located<u32>,
        /// What comes ahead of the pace of `gcra` waits until its time has come, rather than to
        /// pass at once: nginx's `burst` without `nodelay`. As many of a client's requests wait
        /// at most as `burst` says; 4,096 in all in a process of the shim; 256 in an isolate at
        /// the edge, for up to 100 seconds. A client that leaves gives its place up.
        default spread: Located<bool>,
        /// What clients are told apart by: the first of these that a request has. By default
        /// `["identity", "client-ip", "anonymous"]`. IPv6 addresses count by /64; an identity
        /// counts only where somebody has checked it; what is in a `header:NAME` or a
        /// `cookie:NAME` is the client's own word, so let another limit count by address.
        /// `route` counts everybody together who asks for the same route.
        default key: Vec<KeyPart>,
        /// Which requests count: `all` (the default), or `misses`, those that no stored answer
        /// serves.
        optional count: Counted,
        /// Counts, and reports whom it would refuse, but refuses nobody.
        default dry_run: bool,
        /// Whether answers carry the older fields `X-RateLimit-Limit`, `X-RateLimit-Remaining`
        /// and `X-RateLimit-Reset` beside `RateLimit`; they do without it.
        optional x_ratelimit: bool,
        /// Where requests are counted: one word for both tiers, or a table.
        optional store: Located<StoreSection>,
        /// What a request gets when the store does not answer: `local` (the default) counts it
        /// in local memory, `allow` lets it pass, `deny` refuses it with 503.
        optional on_store_error: OnStoreError,
        /// How many clients each process of the shim remembers at most, up to 10,000,000; without
        /// it 1,048,576. A client takes 100 bytes at most. When they are too many, those go first
        /// whose time is up, then those that have not come for longest; whoever is refused stays,
        /// and if all places are theirs, newcomers share one quota.
        optional clients: Located<Count>,
        /// How many requests a process of the shim takes from Redis in one round trip, to spend
        /// by itself until the window ends; one by one without it. For fixed windows. All shims
        /// together never allow more than the limit, and in a window at most `lease` − 1 for each
        /// of them too few.
        optional lease: Located<Count>,
    }
}

section! {
    /// Where requests are counted.
    struct StoreTable, "`store`" {
        /// At the edge: `global` (the default), exact and worldwide, one Durable Object for each
        /// client; `colo`, loosely in each location of Cloudflare, by its rate limit binding, for
        /// fixed windows of 10 s or 60 s (`tidegate wrangler` writes what it needs); or `local`,
        /// in each isolate by itself.
        optional edge: EdgeStore,
        /// In the shim: `local` (the default), in the memory of each process; or `redis`, in the
        /// Redis of `[redis]`, exact for all shims together.
        optional origin: OriginStore,
    }
}

/// `store = "local"`, or a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StoreSection {
    edge: EdgeStore,
    origin: OriginStore,
}

words!(Algorithm, "algorithm", {
    "fixed-window" => Self::FixedWindow,
    "sliding-window" => Self::SlidingWindow,
    "gcra" => Self::Gcra,
});
words!(Counted, "choice of requests", { "all" => Self::All, "misses" => Self::Misses });
words!(OnStoreError, "choice", {
    "local" => Self::Local,
    "allow" => Self::Allow,
    "deny" => Self::Deny,
});
words!(EdgeStore, "store of the edge", {
    "local" => Self::Local,
    "colo" => Self::Colo,
    "global" => Self::Global,
});
words!(OriginStore, "store of the shim", { "local" => Self::Local, "redis" => Self::Redis });

/// What `store` may be as one word, and the tiers that it is for.
const STORES: [&str; 4] = ["local", "colo", "global", "redis"];

impl Decode for StoreSection {
    fn shape() -> Shape {
        Shape::Either(Vec::from([Shape::Words(&STORES), StoreTable::shape()]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        if !value.get_ref().is_str() {
            let StoreTable { edge, origin } = StoreTable::decode(value, context)?;
            let (edge, origin) = (edge.unwrap_or_default(), origin.unwrap_or_default());
            return Some(Self { edge, origin });
        }
        let text = context.text(value)?;
        // The other tier counts as it would without the word.
        let (edge, origin) = match &*text {
            "local" => (EdgeStore::Local, OriginStore::Local),
            "colo" => (EdgeStore::Colo, OriginStore::default()),
            "global" => (EdgeStore::Global, OriginStore::default()),
            "redis" => (EdgeStore::default(), OriginStore::Redis),
            _ => {
                let hint = spelling::hint(&text, STORES.into_iter());
                context.report(value.span(), format!("`{text}` is no store"), hint);
                return None;
            }
        };
        Some(Self { edge, origin })
    }
}

impl FromText for KeyPart {
    fn shape() -> Shape {
        Shape::Text("`identity`, `client-ip`, `route`, `header:NAME`, `cookie:NAME` or `anonymous`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        match text.split_once(':') {
            Some(("header", name)) => FieldName::from_text(name).map(|name| Self::Header(name.0)),
            Some(("cookie", name)) => CookieName::from_text(name).map(|name| Self::Cookie(name.0)),
            _ => match text {
                "identity" => Ok(Self::Identity),
                "client-ip" => Ok(Self::ClientIp),
                "route" => Ok(Self::Route),
                "anonymous" => Ok(Self::Anonymous),
                _ => Err(Malformed::new(
                    format!("`{text}` is no thing to count by"),
                    spelling::hint(text, KEY_PARTS.into_iter()),
                )),
            },
        }
    }
}

const KEY_PARTS: [&str; 6] =
    ["identity", "client-ip", "route", "header:NAME", "cookie:NAME", "anonymous"];

/// A gigabyte of clients.
const CLIENTS_MAX: NonZeroU32 = NonZeroU32::new(10_000_000).unwrap();

/// In the order of their names; a wrong one leaves a gap that no route of a good policy sees.
pub(super) fn resolve(
    sections: Named<LimitSection>,
    has_redis: bool,
    context: &mut Context<'_>,
) -> Vec<Limit> {
    let mut limits = Vec::new();
    for (name, section) in sections.0 {
        if let Err(bad) = check_name(&name.value) {
            context.report(name.span.clone(), bad.message, bad.hint);
        }
        let Some(section) = section else { continue };
        let (place, lease) = (name.span.clone(), section.lease.clone());
        let store = section.store.as_ref().map_or(place.clone(), |store| store.span.clone());
        let limit = limit(name, section, context);
        if limit.stores.origin == OriginStore::Redis && !has_redis {
            context.report(
                store.clone(),
                format!(
                    "`{}` is to be counted in Redis, but nothing says where that is",
                    limit.name
                ),
                "add `[redis]` with `url = \"${REDIS_URL}\"`",
            );
        }
        check_redis(&limit, place, lease, context);
        check_colo(&limit, &limits, store, context);
        limits.push(limit);
    }
    limits
}

/// What Cloudflare's rate limit binding cannot do.
fn check_colo(limit: &Limit, others: &[Limit], store: Range<usize>, context: &mut Context<'_>) {
    if limit.stores.edge != EdgeStore::Colo {
        return;
    }
    let Some(binding) = Binding::of(limit) else {
        context.report(
            store,
            format!(
                "`colo` counts fixed windows of 10 s or 60 s, and `{}` is no such limit",
                limit.name
            ),
            "write `limit = \"N per 10s\"` or `\"N per 60s\"` and no `algorithm`, or count it in `global`",
        );
        return;
    };
    let same = |other: &&Limit| Binding::of(other).is_some_and(|other| other.name == binding.name);
    if let Some(other) = others.iter().filter(|l| l.stores.edge == EdgeStore::Colo).find(same) {
        context.report(
            store,
            format!(
                "`{}` and `{}` would both be bound as {}",
                other.name, limit.name, binding.name
            ),
            "name them apart by more than case and punctuation",
        );
    }
}

/// What Redis cannot do, or only for others.
fn check_redis(
    limit: &Limit,
    place: Range<usize>,
    lease: Option<Located<Count>>,
    context: &mut Context<'_>,
) {
    let in_redis = limit.stores.origin == OriginStore::Redis;
    if in_redis && Numbers::of(limit).is_none() {
        context.report(
            place,
            format!("the limit `{}` is more than Redis can count exactly", limit.name),
            "choose a smaller limit, a shorter window or a smaller burst",
        );
    }
    let Some(Located { value: Count(lease), span }) = lease else { return };
    if !in_redis || limit.algorithm != Algorithm::FixedWindow {
        context.report(
            span,
            "a `lease` needs a fixed window that is counted in Redis",
            "add `store = \"redis\"` and `algorithm = \"fixed-window\"`, or leave `lease` out",
        );
    } else if lease > limit.quota {
        context.report(
            span,
            format!("a `lease` of {lease} is more than the limit"),
            format!("write {} at most; a tenth of it is a good begin", limit.quota),
        );
    }
}

fn limit(name: Located<String>, section: LimitSection, context: &mut Context<'_>) -> Limit {
    let algorithm = section.algorithm.unwrap_or(Algorithm::FixedWindow);
    let burst = section.burst.as_ref().map_or(0, |burst| burst.value);
    if let Some(burst) = section.burst.as_ref().filter(|_| algorithm != Algorithm::Gcra) {
        context.report(
            burst.span.clone(),
            "a `burst` means nothing without the even pace of `gcra`",
            "add `algorithm = \"gcra\"`, or leave `burst` out",
        );
    } else if section.spread.value && (algorithm != Algorithm::Gcra || burst == 0) {
        context.report(
            section.spread.span.clone(),
            "`spread` needs the even pace of `gcra`, and a `burst`: how many may wait",
            "add `algorithm = \"gcra\"` and, say, `burst = 5`",
        );
    }
    let block = section.block.map(|Ttl(block)| block);
    let window = section.limit.window;
    let cuts_window = |block| algorithm == Algorithm::SlidingWindow && block < window;
    if let Some(block) = block.filter(|block| cuts_window(*block)) {
        context.report(
            name.span.clone(),
            format!(
                "a `block` of {} is shorter than the window: behind it more would pass than the limit",
                units::DurationText(block)
            ),
            format!("block for {} at least, or leave `block` out", units::DurationText(window)),
        );
    }
    if let Some(clients) = section.clients.as_ref().filter(|clients| clients.value.0 > CLIENTS_MAX)
    {
        context.report(
            clients.span.clone(),
            format!("{} clients are more than a process remembers", clients.value.0),
            format!("write {CLIENTS_MAX} at most"),
        );
    }
    let StoreSection { edge, origin } = section.store.map(|store| store.value).unwrap_or_default();
    let on_error = section.on_store_error.unwrap_or_default();
    let defaults = Limit::new(name.value, section.limit.quota, window);
    Limit {
        burst,
        spread: section.spread.value,
        block,
        algorithm,
        key: if section.key.is_empty() { defaults.key } else { section.key },
        count: section.count.unwrap_or_default(),
        dry_run: section.dry_run,
        x_fields: section.x_ratelimit.unwrap_or(true),
        stores: Stores { edge, origin, on_error },
        clients: section.clients.map(|clients| clients.value.0),
        lease: section.lease.map(|lease| lease.value.0),
        forgiven: None,
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use crate::rate::{EdgeStore, OriginStore};
    use alloc::format;
    use alloc::string::{String, ToString};

    fn read_limit(lines: &str) -> Result<(EdgeStore, OriginStore), String> {
        let source = format!("schema = 1\n[limits.x]\n{lines}");
        let policy = read(&source, &|_| None).map_err(|report| report.to_string())?;
        let stores = policy.model().limits[0].stores;
        Ok((stores.edge, stores.origin))
    }

    #[test]
    fn a_limit_that_a_binding_can_count_may_be_counted_by_it() {
        let in_colo = Ok((EdgeStore::Colo, OriginStore::Local));
        assert_eq!(read_limit("limit = \"5 per 10s\"\nstore = \"colo\""), in_colo);
        assert_eq!(read_limit("limit = \"5 per 1m\"\nstore = { edge = \"colo\" }"), in_colo);
    }

    #[test]
    fn what_no_binding_can_count_is_refused_at_its_place() {
        for lines in [
            "limit = \"5 per 30s\"\nstore = \"colo\"",
            "limit = \"5 per 10s\"\nstore = \"colo\"\nalgorithm = \"sliding-window\"",
            "limit = \"5 per 60s\"\nstore = \"colo\"\nalgorithm = \"gcra\"",
        ] {
            let report = read_limit(lines).unwrap_err();
            let message =
                "4:9: `colo` counts fixed windows of 10 s or 60 s, and `x` is no such limit";
            assert!(report.contains(message) && report.contains("= hint: write"), "{report}");
        }
        let both = "limit = \"5 per 10s\"\nstore = \"colo\"\n[limits.X]\nlimit = \"5 per 60s\"\nstore = \"colo\"";
        let report = read_limit(both).unwrap_err();
        assert!(report.contains("would both be bound as RATELIMIT_X"), "{report}");
    }
}
