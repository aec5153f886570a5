//! Header fields in a policy file: their names, and those that answers leave with.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use toml::Spanned;
use toml::de::DeValue;

use super::decode::{Context, Decode, FromText};
use super::shape::Shape;
use crate::forward;
use crate::policy::Malformed;

/// The name of a header field, in lower case.
#[derive(Clone, Debug)]
pub(super) struct FieldName(pub(super) String);

/// The name of a cookie.
#[derive(Clone, Debug)]
pub(super) struct CookieName(pub(super) String);

/// Fields that answers leave with, by lower-case name.
#[derive(Debug, Default)]
pub(super) struct AnswerFields(pub(super) BTreeMap<String, String>);

/// What says how an answer may be cached, by whom and for whom: other words of the policy see
/// to these, and an answer that contradicts them would be a danger.
const RULED_ELSEWHERE: [&str; 21] = [
    "age",
    "cache-control",
    "cache-status",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "pragma",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "set-cookie",
    "surrogate-control",
    "vary",
    "x-cache",
];

impl FromText for FieldName {
    fn shape() -> Shape {
        Shape::Text("the name of a header field, like `authorization`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        match is_token(text) {
            true => Ok(Self(text.to_ascii_lowercase())),
            false => Err(Malformed::new(
                format!("`{text}` is no header field"),
                "write a name like `authorization`",
            )),
        }
    }
}

impl FromText for CookieName {
    fn shape() -> Shape {
        Shape::Text("the name of a cookie, like `session`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        match is_token(text) {
            true => Ok(Self(text.into())),
            false => Err(Malformed::new(
                format!("`{text}` is no name of a cookie"),
                "write its name alone, like `session`",
            )),
        }
    }
}

impl Decode for AnswerFields {
    fn shape() -> Shape {
        Shape::Named(alloc::boxed::Box::new(Shape::Text("the value of the field")))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let table = context.table(value, "header fields")?;
        let mut fields = BTreeMap::new();
        for (key, value) in table {
            let name = match FieldName::from_text(key.get_ref()) {
                Ok(FieldName(name)) => name,
                Err(bad) => {
                    context.report(key.span(), bad.message, bad.hint);
                    continue;
                }
            };
            if RULED_ELSEWHERE.contains(&&*name) || forward::is_hop_by_hop(&name) {
                context.report(
                    key.span(),
                    format!("`{name}` cannot be set here: it says what the answer is, or how it travels"),
                    "for caching, use `edge`, `origin` and `browser`; the rest is the origin's to say",
                );
                continue;
            }
            let Some(text) = context.text(value) else { continue };
            if text.is_empty() || !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
                context.report(
                    value.span(),
                    format!("`{}` is no value for `{name}`", text.escape_debug()),
                    "write printable ASCII characters on one line",
                );
                continue;
            }
            if fields.insert(name, text).is_some() {
                let message = format!("`{}` stands twice", key.get_ref());
                context.report(key.span(), message, "field names have no case: leave one out");
            }
        }
        Some(Self(fields))
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(crate::headers::list::is_token_byte)
}
