//! The values of a policy file that are written as text.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::num::NonZeroU32;
use core::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::declare::words;
use super::decode::{Context, Decode, FromText};
use super::shape::Shape;
use super::spelling;
use crate::policy::{Listen, Malformed, Network, Pattern, Template, TrustedProxy, units};
use crate::rule::{ClientDirectives, Risk};

/// A time span such as `5m`, or the name of one from `[ttl]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ttl(pub(super) Duration);

/// `[ttl]`: named time spans. Reading it tells the context, so it is read before what may
/// name them.
#[derive(Debug, Default)]
pub(super) struct TtlClasses;

/// `100 per 60s`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) quota: NonZeroU32,
    pub(super) window: Duration,
}

/// A size such as `256MB`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes(pub(super) u64);

/// A number from 1 on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub(super) NonZeroU32);

/// A host without port, in lower case.
#[derive(Clone, Debug)]
pub(super) struct HostName(pub(super) String);

/// A name that logs and header fields can carry.
#[derive(Clone, Debug)]
pub(super) struct Name(pub(super) String);

words!(ClientDirectives, "choice", { "honour" => Self::Honour, "ignore" => Self::Ignore });
words!(Risk, "danger that could be ignored", {
    "no-store" => Self::NoStore,
    "private" => Self::Private,
    "set-cookie" => Self::SetCookie,
    "authorization" => Self::Authorization,
});

impl Decode for Ttl {
    fn shape() -> Shape {
        Shape::Text("a time like `90s`, `5m`, `1h30m`, `1d` or `1y`, or a name from `[ttl]`")
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let text = context.text(value)?;
        if let Some(class) = context.ttl_classes.get(&text) {
            return class.map(Self);
        }
        match units::duration(&text) {
            Ok(span) => Some(Self(span)),
            Err(bad) => {
                let classes = context.ttl_classes.keys().map(String::as_str);
                let meant = spelling::nearest(&text, classes);
                let hint = meant.map(|meant| format!("did you mean `{meant}`?"));
                context.report(value.span(), bad.message, hint.unwrap_or(bad.hint));
                None
            }
        }
    }
}

impl Decode for TtlClasses {
    fn shape() -> Shape {
        Shape::Named(alloc::boxed::Box::new(Shape::Text("a time like `60s`")))
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let table = context.table(value, "named times")?;
        let mut classes = BTreeMap::new();
        for (name, span) in table {
            if name.get_ref().starts_with(|c: char| c.is_ascii_digit()) {
                let message = format!("`{}` would be taken for a time", name.get_ref());
                context.report(name.span(), message, "start the name with a letter");
            } else if let Err(bad) = check_name(name.get_ref()) {
                context.report(name.span(), bad.message, bad.hint);
            }
            // No class is known yet, so that none can be named by another.
            let span = Ttl::decode(span, context).map(|Ttl(span)| span);
            classes.insert(name.get_ref().to_string(), span);
        }
        context.ttl_classes = classes;
        Some(Self)
    }
}

impl FromText for Rate {
    fn shape() -> Shape {
        Shape::Text("a number of requests in a time, like `100 per 60s`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        units::rate(text).map(|(quota, window)| Self { quota, window })
    }
}

impl FromText for Bytes {
    fn shape() -> Shape {
        Shape::Text("a size like `64kB`, `256MB` or `1GiB`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        units::bytes(text).map(Self)
    }
}

impl Decode for Count {
    fn shape() -> Shape {
        Shape::Number
    }

    fn decode(value: &Spanned<DeValue<'_>>, context: &mut Context<'_>) -> Option<Self> {
        let number = NonZeroU32::new(u32::decode(value, context)?);
        if number.is_none() {
            context.report(value.span(), "0 is not enough", "write a number from 1 on");
        }
        number.map(Self)
    }
}

impl FromText for Pattern {
    fn shape() -> Shape {
        Shape::Text("a path pattern like `/plugins/*`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl FromText for Template {
    fn shape() -> Shape {
        Shape::Text("a name with places to fill in, like `team:{id}:plugins:{user}`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl FromText for Network {
    fn shape() -> Shape {
        Shape::Text("an address or a block of them, like `10.0.0.0/8`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl FromText for Listen {
    fn shape() -> Shape {
        Shape::Text("a place to listen at, like `127.0.0.1:8080` or `https://[::]:443`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl FromText for TrustedProxy {
    fn shape() -> Shape {
        Shape::Text("an address or a block of them, like `10.0.0.0/8`, or `unix:`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl FromText for HostName {
    fn shape() -> Shape {
        Shape::Text("a host like `www.example.com`")
    }

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
    fn shape() -> Shape {
        Shape::Text("a name of up to 64 letters, digits, `-`, `_` and `.`")
    }

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
