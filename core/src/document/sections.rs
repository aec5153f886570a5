//! The sections of a policy file: what may be written, before references are followed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::decode::{Context, Decode, Each, FromText, Located, Named, section, words};
use super::spelling;
use crate::key::QueryRule;
use crate::policy::units;
use crate::policy::{Malformed, Network, Pattern, Template};
use crate::rate::{Algorithm, KeyPart};
use crate::rule::{ClientDirectives, Mode, Risk};

section! {
    /// The whole file.
    struct Document, "the policy" {
        required schema: Located<u32>,
        optional shim: ShimSection,
        optional identity: IdentitySection,
        default upstreams: Named<UpstreamSection>,
        default limits: Named<LimitSection>,
        default routes: Each<Located<RouteSection>>,
    }
    lenient
}

section! {
    /// `[shim]`
    struct ShimSection, "`[shim]`" {
        optional listen: Address,
        default trusted_proxies: Vec<Network>,
    }
}

section! {
    /// `[identity]`
    struct IdentitySection, "`[identity]`" {
        optional credential: FieldName,
        optional trusted_header: FieldName,
    }
}

section! {
    /// `[upstreams.NAME]`
    struct UpstreamSection, "an upstream" {
        required servers: Located<Vec<Address>>,
    }
}

section! {
    /// `[limits.NAME]`
    struct LimitSection, "a limit" {
        required limit: Rate,
        optional block: Ttl,
        optional algorithm: Algorithm,
        default key: Vec<KeyPart>,
    }
}

section! {
    /// `[[routes]]`
    struct RouteSection, "a route" {
        required name: Located<Name>,
        required pattern as "match": Located<Pattern>,
        default hosts as "host": Vec<HostName>,
        optional upstream: Located<String>,
        default limits as "limit": Vec<Located<String>>,
        optional key: Located<KeySection>,
        optional edge: Located<CacheSection>,
        optional origin: Located<CacheSection>,
        optional browser: BrowserSection,
    }
    lenient
}

/// `key = "team:{id}"`, or a table.
#[derive(Debug, Default)]
pub(super) struct KeySection {
    pub(super) name: Option<Template>,
    pub(super) query: Option<QueryRule>,
    pub(super) sort_query: bool,
    pub(super) headers: Vec<FieldName>,
    pub(super) identity: bool,
}

section! {
    struct KeyTable, "`key`" {
        optional name: Template,
        optional query: QueryRule,
        default sort_query: bool,
        default headers: Vec<FieldName>,
        default identity: bool,
    }
}

/// `edge = "bypass"`, or a table.
#[derive(Debug)]
pub(super) enum CacheSection {
    Bypass,
    Cache(CacheTable),
}

section! {
    struct CacheTable, "a cache rule" {
        required mode: ModeWord,
        optional ttl: Ttl,
        optional stale_while_revalidate: Ttl,
        optional stale_if_error: Ttl,
        optional client_directives: ClientDirectives,
        default unsafe_ignore: Vec<Risk>,
    }
}

/// `bypass` may be written as a mode as well.
#[derive(Clone, Copy, Debug)]
pub(super) enum ModeWord {
    Bypass,
    Cache(Mode),
}

/// `browser = "1d"`, `browser = "private-short"`, or a table.
#[derive(Debug)]
pub(super) struct BrowserSection {
    pub(super) cache_control: String,
}

/// The short form: a preset or a duration.
#[derive(Debug)]
struct BrowserText(String);

section! {
    struct BrowserTable, "`browser`" {
        required ttl: Ttl,
        optional scope: Scope,
        default immutable: bool,
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Scope {
    Public,
    Private,
}

/// A time span such as `5m`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ttl(pub(super) Duration);

/// `100 per 60s`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) quota: NonZeroU32,
    pub(super) window: Duration,
}

/// `host:port`.
#[derive(Clone, Debug)]
pub(super) struct Address(pub(super) String);

/// The name of a header field, in lower case.
#[derive(Clone, Debug)]
pub(super) struct FieldName(pub(super) String);

/// A host without port, in lower case.
#[derive(Clone, Debug)]
pub(super) struct HostName(pub(super) String);

/// A name that logs and header fields can carry.
#[derive(Clone, Debug)]
pub(super) struct Name(pub(super) String);

words!(ModeWord, "mode", {
    "bypass" => Self::Bypass,
    "respect" => Self::Cache(Mode::Respect),
    "default" => Self::Cache(Mode::Default),
    "override" => Self::Cache(Mode::Override),
});
words!(ClientDirectives, "choice", { "honour" => Self::Honour, "ignore" => Self::Ignore });
words!(Risk, "danger that could be ignored", {
    "no-store" => Self::NoStore,
    "private" => Self::Private,
    "set-cookie" => Self::SetCookie,
    "authorization" => Self::Authorization,
});
words!(Algorithm, "algorithm", { "fixed-window" => Self::FixedWindow });
words!(KeyPart, "thing to count by", {
    "identity" => Self::Identity,
    "client-ip" => Self::ClientIp,
    "anonymous" => Self::Anonymous,
});
words!(Scope, "scope", { "public" => Self::Public, "private" => Self::Private });

impl FromText for Ttl {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        units::duration(text).map(Self)
    }
}

