use super::fields::{write, write_not_modified};
use super::tag::{Condition, client_has_coded, for_origin};
use super::*;
use crate::headers::FieldsMut;
use crate::host::{Host, Scheme};
use crate::method::Method;
use crate::target::Target;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

type Lines<'a> = &'a [(&'a str, &'a str)];

const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("accept-encoding", "gzip");

fn with_request<T>(fields: Lines<'_>, look: impl FnOnce(&Request<'_, [(&str, &str)]>) -> T) -> T {
    let host = Host::parse("h", Scheme::Https).unwrap();
    let target = Target::parse("/").unwrap();
    look(&Request::read(Method::Get, Scheme::Https, &host, &target, fields))
}

fn offered(fields: Lines<'_>) -> Result<Coding, Uncompressed> {
    let rule = CompressionRule::default();
    with_request(fields, |request| Offer::to(&rule, request).coding)
}

fn verdict(
    rule: &CompressionRule,
    asked: Lines<'_>,
    answer: &Answer<'_, [(&str, &str)]>,
) -> Verdict {
    with_request(asked, |request| Offer::to(rule, request).decide(request, answer))
}

/// What becomes of a body of 5,000 bytes.
fn decided(asked: Lines<'_>, status: u16, head: Lines<'_>) -> (Result<Coding, Uncompressed>, bool) {
    let answer = Answer { status, head, length: Some(5000), is_shared: false };
    let Verdict { coding, varies } = verdict(&CompressionRule::default(), asked, &answer);
    (coding, varies)
}

#[test]
fn p3_the_client_chooses_by_weight_and_the_policy_among_equals() {
    use Coding::{Br, Gzip, Zstd};
    use Uncompressed::{IdentityPreferred, NotAccepted, OptOut, RequestNoTransform};
    for (accept_encoding, expected) in [
        ("gzip", Ok(Gzip)),
        ("gzip, deflate, br", Ok(Br)),
        ("gzip, deflate, br, zstd", Ok(Zstd)),
        ("gzip;q=1.0, br;q=0.9", Ok(Gzip)),
        ("zstd;q=0.8, br;q=0.9, gzip;q=0.9", Ok(Br)),
        ("*", Ok(Zstd)),
        ("*;q=0.5, zstd;q=0", Ok(Br)),
        ("gzip;q=0.5, identity;q=0.5", Ok(Gzip)),
        ("gzip;q=0.5, identity", Err(IdentityPreferred)),
        ("identity;q=0, gzip;q=0.001", Ok(Gzip)),
        ("gzip;q=0", Err(NotAccepted)),
        ("identity", Err(NotAccepted)),
        ("deflate", Err(NotAccepted)),
        ("*;q=0", Err(NotAccepted)),
        ("", Err(NotAccepted)),
    ] {
        assert_eq!(offered(&[("accept-encoding", accept_encoding)]), expected, "{accept_encoding}");
    }
    assert_eq!(offered(&[]), Err(NotAccepted));
    assert_eq!(offered(&[GZIP, (OPT_OUT, "1")]), Err(OptOut));
    assert_eq!(offered(&[GZIP, ("cache-control", "no-transform")]), Err(RequestNoTransform));
}

#[test]
fn p3_text_alone_is_compressed_and_nothing_twice() {
    use Uncompressed::{Encoded, MediaType, NoTransform, Partial, Status};
    let gzip = Ok(Coding::Gzip);
    for (status, head, expected, varies) in [
        (200, &[JSON][..], gzip, true),
        (200, &[("content-type", "text/html; charset=utf-8")], gzip, true),
        (200, &[("content-type", "application/problem+json")], gzip, true),
        (200, &[("content-type", "image/svg+xml")], gzip, true),
        (404, &[JSON], gzip, true),
        (500, &[JSON], gzip, true),
        (200, &[("content-type", "image/png")], Err(MediaType), false),
        (200, &[("content-type", "font/woff2")], Err(MediaType), false),
        (200, &[("content-type", "text/event-stream")], Err(MediaType), false),
        (200, &[], Err(MediaType), false),
        (200, &[JSON, ("content-encoding", "br")], Err(Encoded), false),
        (200, &[JSON, ("content-encoding", "identity")], Err(Encoded), false),
        (200, &[JSON, ("cache-control", "max-age=1, No-Transform")], Err(NoTransform), false),
        (206, &[JSON, ("content-range", "bytes 0-4999/9000")], Err(Partial), true),
        (206, &[("content-type", "image/png")], Err(Partial), false),
        (416, &[JSON, ("content-range", "bytes */9000")], Err(Partial), false),
        (204, &[JSON], Err(Status), false),
        (304, &[], Err(Status), true),
        (304, &[JSON], Err(Status), true),
        (304, &[("content-type", "image/png")], Err(Status), false),
        (304, &[("cache-control", "no-transform")], Err(Status), false),
    ] {
        assert_eq!(decided(&[GZIP], status, head), (expected, varies), "{status} {head:?}");
    }
    // Whoever does not want it coded is told all the same that others get something else.
    assert_eq!(decided(&[], 200, &[JSON]), (Err(Uncompressed::NotAccepted), true));
    assert_eq!(decided(&[GZIP, (OPT_OUT, "")], 200, &[JSON]), (Err(Uncompressed::OptOut), true));
}

