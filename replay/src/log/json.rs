//! Logs with a JSON object in each line: those of nginx, Caddy and Cloudflare's Logpush.
//!
//! Text is borrowed from the line where it has no escapes. What is not looked at is skipped.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tidegate_core::time::rfc3339;
use tidegate_core::{Scheme, Timestamp};

use super::clf::absolute;
use super::format::Format;
use super::time;
use super::unreadable::Why;
use crate::asked::{Asked, Field};

/// What a member of the object is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// When the request came, or when its line was written: [`Format::Cloudflare`] says the former.
    Time,
    Client,
    User,
    Method,
    Scheme,
    Host,
    Target,
    /// `GET / HTTP/1.1`
    RequestLine,
    Status,
    Bytes,
    /// Seconds.
    Took,
    /// When the answer ended, where [`Self::Time`] is when the request came.
    Ended,
    /// The message of Caddy's log.
    Message,
    /// A field of the request, by this name.
    RequestField(&'static str),
    /// A field of the answer, by this name.
    AnswerField(&'static str),
    /// An object with the request in it.
    Request,
    /// An object with lists of the values of all request fields.
    RequestHead,
    /// An object with lists of the values of all fields of the answer.
    AnswerHead,
}

/// The members of nginx's variables, as guides and its own documentation name them.
fn of_nginx(name: &str) -> Option<Slot> {
    Some(match name {
        "time_iso8601" | "time_local" | "msec" | "time" | "timestamp" | "@timestamp" => Slot::Time,
        "remote_addr" | "client_ip" | "realip_remote_addr" => Slot::Client,
        "remote_user" => Slot::User,
        "request_method" | "method" => Slot::Method,
        "scheme" => Slot::Scheme,
        "host" | "http_host" => Slot::Host,
        "request_uri" => Slot::Target,
        "request" => Slot::RequestLine,
        "status" => Slot::Status,
        "body_bytes_sent" => Slot::Bytes,
        "request_time" => Slot::Took,
        "http_user_agent" => Slot::RequestField("user-agent"),
        "http_accept_encoding" => Slot::RequestField("accept-encoding"),
        "http_accept_language" => Slot::RequestField("accept-language"),
        "http_accept" => Slot::RequestField("accept"),
        "http_range" => Slot::RequestField("range"),
        "http_cache_control" => Slot::RequestField("cache-control"),
        "http_cookie" => Slot::RequestField("cookie"),
        "http_authorization" => Slot::RequestField("authorization"),
        "sent_http_cache_control" | "upstream_http_cache_control" => {
            Slot::AnswerField("cache-control")
        }
        "sent_http_expires" | "upstream_http_expires" => Slot::AnswerField("expires"),
        "sent_http_vary" | "upstream_http_vary" => Slot::AnswerField("vary"),
        "sent_http_set_cookie" | "upstream_http_set_cookie" => Slot::AnswerField("set-cookie"),
        "sent_http_etag" | "upstream_http_etag" => Slot::AnswerField("etag"),
        "sent_http_last_modified" | "upstream_http_last_modified" => {
            Slot::AnswerField("last-modified")
        }
        _ => return None,
    })
}

/// Caddy's members, at the top and within `request`.
fn of_caddy(name: &str) -> Option<Slot> {
    Some(match name {
        "ts" => Slot::Time,
        "msg" => Slot::Message,
        "request" => Slot::Request,
        "client_ip" | "remote_ip" => Slot::Client,
        "user_id" => Slot::User,
        "method" => Slot::Method,
        "host" => Slot::Host,
        "uri" => Slot::Target,
        "headers" => Slot::RequestHead,
        "status" => Slot::Status,
        "size" => Slot::Bytes,
        "duration" => Slot::Took,
        "resp_headers" => Slot::AnswerHead,
        _ => return None,
    })
}

/// The fields of the dataset `http_requests`.
fn of_cloudflare(name: &str) -> Option<Slot> {
    Some(match name {
        "EdgeStartTimestamp" => Slot::Time,
        "EdgeEndTimestamp" => Slot::Ended,
        "ClientIP" => Slot::Client,
        "ClientRequestMethod" => Slot::Method,
        "ClientRequestScheme" => Slot::Scheme,
        "ClientRequestHost" => Slot::Host,
        "ClientRequestURI" => Slot::Target,
        "ClientRequestUserAgent" => Slot::RequestField("user-agent"),
        "EdgeResponseStatus" => Slot::Status,
        "EdgeResponseBodyBytes" => Slot::Bytes,
        _ => return None,
    })
}

/// A value that is text or a number.
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(f64),
}