impl FromText for Rate {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        units::rate(text).map(|(quota, window)| Self { quota, window })
    }
}

impl FromText for Pattern {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl FromText for Template {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl FromText for Network {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl FromText for Address {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        let bad = || {
            Malformed::new(
                format!("`{text}` is no address with a port"),
                "write `127.0.0.1:4000`, `[::1]:4000` or `name:4000`, without a scheme",
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        port.parse::<u16>().map_err(|_| bad())?;
        crate::host::Host::parse(host, crate::host::Scheme::Http).map_err(|_| bad())?;
        Ok(Self(text.into()))
    }
}

impl FromText for FieldName {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        match !text.is_empty() && text.bytes().all(crate::headers::list::is_token_byte) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(Malformed::new(
                format!("`{text}` is no header field"),
                "write a name like `authorization`",
            )),
        }
    }
}

impl FromText for HostName {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        match crate::host::Host::parse(text, crate::host::Scheme::Https) {
            Ok(host) if host.name() == host.as_str() => Ok(Self(host.as_str().into())),
            _ => Err(Malformed::new(
                format!("`{text}` is no host"),
                "write a name like `www.example.com`, without scheme and port",
            )),
        }
    }
}

impl FromText for Name {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        check_name(text).map(|()| Self(text.into()))
    }
}

/// Names travel in header fields and logs.
pub(super) fn check_name(text: &str) -> Result<(), Malformed> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    match (1..=64).contains(&text.len()) && text.bytes().all(fits) {
        true => Ok(()),
        false => Err(Malformed::new(
            format!("`{text}` is no name"),
            "use up to 64 letters, digits, `-`, `_` and `.`",
        )),
    }
}

impl Decode for QueryRule {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        section! {
            struct QueryTable, "`query`" {
                optional only: Vec<String>,
                optional except: Vec<String>,
            }
        }
        match value.get_ref().as_str() {
            Some("all") => Some(Self::All),
            Some("none") => Some(Self::None),
            Some(word) => {
                let hint = spelling::hint(word, ["all", "none"].into_iter());
                context.report(
                    value.span(),
                    format!("`{word}` is no choice of query parameters"),
                    hint,
                );
                None
            }
            None => match QueryTable::decode(value, context)? {
                QueryTable { only: Some(names), except: None } => Some(Self::Only(names)),
                QueryTable { only: None, except: Some(names) } => Some(Self::Except(names)),
                _ => {
                    context.report(
                        value.span(),
                        "`query` takes either `only` or `except`",
                        "write `\"all\"`, `\"none\"`, `{ only = [\"page\"] }` or `{ except = [\"utm_source\"] }`",
                    );
                    None
                }
            },
        }
    }
}

impl Decode for KeySection {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            return Template::decode(value, context)
                .map(|name| Self { name: Some(name), ..Self::default() });
        }
        let KeyTable { name, query, sort_query, headers, identity } =
            KeyTable::decode(value, context)?;
        Some(Self { name, query, sort_query, headers, identity })
    }
}

impl Decode for CacheSection {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        if !value.get_ref().is_str() {
            let table = CacheTable::decode(value, context)?;
            return Some(match table.mode {
                ModeWord::Bypass => Self::Bypass,
                ModeWord::Cache(_) => Self::Cache(table),
            });
        }
        Some(match ModeWord::decode(value, context)? {
            ModeWord::Bypass => Self::Bypass,
            mode => Self::Cache(CacheTable {
                mode,
                ttl: None,
                stale_while_revalidate: None,
                stale_if_error: None,
                client_directives: None,
                unsafe_ignore: Vec::new(),
            }),
        })
    }
}

/// What C5 and C7 call for, by name.
const BROWSER_PRESETS: [(&str, &str); 7] = [
    ("no-store", "no-store, no-cache, must-revalidate"),
    ("private-short", "private, max-age=60"),
    ("private-medium", "private, max-age=300"),
    ("public-medium", "public, max-age=300"),
    ("public-long", "public, max-age=600"),
    ("public-hour", "public, max-age=3600"),
    ("immutable", "public, max-age=31536000, immutable"),
];

impl FromText for BrowserText {
    fn from_text(text: &str) -> Result<Self, Malformed> {
        if let Some((_, cache_control)) = BROWSER_PRESETS.iter().find(|(name, _)| *name == text) {
            return Ok(Self(String::from(*cache_control)));
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let Ttl(ttl) = Ttl::from_text(text)?;
            return Ok(Self(format!("public, max-age={}", ttl.as_secs())));
        }
        let hint = spelling::hint(text, BROWSER_PRESETS.iter().map(|(name, _)| *name));
        Err(Malformed::new(format!("`{text}` is no preset and no duration"), hint))
    }
}

impl Decode for BrowserSection {
    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            let BrowserText(cache_control) = BrowserText::decode(value, context)?;
            return Some(Self { cache_control });
        }
        let BrowserTable { ttl: Ttl(ttl), scope, immutable } =
            BrowserTable::decode(value, context)?;
        let scope = match scope.unwrap_or(Scope::Public) {
            Scope::Public => "public",
            Scope::Private => "private",
        };
        let immutable = if immutable { ", immutable" } else { "" };
        Some(Self { cache_control: format!("{scope}, max-age={}{immutable}", ttl.as_secs()) })
    }
}
