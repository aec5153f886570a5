//! What a policy says that is allowed and probably not meant.

/// A kind of warning. Codes are stable: a number never comes to mean something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lint {
    /// `unsafe_ignore` is used.
    UnsafeIgnore,
    /// Shared caches are told to keep what is for some clients alone.
    PublicPersonal,
    /// The query's order tells entries at the edge apart.
    UnsortedQuery,
    /// The edge has nothing to serve when the origin fails.
    NoStaleIfError,
    /// Stale windows at the edge that `s-maxage` makes void.
    VoidStaleWindows,
    /// A request field with thousands of values in the key.
    WideHeader,
    /// An Authorization that the key does not hold beside an identity that it does.
    UnkeyedAuthorization,
    /// Query parameters that authorise are left out of the key.
    IgnoredAuthority,
    /// Tags on answers that the edge keeps too.
    TagsAtEdge,
    /// Caching at the edge on workers.dev.
    WorkersDev,
    /// What the origin forbids to serve stale is served stale.
    StaleWhileOpen,
    /// A limit by identity alone.
    IdentityAlone,
    /// A limit that one counter at the edge cannot count.
    TooQuick,
    /// A limit by what clients say of themselves, and none beside it.
    OwnWord,
    /// A block that each isolate knows by itself.
    BlockInColo,
    /// `wrangler.toml` does not bind what limits need.
    Bindings,
    /// A header names the user, but nobody may write it.
    NobodyTrusted,
    /// Everybody may name the client.
    EverybodyTrusted,
    /// Answers for one person are compressed.
    PersonalCompressed,
    /// Certificates that no listener shows.
    PlainText,
    /// Something is defined that nothing refers to.
    Unused,
    /// A level that takes a core for seconds.
    SlowCompression,
    /// A folder of files that is not there.
    NoFolder,
}

impl Lint {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 23] = [
        Self::UnsafeIgnore,
        Self::PublicPersonal,
        Self::UnsortedQuery,
        Self::NoStaleIfError,
        Self::VoidStaleWindows,
        Self::WideHeader,
        Self::UnkeyedAuthorization,
        Self::IgnoredAuthority,
        Self::TagsAtEdge,
        Self::WorkersDev,
        Self::StaleWhileOpen,
        Self::IdentityAlone,
        Self::TooQuick,
        Self::OwnWord,
        Self::BlockInColo,
        Self::Bindings,
        Self::NobodyTrusted,
        Self::EverybodyTrusted,
        Self::PersonalCompressed,
        Self::PlainText,
        Self::Unused,
        Self::SlowCompression,
        Self::NoFolder,
    ];

    /// The code: TG1 for caching, TG2 for limits, TG3 for trust, TG4 for the rest.
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnsafeIgnore => "TG101",
            Self::PublicPersonal => "TG102",
            Self::UnsortedQuery => "TG103",
            Self::NoStaleIfError => "TG104",
            Self::VoidStaleWindows => "TG105",
            Self::WideHeader => "TG106",
            Self::UnkeyedAuthorization => "TG107",
            Self::IgnoredAuthority => "TG108",
            Self::TagsAtEdge => "TG109",
            Self::WorkersDev => "TG110",
            Self::StaleWhileOpen => "TG111",
            Self::IdentityAlone => "TG201",
            Self::TooQuick => "TG202",
            Self::OwnWord => "TG203",
            Self::BlockInColo => "TG204",
            Self::Bindings => "TG205",
            Self::NobodyTrusted => "TG301",
            Self::EverybodyTrusted => "TG302",
            Self::PersonalCompressed => "TG303",
            Self::PlainText => "TG304",
            Self::Unused => "TG401",
            Self::SlowCompression => "TG402",
            Self::NoFolder => "TG403",
        }
    }

    /// Why it is warned of, in a sentence.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::UnsafeIgnore => {
                "`unsafe_ignore` hands what the origin protects to everybody who asks."
            }
            Self::PublicPersonal => {
                "`browser` tells every cache on the way to keep an answer that is for one identity or cookie, which those caches do not have in their keys."
            }
            Self::UnsortedQuery => {
                "The same parameters in another order are another entry at the edge, so anyone can fill it and reach the origin at will."
            }
            Self::NoStaleIfError => {
                "When the origin fails, every client sees its errors although a copy lies at the edge."
            }
            Self::VoidStaleWindows => {
                "The shim's `s-maxage` forbids the edge to serve stale answers (RFC 9111 §5.2.2.10), so the windows of its rule never open."
            }
            Self::WideHeader => {
                "A field that differs from client to client in the key leaves next to nothing to share."
            }
            Self::UnkeyedAuthorization => {
                "The identity in the key comes from another field, so that answers to an `Authorization` may meet clients without it."
            }
            Self::IgnoredAuthority => {
                "Parameters that authorise, and are not in the key, hand the answer to whoever lacks them."
            }
            Self::TagsAtEdge => {
                "An invalidation reaches one data centre of the edge: elsewhere copies stay until their time is up."
            }
            Self::WorkersDev => "The Cache API keeps nothing on workers.dev.",
            Self::StaleWhileOpen => {
                "While the breaker is open, clients get answers that the origin wants nobody to get unconfirmed."
            }
            Self::IdentityAlone => {
                "Everybody whom nobody knows shares one quota, so that one of them can use it up for all."
            }
            Self::TooQuick => {
                "One client is counted by one Durable Object, which takes about 1,000 requests a second."
            }
            Self::OwnWord => {
                "A client that sends a new value with each request never meets its limit."
            }
            Self::BlockInColo => {
                "Cloudflare's binding knows no blocks: another isolate lets the client in again as soon as its window is over."
            }
            Self::Bindings => {
                "The worker counts a limit in `colo` by what `wrangler.toml` binds: without it by `on_store_error`, and with other numbers by those."
            }
            Self::NobodyTrusted => {
                "`trusted_header` counts only from `trusted_proxies`, of which there are none."
            }
            Self::EverybodyTrusted => {
                "Whoever may name the client can be anyone, for limits and for `trusted_header`."
            }
            Self::PersonalCompressed => {
                "Whoever can make a browser ask, and sees how long the answers are, reads secrets in them that stand beside what was asked (BREACH)."
            }
            Self::PlainText => {
                "There are certificates, but no listener begins with `https://`: all of them speak plain HTTP."
            }
            Self::Unused => "Nothing refers to it.",
            Self::NoFolder => "Until it is there, its routes are answered with 502.",
            Self::SlowCompression => {
                "At this level a megabyte takes a core about a second, time and again for what no cache keeps."
            }
        }
    }
}
