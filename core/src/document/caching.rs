//! What tells answers apart, and how one tier keeps them.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText};
use super::fields::{CookieName, FieldName};
use super::shape::Shape;
use super::spelling;
use super::values::Ttl;
use crate::key::QueryRule;
use crate::policy::{Malformed, Template};
use crate::rule::{ClientDirectives, Mode, Risk};
use crate::status_ttl::{StatusTtl, StatusTtls, Statuses};

/// `key = "team:{id}"`, or a table.
#[derive(Debug, Default)]
pub(super) struct KeySection {
    pub(super) name: Option<Template>,
    pub(super) query: Option<QueryRule>,
    pub(super) sort_query: bool,
    pub(super) headers: Vec<FieldName>,
    pub(super) cookies: Vec<CookieName>,
    pub(super) device: bool,
    pub(super) identity: bool,
}

section! {
    /// What tells one answer from another, besides scheme, host and path.
    struct KeyTable, "`key`" {
        /// The key as people read it, in logs, `explain` and Cache-Status. `{user}` in it puts
        /// who asks into the key; other places are parameters of the pattern.
        optional name: Template,
        /// Which parameters of the query count: `"all"` (the default), `"none"`,
        /// `{ only = ["page"] }` or `{ except = ["utm_source"] }`.
        optional query: QueryRule,
        /// Whether parameters in another order are the same query.
        default sort_query: bool,
        /// Request fields that count, with all their values.
        default headers: Vec<FieldName>,
        /// Cookies that count; all others do not.
        default cookies: Vec<CookieName>,
        /// Whether the kind of device counts, in the first of these classes that fits, by
        /// User-Agent: bot (`bot`, `crawl`, `spider`, `slurp`), tablet (`ipad`, `tablet`, or
        /// `android` without `mobile`), mobile (`mobi`, `iphone`, or Sec-CH-UA-Mobile: ?1),
        /// desktop.
        default device: bool,
        /// Whether who asks counts: the identity, or the credential where nobody checked it.
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
    /// How one tier keeps the answers of a route.
    struct CacheTable, "a cache rule" {
        /// Whose word counts for how long an answer is fresh: `respect` (the origin's, by RFC
        /// 9111), `default` (the origin's where it says something, else ours), `override` (ours)
        /// or `bypass` (nothing is kept). Nothing overrides `no-store`, `private`, `Set-Cookie`,
        /// or an `Authorization` that is not in the key.
        required mode: ModeWord,
        /// For how long an answer is fresh by our word; on 404, 405, 410, 414 and 501 for a
        /// minute at most, and on other errors and temporary redirects not at all.
        optional ttl: Ttl,
        /// Times for single statuses or classes of them, in place of that:
        /// `{ 404 = "1m", 302 = "10s", 5xx = "0s" }`. `0s` keeps no such answer by our word.
        default status_ttl: StatusTable,
        /// For how long a stale answer serves while it is refreshed in the background. Void where
        /// the origin says `must-revalidate` or `s-maxage`.
        optional stale_while_revalidate: Ttl,
        /// For how long a stale answer serves when the origin fails; likewise.
        optional stale_if_error: Ttl,
        /// Whether the Cache-Control of requests counts: `honour` (the default under `respect`)
        /// or `ignore` (the default otherwise, since `no-cache` from anyone opens the shield).
        optional client_directives: ClientDirectives,
        /// Dangers that this rule takes knowingly. `tidegate check` warns of each.
        default unsafe_ignore: Vec<Risk>,
    }
}

/// `status_ttl`.
#[derive(Debug, Default)]
pub(super) struct StatusTable(pub(super) StatusTtls);

/// `bypass` may be written as a mode as well.
#[derive(Clone, Copy, Debug)]
pub(super) enum ModeWord {
    Bypass,
    Cache(Mode),
}

words!(ModeWord, "mode", {
    "bypass" => Self::Bypass,
    "respect" => Self::Cache(Mode::Respect),
    "default" => Self::Cache(Mode::Default),
    "override" => Self::Cache(Mode::Override),
});

section! {
    /// Some parameters of a query.
    struct QueryTable, "`query`" {
        /// These alone count.
        optional only: Vec<alloc::string::String>,
        /// All but these count.
        optional except: Vec<alloc::string::String>,
    }
}

impl Decode for QueryRule {
    fn shape() -> Shape {
        Shape::Either(Vec::from([Shape::Words(&["all", "none"]), QueryTable::shape()]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
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
    fn shape() -> Shape {
        Shape::Either(Vec::from([<Template as FromText>::shape(), KeyTable::shape()]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            return Template::decode(value, context)
                .map(|name| Self { name: Some(name), ..Self::default() });
        }
        let KeyTable { name, query, sort_query, headers, cookies, device, identity } =
            KeyTable::decode(value, context)?;
        Some(Self { name, query, sort_query, headers, cookies, device, identity })
    }
}

impl Decode for CacheSection {
    fn shape() -> Shape {
        Shape::Either(Vec::from([Shape::Words(&["bypass", "respect"]), CacheTable::shape()]))
    }

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
                status_ttl: StatusTable::default(),
                stale_while_revalidate: None,
                stale_if_error: None,
                client_directives: None,
                unsafe_ignore: Vec::new(),
            }),
        })
    }
}

impl Decode for StatusTable {
    fn shape() -> Shape {
        Shape::Named(alloc::boxed::Box::new(Ttl::shape()))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let table = context.table(value, "times by status")?;
        let mut ttls = Vec::new();
        for (key, value) in table {
            let ttl = Ttl::decode(value, context).map_or(Duration::ZERO, |Ttl(ttl)| ttl);
            match Statuses::parse(key.get_ref()) {
                Ok(status) => ttls.push(StatusTtl { status, ttl }),
                Err(Malformed { message, hint }) => context.report(key.span(), message, hint),
            }
        }
        Some(Self(StatusTtls::new(ttls)))
    }
}