/// What a line says.
#[derive(Default)]
struct Found<'a> {
    time: Option<Timestamp>,
    ended: Option<Timestamp>,
    bad_time: bool,
    client: Option<IpAddr>,
    user: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    scheme: Option<Scheme>,
    host: Option<Cow<'a, str>>,
    target: Option<Cow<'a, str>>,
    line: Option<Cow<'a, str>>,
    status: Option<u16>,
    bytes: u64,
    took: Option<f64>,
    is_about_another: bool,
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    has_all_fields: bool,
    answer: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    has_answer: bool,
}

/// The format of a line that is a JSON object, by the names of its members.
pub(super) fn format_of(line: &[u8]) -> Option<Format> {
    let line = std::str::from_utf8(line).ok()?;
    let names = [
        (Format::Cloudflare, &["\"EdgeStartTimestamp\"", "\"ClientRequestURI\""][..]),
        (Format::Caddy, &["\"ts\"", "\"request\":{", "\"uri\""]),
        (Format::Caddy, &["\"ts\"", "\"request\": {", "\"uri\""]),
        (Format::Nginx, &["\"status\"", "\"request"]),
    ];
    let format = names.into_iter().find(|(_, names)| names.iter().all(|name| line.contains(name)));
    format.map(|(format, _)| format)
}

/// Reads one line.
pub(super) fn parse<T>(
    format: Format,
    line: &[u8],
    then: impl FnOnce(&Asked<'_>) -> T,
) -> Result<T, Why> {
    let mut found = Found::default();
    let slots = match format {
        Format::Caddy => of_caddy,
        Format::Cloudflare => of_cloudflare,
        _ => of_nginx,
    };
    let line = std::str::from_utf8(line).map_err(|_| Why::Utf8)?;
    let mut json = serde_json::Deserializer::from_str(line);
    let read = Object { slots, found: &mut found }.deserialize(&mut json);
    read.and_then(|()| json.end()).map_err(|_| Why::Json)?;
    found.read(format, then)
}

impl<'a> Found<'a> {
    fn read<T>(&self, format: Format, then: impl FnOnce(&Asked<'_>) -> T) -> Result<T, Why> {
        if self.is_about_another {
            return Err(Why::NotARequest);
        }
        let time = self.time.filter(|_| !self.bad_time).ok_or(Why::Time)?;
        let (method, target) = match (&self.method, &self.target, &self.line) {
            (Some(method), Some(target), _) => (&**method, &**target),
            (method, target, Some(line)) => {
                let mut words = line.split(' ');
                let (own, asked) = (words.next(), words.next());
                let method = method.as_deref().or(own).ok_or(Why::Request)?;
                (method, target.as_deref().or(asked).ok_or(Why::Request)?)
            }
            _ => return Err(Why::Request),
        };
        if method.is_empty() || target.is_empty() {
            return Err(Why::Request);
        }
        let status = self.status.filter(|s| (100..600).contains(s)).ok_or(Why::Status)?;
        let took = match (self.took, self.ended) {
            (Some(seconds), _) => Duration::try_from_secs_f64(seconds).ok(),
            (None, Some(ended)) => Some(ended.since(time)),
            (None, None) => None,
        };
        // The others write when the answer has gone.
        let at = match (format, took) {
            (Format::Cloudflare, _) | (_, None) => time,
            (_, Some(took)) => time.before(took),
        };
        let (absolute_scheme, absolute_host, target) = match absolute(target) {
            Some((scheme, host, target)) => (Some(scheme), Some(host), target),
            None => (None, None, target),
        };
        let fields: Vec<Field<'_>> = borrowed(&self.fields);
        let answer: Vec<Field<'_>> = borrowed(&self.answer);
        Ok(then(&Asked {
            at,
            took,
            client: self.client,
            user: self.user.as_deref(),
            method,
            scheme: absolute_scheme.or(self.scheme),
            host: absolute_host.or(self.host.as_deref()),
            target,
            fields: &fields,
            has_all_fields: self.has_all_fields,
            status,
            bytes: self.bytes,
            answer: self.has_answer.then_some(&answer),
        }))
    }

    fn take(&mut self, slot: Slot, value: Scalar<'a>) {
        match slot {
            Slot::Time => {
                let at = value.time();
                // Of several the one that is a time.
                self.bad_time = at.is_none() && self.time.is_none();
                self.time = self.time.or(at);
            }
            Slot::Ended => self.ended = value.time(),
            Slot::Client => {
                self.client = self.client.or(value.named().and_then(|t| t.parse().ok()))
            }
            Slot::User => self.user = value.named(),
            Slot::Method => self.method = value.named(),
            Slot::Scheme => {
                self.scheme = match value.named().as_deref() {
                    Some("http") => Some(Scheme::Http),
                    Some("https") => Some(Scheme::Https),
                    _ => None,
                }
            }
            Slot::Host => self.host = value.named(),
            Slot::Target => self.target = value.named(),
            Slot::RequestLine => self.line = value.named(),
            Slot::Status => self.status = value.number().map(|n| n as u16),
            Slot::Bytes => self.bytes = value.number().map_or(0, |n| n as u64),
            Slot::Took => self.took = value.number(),
            Slot::Message => {
                self.is_about_another =
                    !matches!(&value, Scalar::Text(text) if text == "handled request");
            }
            Slot::RequestField(name) => {
                let value = value.named();
                self.fields.extend(value.map(|value| (Cow::Borrowed(name), value)));
            }
            Slot::AnswerField(name) => {
                self.has_answer = true;
                let value = value.named();
                self.answer.extend(value.map(|value| (Cow::Borrowed(name), value)));
            }
            Slot::Request | Slot::RequestHead | Slot::AnswerHead => {}
        }
    }
}

fn borrowed<'a>(lines: &'a [(Cow<'_, str>, Cow<'_, str>)]) -> Vec<Field<'a>> {
    lines.iter().map(|(name, value)| (&**name, value.as_bytes())).collect()
}

