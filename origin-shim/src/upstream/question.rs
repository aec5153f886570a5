//! What an upstream is asked, made of what a client asked.

use http::header::{
    ACCEPT_ENCODING, DATE, ETAG, HOST, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use tidegate_core::compress::Offer;
use tidegate_core::compress::fields::ASKED_OF_ORIGIN;
use tidegate_core::compress::tag::{self, Condition};
use tidegate_core::headers::http_date::HttpDate;
use tidegate_core::{Fields, Scheme, Target, Timestamp, forward, signature};

use crate::answer_store::Answer;
use crate::body::Body;
use crate::visitor::Visitor;

/// Tells upstreams that Surrogate-Control is heeded here, and under which name.
const CAPABILITY: &str = "tidegate=\"Surrogate/1.0\"";

/// What is asked of an upstream.
#[derive(Debug)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// The normalised path with its query: what was matched is what is fetched.
    pub target: String,
    /// The head.
    pub head: HeaderMap,
    /// The body.
    pub body: Body,
}

/// The question that a client's request is for its upstream, without body.
///
/// Fields that belong to the client's connection stay here (RFC 9110 §7.6.1), as do those
/// that could make the upstream answer for something else than what is in the key.
pub fn question(parts: &Parts, target: &Target<'_>, visitor: &Visitor, scheme: Scheme) -> Question {
    let mut head = end_to_end(&parts.headers);
    // What the edge says of the client is for us; a client's own signature for who is behind us.
    head.remove(signature::CLIENT);
    if visitor.edge.is_some() {
        signature::FIELDS.iter().for_each(|name| drop(head.remove(*name)));
    }
    // A client does not choose what proxies say; trusted ones are continued, unless the edge has
    // said it all.
    let continues = visitor.through_trusted_proxy && visitor.edge.is_none();
    if !continues {
        head.remove("x-forwarded-for");
        head.remove("x-forwarded-proto");
    }
    let overrides: Vec<HeaderName> =
        head.keys().filter(|name| forward::is_unkeyed_override(name.as_str())).cloned().collect();
    for name in overrides {
        head.remove(name);
    }
    let ip = visitor.ip.map_or_else(|| "unknown".into(), |ip| ip.to_string());
    let ip_value = HeaderValue::from_str(&ip).unwrap_or(HeaderValue::from_static("unknown"));
    let chain = match head.get("x-forwarded-for").and_then(|value| value.to_str().ok()) {
        Some(chain) if continues => chain.to_owned(),
        _ => ip,
    };
    // What is in the key: the host that the client asked the edge for, or that of an absolute
    // target, whatever Host says (RFC 9112 §3.2.2).
    let asked_for = visitor.edge.as_ref().map(|edge| edge.host.as_str());
    if let Some(host) = asked_for.or_else(|| parts.uri.authority().map(|host| host.as_str()))
        && let Ok(host) = HeaderValue::from_str(host)
    {
        head.insert(HOST, host);
    }
    head.insert("x-real-ip", ip_value);
    if let Ok(chain) = HeaderValue::from_str(&chain) {
        head.insert("x-forwarded-for", chain);
    }
    if !head.contains_key("x-forwarded-proto") {
        head.insert("x-forwarded-proto", HeaderValue::from_static(scheme.as_str()));
    }
    append(&mut head, "surrogate-capability", CAPABILITY);
    append(&mut head, "via", &via(parts.version));
    Question { method: parts.method.clone(), target: target.to_string(), head, body: Body::empty() }
}

/// This hop in Via: the version that the client spoke, and our name (RFC 9110 §7.6.3).
fn via(version: Version) -> String {
    let version = match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    };
    format!("{version} tidegate")
}

/// Puts `member` behind the members that a list field has.
fn append(head: &mut HeaderMap, name: &'static str, member: &str) {
    let others = head.get_all(name).iter().filter_map(|line| line.to_str().ok());
    let list: Vec<&str> = others.chain([member]).collect();
    if let Ok(list) = HeaderValue::from_str(&list.join(", ")) {
        head.insert(name, list);
    }
}