#[test]
fn p3_what_is_short_stays_as_it_is_and_what_has_no_length_yet_is_compressed() {
    let nginx = CompressionRule { min_bytes: 1000, ..CompressionRule::default() };
    for (rule, length, compressed) in [
        (&CompressionRule::default(), Some(1023), false),
        (&CompressionRule::default(), Some(1024), true),
        (&nginx, Some(999), false),
        (&nginx, Some(1000), true),
        (&nginx, None, true),
    ] {
        let answer = Answer { status: 200, head: &[JSON][..], length, is_shared: false };
        assert_eq!(verdict(rule, &[GZIP], &answer).coding.is_ok(), compressed, "{length:?}");
    }
}

#[test]
fn breach_what_a_browser_is_made_to_ask_for_is_not_compressed() {
    let cookie = ("cookie", "session=1");
    let basic = ("authorization", "Basic YQ==");
    let bearer = ("authorization", "bearer a");
    let private = ("cache-control", "private, max-age=60");
    let public = ("cache-control", "public");
    for (asked, head, is_personal) in [
        (&[GZIP][..], &[JSON][..], false),
        (&[GZIP, cookie], &[JSON], true),
        (&[GZIP, basic], &[JSON], true),
        (&[GZIP, bearer], &[JSON], false),
        (&[GZIP, bearer, cookie], &[JSON], true),
        (&[GZIP], &[JSON, private], true),
        (&[GZIP, bearer], &[JSON, private], false),
        (&[GZIP, cookie], &[JSON, public], false),
        (&[GZIP, cookie], &[JSON, ("cache-control", "s-maxage=1")], false),
    ] {
        let answer = Answer { status: 200, head, length: None, is_shared: false };
        let careful = verdict(&CompressionRule::default(), asked, &answer);
        let expected = if is_personal { Err(Uncompressed::Personal) } else { Ok(Coding::Gzip) };
        assert_eq!(careful, Verdict { coding: expected, varies: true }, "{asked:?} {head:?}");
        let shared = Answer { is_shared: true, ..answer };
        assert!(verdict(&CompressionRule::default(), asked, &shared).coding.is_ok());
        let daring = CompressionRule { personal: true, ..CompressionRule::default() };
        assert!(verdict(&daring, asked, &answer).coding.is_ok());
    }
}

/// A head to be changed.
#[derive(Debug, PartialEq)]
struct Head(Vec<(String, String)>);

impl Head {
    fn of(lines: Lines<'_>) -> Self {
        Self(lines.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }
}

impl FieldsMut for Head {
    fn set(&mut self, name: &'static str, value: &str) {
        self.set_named(name, value);
    }
    fn set_named(&mut self, name: &str, value: &str) {
        self.0.retain(|(other, _)| other != name);
        self.append_named(name, value);
    }
    fn append(&mut self, name: &'static str, value: &str) {
        self.append_named(name, value);
    }
    fn remove(&mut self, name: &'static str) {
        self.0.retain(|(other, _)| other != name);
    }
}

impl Head {
    fn append_named(&mut self, name: &str, value: &str) {
        self.0.push((name.to_string(), value.to_string()));
    }
}

fn written(coding: Option<Coding>, head: Lines<'_>) -> Head {
    let mut fields = Head::of(head);
    let coding = coding.ok_or(Uncompressed::NotAccepted);
    write(&mut fields, head, &Verdict { coding, varies: true });
    fields
}

#[test]
fn what_is_said_of_the_bytes_is_said_of_those_that_leave() {
    let head = [
        JSON,
        ("content-length", "5000"),
        ("etag", "\"a\""),
        ("accept-ranges", "bytes"),
        ("repr-digest", "sha-256=:AA==:"),
        ("last-modified", "x"),
    ];
    let coded = Head::of(&[
        JSON,
        ("last-modified", "x"),
        ("vary", "Accept-Encoding"),
        ("content-encoding", "br"),
        ("etag", "\"a;br\""),
    ]);
    assert_eq!(written(Some(Coding::Br), &head), coded);
    let mut plain = Head::of(&head);
    plain.append_named("vary", "Accept-Encoding");
    assert_eq!(written(None, &head), plain);
}

#[test]
fn a_weak_tag_stays_and_a_malformed_one_goes() {
    let etag = |value| {
        let Head(lines) = written(Some(Coding::Gzip), &[("etag", value)]);
        lines.into_iter().find_map(|(name, value)| (name == "etag").then_some(value))
    };
    assert_eq!(etag("W/\"a\"").as_deref(), Some("W/\"a\""));
    assert_eq!(etag("\"\"").as_deref(), Some("\";gzip\""));
    assert_eq!(etag("a"), None);
}

#[test]
fn vary_is_joined_to_what_the_origin_says() {
    for (said, expected) in [
        (&[][..], &["Accept-Encoding"][..]),
        (&["Accept"], &["Accept, Accept-Encoding"]),
        (&["Accept", "Cookie , Origin"], &["Accept, Cookie, Origin, Accept-Encoding"]),
        (&["accept-encoding"], &["accept-encoding"]),
        (&["Origin", "ACCEPT-ENCODING"], &["Origin", "ACCEPT-ENCODING"]),
        (&["*"], &["*"]),
    ] {
        let head: Vec<_> = said.iter().map(|value| ("vary", *value)).collect();
        let Head(lines) = written(None, &head);
        let values: Vec<_> = lines.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, expected, "{said:?}");
    }
}

