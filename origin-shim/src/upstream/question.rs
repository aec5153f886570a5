//! What an upstream is asked, made of what a client asked.

use std::net::IpAddr;

use http::header::{
    ACCEPT_ENCODING, CONNECTION, DATE, FORWARDED, HOST, HeaderName, HeaderValue, IF_MATCH,
    IF_NONE_MATCH, IF_RANGE, RANGE, TE, UPGRADE, VIA,
};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use tidegate_core::compress::Offer;
use tidegate_core::compress::fields::ASKED_OF_ORIGIN;
use tidegate_core::compress::tag::{self, Condition};
use tidegate_core::headers::http_date::HttpDate;
use tidegate_core::headers::list;
use tidegate_core::{Fields, Scheme, Target, Timestamp, forward, signature};

use crate::answer_store::Answer;
use crate::body::Body;
use crate::http1::{Interim, Upgrade};
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
    /// Where interim answers go.
    pub interim: Option<Interim>,
}

impl Question {
    /// Whether it asks for the protocols that an answer with these fields changes to.
    pub(super) fn may_change_to(&self, fields: &HeaderMap) -> bool {
        let asked = || list_of(&self.head, &UPGRADE);
        let mut said = list_of(fields, &UPGRADE).peekable();
        said.peek().is_some()
            && said.all(|one| asked().any(|other| other.eq_ignore_ascii_case(one)))
    }
}

/// The members of a list field.
fn list_of<'a>(head: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    head.get_all(name).iter().flat_map(|line| list::tokens(line.as_bytes()))
}

/// The question that a client's request is for its upstream, without body, and with nobody who
/// hears interim answers.
///
/// Fields that belong to the client's connection stay here (RFC 9110 §7.6.1), as do those
/// that could make the upstream answer for something else than what is in the key.
pub fn question(parts: &Parts, target: &Target<'_>, visitor: &Visitor, scheme: Scheme) -> Question {
    // A client does not choose what proxies say; trusted ones are continued, unless the edge has
    // said it all.
    let continues = visitor.through_trusted_proxy && visitor.edge.is_none();
    let stays = |name: &str| {
        forward::is_unkeyed_override(name)
            // What the edge says of the client is for us; a client's own signature for who is
            // behind us.
            || name == signature::CLIENT
            || visitor.edge.is_some() && signature::FIELDS.contains(&name)
            || !continues && matches!(name, "x-forwarded-for" | "x-forwarded-proto")
            // 100 is said at our door, as soon as somebody reads the body.
            || name == "expect"
    };
    let mut head = copy_without(&parts.headers, stays);
    // What is in the key: the host that the client asked the edge for, or that of an absolute
    // target, whatever Host says (RFC 9112 §3.2.2).
    let asked_for = visitor.edge.as_ref().map(|edge| edge.host.as_str());
    if let Some(host) = asked_for.or_else(|| parts.uri.authority().map(|host| host.as_str()))
        && let Ok(host) = HeaderValue::from_str(host)
    {
        head.insert(HOST, host);
    }
    let ip = visitor.ip.and_then(|ip| HeaderValue::from_str(&ip.to_string()).ok());
    let ip = ip.unwrap_or(HeaderValue::from_static("unknown"));
    if !head.contains_key(&X_FORWARDED_FOR) {
        head.insert(&X_FORWARDED_FOR, ip.clone());
    }
    head.insert(&X_REAL_IP, ip);
    if !head.contains_key(&X_FORWARDED_PROTO) {
        head.insert(&X_FORWARDED_PROTO, HeaderValue::from_static(scheme.as_str()));
    }
    append(&mut head, &SURROGATE_CAPABILITY, CAPABILITY);
    append(&mut head, &VIA, via(parts.version));
    if takes_trailers(parts) {
        head.insert(TE, HeaderValue::from_static("trailers"));
        head.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    let (method, target, body) = (parts.method.clone(), target.to_string(), Body::empty());
    Question { method, target, head, body, interim: None }
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");

/// Whether the client takes trailers (RFC 9110 §10.1.4): over HTTP/1.1 the field is a matter of the
/// connection, and HTTP/2 has no others than this.
fn takes_trailers(parts: &Parts) -> bool {
    let says = |name: &HeaderName, word: &[u8]| {
        list_of(&parts.headers, name).any(|said| said.eq_ignore_ascii_case(word))
    };
    says(&TE, b"trailers") && (parts.version == Version::HTTP_2 || says(&CONNECTION, b"te"))
}

/// Asks for the other protocol that the client would change to. Never for a version of HTTP, whose
/// requests would pass here unseen, nor for TLS.
pub fn ask_to_upgrade(question: &mut Question, parts: &Parts) {
    if parts.extensions.get::<Upgrade>().is_none() {
        return;
    }
    let is_ours = |protocol: &[u8]| {
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
        [&b"h2c"[..], b"h2", b"h3", b"http", b"tls"].iter().any(|n| name.eq_ignore_ascii_case(n))
    };
    let others: Vec<&[u8]> =
        list_of(&parts.headers, &UPGRADE).filter(|protocol| !is_ours(protocol)).collect();
    let Ok(list) = HeaderValue::from_bytes(&others.join(&b", "[..])) else { return };
    if !others.is_empty() {
        question.head.insert(UPGRADE, list);
        append(&mut question.head, &CONNECTION, "upgrade");
    }
}

/// Says in Forwarded who asks for which host, and how (RFC 7239).
pub fn tell_in_forwarded(head: &mut HeaderMap, visitor: &Visitor, scheme: Scheme) {
    let node = match visitor.ip {
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("\"[{ip}]\""),
        None => "unknown".to_owned(),
    };
    let mut value = format!("for={node}");
    // One that could not stand between quotation marks as it is never gets here.
    let host = head.get(HOST).and_then(|host| host.to_str().ok());
    if let Some(host) = host.filter(|host| !host.contains(['"', '\\'])) {
        value = format!("{value};host=\"{host}\"");
    }
    value = format!("{value};proto={}", scheme.as_str());
    if let Ok(value) = HeaderValue::from_str(&value) {
        head.insert(FORWARDED, value);
    }
}

/// This hop in Via: the version that the client spoke, and our name (RFC 9110 §7.6.3).
const fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0 tidegate",
        Version::HTTP_2 => "2 tidegate",
        _ => "1.1 tidegate",
    }
}