/// A copy of a head without the fields of its connection.
pub fn end_to_end(head: &HeaderMap) -> HeaderMap {
    let options: Vec<&[u8]> = forward::connection_options(head).collect();
    let stays = |name: &HeaderName| {
        forward::is_hop_by_hop(name.as_str())
            || options.iter().any(|option| option.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let mut copy = HeaderMap::with_capacity(head.len() + 4);
    for (name, value) in head.iter().filter(|(name, _)| !stays(name)) {
        copy.append(name.clone(), value.clone());
    }
    copy
}

/// Dates an answer that came without Date (RFC 9110 §6.6.1).
pub fn date(head: &mut HeaderMap, received_at: Timestamp) {
    if !head.contains_key(DATE)
        && let Ok(date) = HeaderValue::from_str(&HttpDate(received_at).to_string())
    {
        head.insert(DATE, date);
    }
}

/// Takes away what would make the upstream answer with less than the whole.
pub fn ask_for_the_whole(head: &mut HeaderMap) {
    for name in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
        head.remove(name);
    }
}

/// Asks for the answer without coding, whoever asks, so that one is stored for all of them; and
/// speaks of tags as the upstream knows them.
///
/// Without Accept-Encoding any coding would do (RFC 9110 §12.5.3).
pub fn ask_without_coding(head: &mut HeaderMap, offer: &Offer<'_>) {
    head.insert(ACCEPT_ENCODING, HeaderValue::from_static(ASKED_OF_ORIGIN));
    for (name, condition) in [(IF_MATCH, Condition::Match), (IF_NONE_MATCH, Condition::NoneMatch)] {
        let translated = |line: &HeaderValue| {
            let list = tag::for_origin(line.as_bytes(), offer, condition)?;
            HeaderValue::from_str(&list).ok()
        };
        let lines = head.get_all(&name).iter();
        let lines: Vec<HeaderValue> =
            lines.map(|line| translated(line).unwrap_or_else(|| line.clone())).collect();
        head.remove(&name);
        for line in lines {
            head.append(name.clone(), line);
        }
    }
}

/// Asks for what a stored begin lacks (RFC 9111 §3.4): the whole instead, should it be another
/// by now (If-Range, RFC 9110 §13.1.5).
pub fn ask_for_the_rest(head: &mut HeaderMap, begin: &Answer) {
    head.insert(
        RANGE,
        HeaderValue::from_str(&format!("bytes={}-", begin.body.len()))
            .unwrap_or(HeaderValue::from_static("bytes=0-")),
    );
    match begin.head.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")) {
        Some(tag) => drop(head.insert(IF_RANGE, tag.clone())),
        None => drop(head.remove(IF_RANGE)),
    }
}

/// Asks whether a stored answer is still good (RFC 9111 §4.3.1).
pub fn ask_for_confirmation(head: &mut HeaderMap, stored: &HeaderMap) {
    ask_for_the_whole(head);
    for (validator, condition) in
        [("etag", "if-none-match"), ("last-modified", "if-modified-since")]
    {
        if let Some(value) = stored.first(validator).and_then(|v| HeaderValue::from_bytes(v).ok()) {
            head.insert(condition, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use tidegate_core::Identity;

    fn asked(fields: &[(&'static str, &'static str)], trusted: bool) -> HeaderMap {
        let mut builder = http::Request::builder().uri("/x");
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        let parts = builder.body(()).unwrap().into_parts().0;
        let ip = "203.0.113.7".parse().ok();
        let visitor = Visitor {
            client: Client { ip, scheme: Scheme::Http },
            ip,
            identity: Identity::Anonymous,
            refusal: None,
            through_trusted_proxy: trusted,
            edge: None,
        };
        question(&parts, &Target::parse("/x").unwrap(), &visitor, Scheme::Http).head
    }

    #[test]
    fn p2_the_upstream_learns_who_asks() {
        let head = asked(
            &[("host", "a.example"), ("x-forwarded-for", "1.1.1.1"), ("x-real-ip", "1.1.1.1")],
            false,
        );
        assert_eq!(head["host"], "a.example");
        assert_eq!(head["x-real-ip"], "203.0.113.7");
        assert_eq!(head["x-forwarded-for"], "203.0.113.7");
        assert_eq!(head["x-forwarded-proto"], "http");
        assert_eq!(head["via"], "1.1 tidegate");
        let head = asked(
            &[("x-forwarded-for", "203.0.113.7, 10.0.0.2"), ("x-forwarded-proto", "https")],
            true,
        );
        assert_eq!(head["x-forwarded-for"], "203.0.113.7, 10.0.0.2");
        assert_eq!(head["x-forwarded-proto"], "https");
        let head = asked(&[("via", "1.0 a"), ("via", "1.1 b")], false);
        assert_eq!(head["via"], "1.0 a, 1.1 b, 1.1 tidegate");
    }

    #[test]
    fn what_belongs_to_the_connection_or_poisons_stays_here() {
        let head = asked(
            &[
                ("connection", "close, X-Secret"),
                ("x-secret", "1"),
                ("te", "trailers"),
                ("upgrade", "websocket"),
                ("x-forwarded-host", "evil.example"),
                ("x-original-url", "/admin"),
                ("x-http-method-override", "DELETE"),
                ("accept", "*/*"),
            ],
            true,
        );
        let names: Vec<&str> = head.keys().map(HeaderName::as_str).collect();
        assert_eq!(names.len(), 6, "{names:?}");
        assert!(head.contains_key("accept"));
    }
}
