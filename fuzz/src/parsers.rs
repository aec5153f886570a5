//! The parsers, each with what must hold of whatever it reads.

use tidegate_core::headers::cache_control::DELTA_SECONDS_MAX;
use tidegate_core::headers::etag::{ETag, none_match_names};
use tidegate_core::headers::http_date::HttpDate;
use tidegate_core::headers::range::{ByteRange, ContentRange};
use tidegate_core::headers::structured;
use tidegate_core::headers::targeted::TargetedField;
use tidegate_core::headers::{RequestDirectives, ResponseDirectives, Vary, http_date as date};
use tidegate_core::policy::Overrides;
use tidegate_core::signature::{self, Client, KeyName, Keys, Question, SignatureRule};
use tidegate_core::{FieldsMut, Host, Scheme, Target, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|byte| *byte == b'\n')
}

/// Seconds never exceed 2^31, a line more never lifts a prohibition, and what stands before one
/// never hides it.
pub fn cache_control(data: &[u8]) {
    let line = [data, b", no-store"].concat();
    assert!(ResponseDirectives::parse([line.as_slice()].into_iter()).no_store);
    let all = ResponseDirectives::parse(lines(data));
    let seconds = [all.max_age, all.s_maxage, all.stale_while_revalidate, all.stale_if_error];
    assert!(seconds.into_iter().flatten().all(|seconds| seconds <= DELTA_SECONDS_MAX));
    let first = ResponseDirectives::parse(lines(data).take(1));
    assert!(!first.no_store || all.no_store);
    assert!(!first.private || all.private);
    let mut asked = RequestDirectives::default();
    for line in lines(data) {
        asked.read_line(line);
        asked.read_pragma(line);
    }
}

/// What is read can be written, and is read again as the same.
pub fn http_date(data: &[u8]) {
    if let Some(at) = date::parse(data, NOW) {
        assert_eq!(date::parse(HttpDate(at).to_string().as_bytes(), NOW), Some(at));
    }
}

/// A tag names itself.
pub fn etag(data: &[u8]) {
    let tag = ETag::parse(data);
    let named = none_match_names(data, tag.as_ref());
    assert!(named || tag.is_none());
}

/// A signature depends on the names alone, not on how they are listed.
pub fn vary(data: &[u8]) {
    let vary = Vary::parse(lines(data));
    let again = Vary::parse(vary.names().iter().map(|name| name.as_bytes()));
    if vary != Vary::Anything {
        assert_eq!(vary, again);
    }
    let fields = [("accept-language", data), ("accept", data)];
    assert_eq!(vary.signature(&fields), again.signature(&fields));
}

/// A range lies within what it is of.
pub fn range(data: &[u8]) {
    for range in ByteRange::parse_all(lines(data)).unwrap_or_default() {
        for length in [0, 1, 10, u64::MAX] {
            let within = range.within(length);
            assert!(within.is_none_or(|within| within.start < within.end && within.end <= length));
        }
    }
}

/// What is read can be written, and is read again as the same.
pub fn content_range(data: &[u8]) {
    if let Some(range) = ContentRange::parse(data) {
        assert!(range.first <= range.last);
        assert_eq!(ContentRange::parse(range.to_string().as_bytes()), Some(range));
    }
}

/// Keys are there once, and in no other letters than theirs.
pub fn structured(data: &[u8]) {
    let members = structured::dictionary(data).unwrap_or_default();
    for (at, (key, _)) in members.iter().enumerate() {
        assert!(!key.is_empty() && !key.bytes().any(|b| b.is_ascii_uppercase()));
        assert!(members[at + 1..].iter().all(|(other, _)| other != key));
    }
    let _ = structured::list(data);
}

/// A structured field and an elder one from the same bytes: seconds never exceed 2^31.
pub fn targeted(data: &[u8]) {
    let fields = [("cdn-cache-control", data), ("surrogate-control", data)];
    for field in [TargetedField::CdnCacheControl, TargetedField::SurrogateControl] {
        let max_age = field.read(&fields, "tidegate").and_then(|read| read.max_age);
        assert!(max_age.is_none_or(|seconds| seconds <= DELTA_SECONDS_MAX));
    }
}

/// A normal target is its own normal form, and climbs nowhere.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(target) = Target::parse(text) else { return };
    let normal = target.to_string();
    let again = Target::parse(&normal).expect("a normal target is a target");
    assert_eq!(again.to_string(), normal);
    assert!(!target.route_path().split('/').any(|segment| matches!(segment, "." | "..")));
    assert!(!target.path().split('/').any(|segment| matches!(segment, "." | "..")));
    assert!(target.ambiguity().is_some() || again.ambiguity().is_none());
}

/// A normal host is its own normal form.
pub fn host(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(host) = Host::parse(text, Scheme::Https) else { return };
    assert!(host.as_str().starts_with(host.name()));
    let again = Host::parse(host.as_str(), Scheme::Https).expect("a normal host is a host");
    assert_eq!(again.as_str(), host.as_str());
}

/// What is read can be written, in words and in the canonical form, and is read again as the same.
pub fn overrides(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Overrides::from_json(text) {
        Ok(read) => {
            assert_eq!(Overrides::from_json(&read.to_json()).as_ref(), Ok(&read));
            assert_eq!(Overrides::from_canonical(&read.to_canonical()), Ok(read));
        }
        Err(wrong) => assert!(!wrong.is_empty() && wrong.iter().all(|o| !o.hint.is_empty())),
    }
    match Overrides::from_canonical(text) {
        Ok(read) => assert_eq!(Overrides::from_canonical(&read.to_canonical()), Ok(read)),
        Err(wrong) => assert!(!wrong.hint.is_empty()),
    }
}

/// Nobody without the key makes a signature, and what is signed is verified, whatever it is.
pub fn signature(data: &[u8]) {
    let name = KeyName { id: "k".into(), secret: "SECRET".into() };
    let rule = SignatureRule { keys: vec![name], skew: std::time::Duration::from_secs(30) };
    let secret = |_: &str| Some("a secret of fuzzing that no input knows".to_owned());
    let keys = Keys::of(&rule, secret).expect("a secret that is long enough");
    let mut text = data.split(|byte| *byte == b'\n').map(|line| str::from_utf8(line).unwrap_or(""));
    let mut next = || text.next().unwrap_or_default();
    let question = Question { method: next(), path: next(), query: Some(next()) };
    let mut head = Head::default();
    for name in signature::FIELDS {
        head.set(name, next());
    }
    assert!(keys.verify(&question, &head.0, NOW).is_err());

    let host = next();
    let Ok(read) = Host::parse(host, Scheme::Https) else { return };
    let mut head = Head::default();
    keys.sign(&question, &Client { ip: None, host, scheme: Scheme::Https }, "n", NOW, &mut head);
    let verified = keys.verify(&question, &head.0, NOW).expect("our own signature");
    assert_eq!(verified.host, read.as_str());
}

#[derive(Default)]
struct Head(Vec<(&'static str, String)>);

impl FieldsMut for Head {
    fn set(&mut self, name: &'static str, value: &str) {
        self.0.push((name, value.into()));
    }

    fn set_named(&mut self, _: &str, _: &str) {}

    fn append(&mut self, name: &'static str, value: &str) {
        self.set(name, value);
    }

    fn remove(&mut self, name: &'static str) {
        self.0.retain(|(other, _)| *other != name);
    }
}