impl<'a> Scalar<'a> {
    /// Text that says something: logs write `-` or nothing where there is nothing.
    fn named(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => (!matches!(&*text, "" | "-")).then_some(text),
            Self::Number(_) => None,
        }
    }

    fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Text(text) => text.parse().ok()?,
            Self::Number(number) => *number,
        };
        (number.is_finite() && number >= 0.0).then_some(number)
    }

    fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Number(number) => time::of_number(*number),
            Self::Text(text) => rfc3339::parse(text)
                .or_else(|| time::of_common_log(text.as_bytes()))
                .or_else(|| time::of_number(text.parse().ok()?)),
        }
    }
}

/// An object whose members are looked up by `slots`.
struct Object<'f, 'a> {
    slots: fn(&str) -> Option<Slot>,
    found: &'f mut Found<'a>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { slots, found } = self;
        while let Some(Name(name)) = map.next_key()? {
            match slots(&name) {
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
                Some(Slot::Request) => map.next_value_seed(Object { slots, found })?,
                Some(Slot::RequestHead) => {
                    found.has_all_fields = true;
                    map.next_value_seed(Lists(&mut found.fields))?;
                }
                Some(Slot::AnswerHead) => {
                    found.has_answer = true;
                    map.next_value_seed(Lists(&mut found.answer))?;
                }
                Some(slot) => {
                    if let Some(value) = map.next_value_seed(OneScalar)? {
                        found.take(slot, value);
                    }
                }
            }
        }
        Ok(())
    }
}

/// An object with a list of values for each name.
struct Lists<'f, 'a>(&'f mut Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de> DeserializeSeed<'de> for Lists<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Lists<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of lists")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
            let name = if is_lower { name } else { Cow::Owned(name.to_ascii_lowercase()) };
            map.next_value_seed(Values(&name, &mut *self.0))?;
        }
        Ok(())
    }
}

/// The values of one field.
struct Values<'n, 'f, 'a>(&'n Cow<'a, str>, &'f mut Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de> DeserializeSeed<'de> for Values<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Values<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while let Some(Name(value)) = values.next_element()? {
            self.1.push((self.0.clone(), value));
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<(), E> {
        self.1.push((self.0.clone(), Cow::Borrowed(value)));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.1.push((self.0.clone(), Cow::Owned(value.into())));
        Ok(())
    }
}

/// A text, borrowed where it can be.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A text or a number; nothing for anything else.
struct OneScalar;

impl<'de> DeserializeSeed<'de> for OneScalar {
    type Value = Option<Scalar<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneScalar {
    type Value = Option<Scalar<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Text(Cow::Owned(text.into()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Number(number as f64)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Number(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Scalar::Number(number)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
