//! What browsers, and the caches between, are told.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::Spanned;
use toml::de::DeValue;

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText};
use super::shape::Shape;
use super::spelling;
use super::values::Ttl;
use crate::policy::{BrowserRule, Malformed};

/// `browser = "1d"`, `browser = "private-short"`, or a table.
#[derive(Debug)]
pub(super) struct BrowserSection(pub(super) BrowserRule);

section! {
    /// What browsers, and the caches between, are told.
    struct BrowserTable, "`browser`" {
        /// For how long browsers may keep the answer: `max-age`.
        required ttl: Ttl,
        /// Who may keep it: `public` (the default), every cache; `private`, the browser alone.
        optional scope: Scope,
        /// Whether it never changes, so that browsers do not even ask on reload.
        default immutable: bool,
        /// For how long shared caches may keep it: `s-maxage`. It takes the stale windows of
        /// caches that follow RFC 9111 to the letter away.
        optional shared: Ttl,
        /// For how long CDN caches may keep it: the field `CDN-Cache-Control`, which the shim
        /// writes.
        optional cdn: Ttl,
        /// For how long surrogates may keep it: the field `Surrogate-Control`, likewise.
        optional surrogate: Ttl,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Public,
    Private,
}

words!(Scope, "scope", { "public" => Self::Public, "private" => Self::Private });

/// A day at the CDN, an hour in other shared caches, ten minutes in browsers (C6).
const TIERED: &str = "public, s-maxage=3600, max-age=600";
const TIERED_CDN: &str = "max-age=86400";

/// What C5 and C7 call for, by name; and `no-cache`, for pages that name such files.
const PRESETS: [(&str, &str); 9] = [
    ("no-cache", "no-cache"),
    ("no-store", "no-store, no-cache, must-revalidate"),
    ("private-short", "private, max-age=60"),
    ("private-medium", "private, max-age=300"),
    ("public-medium", "public, max-age=300"),
    ("public-long", "public, max-age=600"),
    ("public-hour", "public, max-age=3600"),
    ("immutable", "public, max-age=31536000, immutable"),
    ("tiered", TIERED),
];

/// The same as words, with the times that may stand in their place.
const SHORT_FORM: &str = "a preset (`no-cache`, `no-store`, `private-short`, `private-medium`, `public-medium`, \
`public-long`, `public-hour`, `immutable`, `tiered`), or a time like `1d` for `public, max-age=86400`";

impl Decode for BrowserSection {
    fn shape() -> Shape {
        Shape::Either(Vec::from([Shape::Text(SHORT_FORM), BrowserTable::shape()]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        if value.get_ref().is_str() {
            return short_form(value, context).map(Self);
        }
        let BrowserTable { ttl: Ttl(ttl), scope, immutable, shared, cdn, surrogate } =
            BrowserTable::decode(value, context)?;
        let scope = scope.unwrap_or(Scope::Public);
        if scope == Scope::Private && (shared.is_some() || cdn.is_some() || surrogate.is_some()) {
            context.report(
                value.span(),
                "what is private to one browser cannot be kept by shared caches",
                "leave out `shared`, `cdn` and `surrogate`, or `scope = \"private\"`",
            );
        }
        let mut cache_control = String::from(match scope {
            Scope::Public => "public",
            Scope::Private => "private",
        });
        if let Some(Ttl(shared)) = shared {
            cache_control.push_str(&format!(", s-maxage={}", shared.as_secs()));
        }
        cache_control.push_str(&format!(", max-age={}", ttl.as_secs()));
        if immutable {
            cache_control.push_str(", immutable");
        }
        let max_age = |ttl: Option<Ttl>| ttl.map(|Ttl(ttl)| format!("max-age={}", ttl.as_secs()));
        Some(Self(BrowserRule { cache_control, cdn: max_age(cdn), surrogate: max_age(surrogate) }))
    }
}

fn short_form(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<BrowserRule> {
    let text = context.text(value)?;
    if let Some((name, cache_control)) = PRESETS.iter().find(|(name, _)| *name == text) {
        let targeted = (*name == "tiered").then(|| TIERED_CDN.to_string());
        return Some(BrowserRule {
            cache_control: cache_control.to_string(),
            cdn: targeted.clone(),
            surrogate: targeted,
        });
    }
    let is_time = text.starts_with(|c: char| c.is_ascii_digit());
    if is_time || context.ttl_classes.contains_key(&text) {
        let Ttl(ttl) = Ttl::decode(value, context)?;
        let cache_control = format!("public, max-age={}", ttl.as_secs());
        return Some(BrowserRule { cache_control, cdn: None, surrogate: None });
    }
    let classes: Vec<String> = context.ttl_classes.keys().cloned().collect();
    let known = PRESETS.iter().map(|(name, _)| *name).chain(classes.iter().map(String::as_str));
    let hint = spelling::hint(&text, known);
    context.report(value.span(), format!("`{text}` is no preset and no duration"), hint);
    None
}
