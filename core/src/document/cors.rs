//! Whose pages may read answers.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use toml::Spanned;
use toml::de::DeValue;

use super::declare::section;
use super::decode::{Context, Decode, FromText, Located};
use super::fields::FieldName;
use super::shape::Shape;
use super::values::Ttl;
use crate::cors::{CorsRule, SiteRange};
use crate::policy::Malformed;

section! {
    /// Which pages of other sites may read what the shim answers, and what they may ask (CORS). The
    /// shim answers what browsers ask beforehand (OPTIONS), and the origin's own words on it do not
    /// count. Without it, all is as the origin says.
    struct CorsSection, "`cors`" {
        /// Whose pages: `https://app.example.com`, all below a name as `https://*.example.com`, or
        /// `*` for everybody's.
        required origins: Located<Vec<Located<SiteRange>>>,
        /// What they may ask by, besides what forms can: `["PUT", "DELETE"]`.
        default methods: Vec<RequestMethod>,
        /// The request fields that they may set: `["authorization", "content-type"]`.
        default request_fields as "headers": Vec<FieldName>,
        /// The fields of answers that they may read, besides those that all may.
        default exposed as "expose": Vec<FieldName>,
        /// Whether cookies go along. Not with `*`: browsers refuse that.
        default credentials: Located<bool>,
        /// How long a browser remembers that it may.
        optional max_age: Ttl,
    }
}

/// `cors = false`, or a table.
#[derive(Debug)]
pub(super) enum RouteCors {
    /// As the origin says.
    Off,
    /// In place of the policy's.
    Table(CorsSection),
}

/// The name of a method.
#[derive(Debug)]
pub(super) struct RequestMethod(String);

impl Decode for RouteCors {
    fn shape() -> Shape {
        Shape::Either(Vec::from([Shape::Flag, CorsSection::shape()]))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        match value.get_ref().as_bool() {
            Some(false) => Some(Self::Off),
            _ => CorsSection::decode(value, context).map(Self::Table),
        }
    }
}

impl FromText for SiteRange {
    fn shape() -> Shape {
        Shape::Text("a site, like `https://app.example.com` or `https://*.example.com`, or `*`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        Self::parse(text).ok_or_else(|| {
            Malformed::new(
                format!("`{text}` is no site"),
                "write it as browsers do: scheme and host in lower case, a port only where it is \
                 not the usual one, nothing behind it",
            )
        })
    }
}

impl FromText for RequestMethod {
    fn shape() -> Shape {
        Shape::Text("the name of a method, like `PUT`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        let is_name = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        is_name.then(|| Self(text.into())).ok_or_else(|| {
            Malformed::new(format!("`{text}` is no method"), "write it in capitals, like `PUT`")
        })
    }
}

/// What a section says.
pub(super) fn resolve(section: CorsSection, context: &mut Context<'_>) -> CorsRule {
    let CorsSection { origins, methods, request_fields, exposed, credentials, max_age } = section;
    if origins.value.is_empty() {
        let hint = "name at least one site; without `cors`, all is as the origin says";
        context.report(origins.span, "no page may read anything", hint);
    }
    let all = origins.value.iter().find(|site| site.value.is_all());
    if let Some(all) = all.filter(|_| credentials.value) {
        let hint = "name the sites whose pages may use the cookies of your users";
        context.report(all.span.clone(), "everybody's pages cannot have credentials", hint);
    }
    CorsRule {
        origins: origins.value.into_iter().map(|site| site.value).collect(),
        methods: methods.into_iter().map(|method| method.0).collect(),
        request_fields: request_fields.into_iter().map(|name| name.0).collect(),
        exposed: exposed.into_iter().map(|name| name.0).collect(),
        credentials: credentials.value,
        max_age: max_age.map(|ttl| ttl.0.as_secs()),
    }
}