#[test]
fn a_tag_of_ours_is_known_again_where_its_coding_is_accepted() {
    let rule = CompressionRule::default();
    let has = |accept_encoding, if_none_match, etag: &str| {
        let asked = [("accept-encoding", accept_encoding), ("if-none-match", if_none_match)];
        with_request(&asked, |request| {
            client_has_coded(&Offer::to(&rule, request), request.fields, Some(etag.as_bytes()))
        })
    };
    assert!(has("gzip", "\"a;gzip\"", "\"a\""));
    assert!(has("gzip", "W/\"a;gzip\"", "\"a\""), "an edge has made it weak");
    assert!(has("gzip, br", "\"b\", \"a;gzip\"", "\"a\""), "though it would get Brotli");
    assert!(!has("br", "\"a;gzip\"", "\"a\""), "a cache asks for one that has no gzip");
    assert!(!has("gzip", "\"a;gzip\"", "\"b\""));
    assert!(!has("gzip", "\"a;deflate\"", "\"a\""));
    assert!(!has("gzip", "\"a;gzip\"", "W/\"a\""));
    assert!(has("gzip", "\"a;b;gzip\"", "\"a;b\""));
}

#[test]
fn a_304_names_the_body_that_the_client_has() {
    let rule = CompressionRule::default();
    let named = |if_none_match| {
        let asked = [("accept-encoding", "gzip, br"), ("if-none-match", if_none_match)];
        let head = [("etag", "\"a\"")];
        let mut fields = Head::of(&head);
        with_request(&asked, |request| {
            write_not_modified(&mut fields, &Offer::to(&rule, request), request.fields, &head);
        });
        fields.0.remove(0).1
    };
    assert_eq!(named("\"a;gzip\""), "\"a;gzip\"");
    assert_eq!(named("\"a;gzip\", \"a;br\""), "\"a;br\"", "which it would get");
    assert_eq!(named("\"a;gzip\", \"a\""), "\"a\"");
    assert_eq!(named("\"a\""), "\"a\"");
    assert_eq!(named("\"a;zstd\", \"a\""), "\"a\"", "it has no Zstandard");
    assert_eq!(named("*"), "\"a\"");
}

#[test]
fn the_origin_hears_of_its_own_tags_alone() {
    let rule = CompressionRule::default();
    with_request(&[GZIP], |request| {
        let offer = Offer::to(&rule, request);
        let asked = |line: &str, condition| for_origin(line.as_bytes(), &offer, condition);
        let none_match = |line| asked(line, Condition::NoneMatch);
        assert_eq!(none_match("\"a;gzip\"").as_deref(), Some("\"a\""));
        assert_eq!(none_match("\"b\",W/\"a;gzip\"").as_deref(), Some("\"b\", W/\"a\""));
        assert_eq!(none_match("\"a;gzip\", \"a;br\"").as_deref(), Some("\"a\", \"a;br\""));
        for untouched in ["\"a\"", "*", "\"a;br\"", "", "a;gzip", "\"a;gzip"] {
            assert_eq!(none_match(untouched), None, "{untouched}");
        }
        assert_eq!(asked("\"a;br\"", Condition::Match).as_deref(), Some("\"a\""));
    });
}

#[test]
fn a_date_in_if_range_does_not_cut_what_may_have_been_coded() {
    let rule = CompressionRule::default();
    let range = ("range", "bytes=10-");
    let date = ("if-range", "Sun, 06 Nov 1994 08:49:37 GMT");
    let voids = |asked: Lines<'_>| {
        with_request(asked, |request| Offer::to(&rule, request).voids_range(request))
    };
    assert!(voids(&[GZIP, range, date]));
    assert!(!voids(&[range, date]), "a client that gets nothing coded");
    assert!(!voids(&[GZIP, range]));
    assert!(
        !voids(&[GZIP, range, ("if-range", "\"a;gzip\"")]),
        "no tag of what ranges are cut from"
    );
}

#[test]
fn reasons_are_told_apart() {
    use Uncompressed::*;
    let all = [
        Policy,
        Edge,
        OptOut,
        RequestNoTransform,
        NotAccepted,
        IdentityPreferred,
        Status,
        Partial,
        Encoded,
        NoTransform,
        MediaType,
        TooSmall,
        Personal,
        NoEncoder,
    ];
    let mut words: Vec<_> = all.iter().map(|why| why.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), all.len());
    assert!(all.iter().all(|why| !why.explain().ends_with('.')));
}