/// Puts `member` behind the members that a list field has.
fn append(head: &mut HeaderMap, name: &HeaderName, member: &'static str) {
    let mut others = head.get_all(name).iter().filter_map(|line| line.to_str().ok()).peekable();
    if others.peek().is_none() {
        head.insert(name, HeaderValue::from_static(member));
        return;
    }
    let list: Vec<&str> = others.chain([member]).collect();
    if let Ok(list) = HeaderValue::from_str(&list.join(", ")) {
        head.insert(name, list);
    }
}

/// A copy of a head without the fields of its connection.
pub fn end_to_end(head: &HeaderMap) -> HeaderMap {
    copy_without(head, |_| false)
}

/// The same without others that stay here.
fn copy_without(head: &HeaderMap, stays: impl Fn(&str) -> bool) -> HeaderMap {
    let options: Vec<&[u8]> = forward::connection_options(head).collect();
    let is_option = |name: &HeaderName| {
        options.iter().any(|option| option.eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let mut copy = HeaderMap::with_capacity(head.len() + 8);
    let mut last = None;
    for (name, value) in head {
        // Lines of one name follow each other, and are judged once.
        if last.is_none_or(|(last, _)| last != name) {
            let name_str = name.as_str();
            let kept = !forward::is_hop_by_hop(name_str) && !stays(name_str) && !is_option(name);
            last = Some((name, kept));
        }
        if last.is_some_and(|(_, kept)| kept) {
            copy.append(name, value.clone());
        }
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
    let strong = begin.head.first("etag").filter(|tag| !tag.starts_with(b"W/"));
    match strong.and_then(|tag| HeaderValue::from_bytes(tag).ok()) {
        Some(tag) => drop(head.insert(IF_RANGE, tag)),
        None => drop(head.remove(IF_RANGE)),
    }
}

/// Asks whether a stored answer is still good (RFC 9111 §4.3.1).
pub fn ask_for_confirmation(head: &mut HeaderMap, stored: &impl Fields) {
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
