use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::time::Duration;

use super::*;
use crate::headers::FieldsMut;
use crate::headers::structured;
use crate::host::Scheme;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const SKEW: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);
const QUESTION: Question<'_> = Question { method: "GET", path: "/a/b", query: Some("c=d&e") };

#[derive(Clone, Debug, Default)]
struct Head(Vec<(String, String)>);

impl FieldsMut for Head {
    fn set(&mut self, name: &'static str, value: &str) {
        self.set_named(name, value);
    }

    fn set_named(&mut self, name: &str, value: &str) {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.into(), value.into()));
    }

    fn append(&mut self, name: &'static str, value: &str) {
        self.0.push((name.into(), value.into()));
    }

    fn remove(&mut self, name: &'static str) {
        self.0.retain(|(other, _)| other != name);
    }
}

impl Head {
    fn value(&mut self, name: &str) -> &mut String {
        let line = self.0.iter_mut().find(|(other, _)| other == name);
        line.map(|(_, value)| value).expect("a field of this name")
    }
}

/// Keys by these names, each with a secret of its own.
fn keys(names: &[&str]) -> Keys {
    let name = |id: &&str| KeyName { id: id.to_string(), secret: format!("KEY_{id}") };
    let rule = SignatureRule { keys: names.iter().map(name).collect(), skew: SKEW };
    Keys::of(&rule, |name| Some(name.repeat(9))).expect("secrets")
}

fn client() -> Client<'static> {
    let ip = Some("2001:db8::7".parse().unwrap());
    Client { ip, host: "shop.example:8443", scheme: Scheme::Https }
}

fn signed_by(names: &[&str]) -> Head {
    let mut head = Head(vec![("accept".into(), "*/*".into())]);
    keys(names).sign(&QUESTION, &client(), "n-1", NOW, &mut head);
    head
}

fn verify(head: &Head, now: Timestamp) -> Result<Verified, Refusal> {
    keys(&["a", "b"]).verify(&QUESTION, &head.0, now)
}

/// RFC 9421 appendix B.2.5, by the secret of B.1.5.
#[test]
fn the_test_vector_of_the_rfc_is_met() {
    let secret = decode_any(
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==",
    );
    let input =
        br#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
    let [input] =
        <[structured::Member<'_>; 1]>::try_from(structured::members(input).unwrap()).unwrap();
    let mut text = String::new();
    base::line(&mut text, "date", &["Tue, 20 Apr 2021 02:07:55 GMT"]);
    base::line(&mut text, "@authority", &["example.com"]);
    base::line(&mut text, "content-type", &["application/json"]);
    base::end(&mut text, input.text);
    assert_eq!(
        text,
        "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@authority\": example.com\n\
         \"content-type\": application/json\n\"@signature-params\": \
         (\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\""
    );
    let key = Key::new("test-shared-secret", &secret).unwrap();
    let signature = key.sign(&text);
    assert_eq!(base64::encode(&signature), ":pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
    assert!(key.suits(&text, &signature));
}

fn decode_any(text: &str) -> Vec<u8> {
    let text = text.replace('+', "-").replace('/', "_");
    crate::token::decode_base64url(text.trim_end_matches('=')).unwrap()
}

#[test]
fn what_is_signed_is_verified_and_says_who_asks() {
    let mut head = signed_by(&["a"]);
    assert_eq!(head.value(CLIENT), r#"ip="2001:db8::7", host="shop.example:8443", scheme="https""#);
    assert_eq!(
        head.value(SIGNATURE_INPUT),
        "edge=(\"@method\" \"@path\" \"@query\" \"tidegate-client\");created=1795000000;\
         expires=1795000060;nonce=\"n-1\";keyid=\"a\";alg=\"hmac-sha256\";tag=\"tidegate\""
    );
    let verified = verify(&head, NOW).unwrap();
    assert_eq!((verified.ip, &*verified.host), (client().ip, "shop.example:8443"));
    assert_eq!(verified.scheme, Scheme::Https);
    assert_eq!((verified.expires, verified.until), (NOW + LIFETIME, NOW + LIFETIME + SKEW));
}

#[test]
fn two_requests_never_have_one_fingerprint() {
    let signed = |nonce, now| {
        let mut head = Head::default();
        keys(&["a"]).sign(&QUESTION, &client(), nonce, now, &mut head);
        verify(&head, now).unwrap().fingerprint
    };
    let all = [signed("n-1", NOW), signed("n-2", NOW), signed("n-1", NOW + SECOND)];
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
}

/// A law: whatever of what is covered is another, in whichever byte, the signature is refused.
#[test]
fn a_change_of_anything_that_is_covered_is_refused() {
    let head = signed_by(&["a"]);
    let keys = keys(&["a", "b"]);
    for question in [
        Question { method: "HEAD", ..QUESTION },
        Question { method: "get", ..QUESTION },
        Question { path: "/a/b/", ..QUESTION },
        Question { path: "/a/%62", ..QUESTION },
        Question { query: Some("c=d"), ..QUESTION },
        Question { query: None, ..QUESTION },
        Question { path: "/a/b\n\"@query\": ?", ..QUESTION },
    ] {
        assert_eq!(keys.verify(&question, &head.0, NOW), Err(Refusal::Mismatch), "{question:?}");
    }
    for name in FIELDS {
        let value = head.clone().value(name).clone();
        for at in 0..value.len() {
            for other in ['a', '1', '"', ';', ' ', ',', '='] {
                let mut changed = head.clone();
                changed.value(name).replace_range(at..=at, &other.to_string());
                if changed.0 != head.0 {
                    let said = verify(&changed, NOW);
                    assert!(said.is_err(), "{name} at {at}: {other:?}: {said:?}");
                }
            }
            let mut shorter = head.clone();
            shorter.value(name).remove(at);
            assert!(verify(&shorter, NOW).is_err(), "{name} without {at}");
        }
        let mut without = head.clone();
        without.0.retain(|(other, _)| other != name);
        assert!(verify(&without, NOW).is_err(), "without {name}");
        let mut twice = head.clone();
        twice.0.push((name.into(), value));
        assert_eq!(verify(&twice, NOW), Err(Refusal::Malformed), "{name} twice");
    }
}

#[test]
fn keys_change_one_after_the_other() {
    // The shim knows both; the edge signs by the old one, then by the new.
    assert!(verify(&signed_by(&["a"]), NOW).is_ok());
    assert!(verify(&signed_by(&["b", "a"]), NOW).is_ok());
    // The old one is gone, or somebody has made one up.
    assert_eq!(verify(&signed_by(&["c"]), NOW), Err(Refusal::UnknownKey));
    let mut claimed = signed_by(&["c"]);
    *claimed.value(SIGNATURE_INPUT) = claimed.value(SIGNATURE_INPUT).replace("\"c\"", "\"a\"");
    assert_eq!(verify(&claimed, NOW), Err(Refusal::Mismatch));
}

#[test]
fn a_signature_counts_for_a_minute_and_the_skew_of_clocks() {
    let head = signed_by(&["a"]);
    assert_eq!(verify(&head, NOW.before(SKEW + SECOND)), Err(Refusal::Early));
    assert!(verify(&head, NOW.before(SKEW)).is_ok());
    let last = NOW + LIFETIME + SKEW;
    assert!(verify(&head, last.before(Duration::from_millis(1))).is_ok());
    assert_eq!(verify(&head, last), Err(Refusal::Expired));
    assert_eq!(verify(&head, Timestamp::MAX), Err(Refusal::Expired));
    assert_eq!(verify(&head, Timestamp::EPOCH), Err(Refusal::Early));
}

#[test]
fn what_is_not_ours_is_no_signature_of_the_edge() {
    assert_eq!(verify(&Head::default(), NOW), Err(Refusal::Missing));
    let theirs = "sig1=(\"@authority\");created=1795000000;keyid=\"poqkLGiymh_W0uP6PZFw\";\
                  tag=\"web-bot-auth\"";
    let with = |input: &str, signature: &str| {
        Head(vec![
            (SIGNATURE_INPUT.into(), input.into()),
            (SIGNATURE.into(), signature.into()),
            (CLIENT.into(), client().to_string()),
        ])
    };
    assert_eq!(verify(&with(theirs, "sig1=:YQ==:"), NOW), Err(Refusal::Missing));
    // Beside one of somebody else's, ours counts all the same.
    let mut both = signed_by(&["a"]);
    *both.value(SIGNATURE_INPUT) = format!("{theirs}, {}", both.value(SIGNATURE_INPUT));
    *both.value(SIGNATURE) = format!("sig1=:YQ==:, {}", both.value(SIGNATURE));
    assert!(verify(&both, NOW).is_ok());
    let ours = signed_by(&["a"]).value(SIGNATURE_INPUT).clone();
    let signature = signed_by(&["a"]).value(SIGNATURE).clone();
    let other = ours.replace("edge=", "more=");
    assert_eq!(
        verify(&with(&format!("{ours}, {other}"), &signature), NOW),
        Err(Refusal::Malformed)
    );
    for (input, refusal) in [
        (ours.replace("\"@query\" ", ""), Refusal::Covered),
        (ours.replace("\"@path\"", "\"@path\";req"), Refusal::Covered),
        (ours.replace("hmac-sha256", "rsa-v1_5-sha256"), Refusal::Covered),
        (ours.replace(";alg=\"hmac-sha256\"", ""), Refusal::Covered),
        (ours.replace(";nonce=\"n-1\"", ""), Refusal::Malformed),
        (ours.replace("created=1795000000", "created=-1"), Refusal::Malformed),
        (ours.replace(";keyid=\"a\"", ""), Refusal::UnknownKey),
        (ours.replace("expires=1795000060", "expires=1795000061"), Refusal::Mismatch),
        ("edge=(".into(), Refusal::Malformed),
    ] {
        assert_eq!(verify(&with(&input, &signature), NOW), Err(refusal), "{input}");
    }
    assert_eq!(verify(&with(&ours, "edge=?1"), NOW), Err(Refusal::Malformed));
    assert_eq!(verify(&with(&ours, ""), NOW), Err(Refusal::Malformed));
}

#[test]
fn a_signature_that_lasts_too_long_or_names_no_client_is_refused_although_it_is_good() {
    let keys = keys(&["a"]);
    let signed = |expires: &str, client: &str| {
        let parameters = format!(
            "{};created=1795000000;expires={expires};nonce=\"n\";keyid=\"a\";\
             alg=\"hmac-sha256\";tag=\"tidegate\"",
            base::COVERED
        );
        let signature = keys.keys[0].sign(&base::of_request(&QUESTION, client, &parameters));
        let head = Head(vec![
            (CLIENT.into(), client.into()),
            (SIGNATURE_INPUT.into(), format!("x={parameters}")),
            (SIGNATURE.into(), format!("x={}", base64::encode(&signature))),
        ]);
        verify(&head, NOW)
    };
    let good = client().to_string();
    assert!(signed("1795000060", &good).is_ok());
    assert!(
        signed("1795000060", "host=\"Shop.Example:443\", scheme=\"https\"")
            .is_ok_and(|verified| verified.host == "shop.example" && verified.ip.is_none())
    );
    assert_eq!(signed("1795000061", &good), Err(Refusal::Expired));
    assert_eq!(signed("999999999999999", &good), Err(Refusal::Expired));
    for client in [
        "",
        "ip=\"203.0.113.7\"",
        "host=\"a\"",
        "ip=\"unknown\", host=\"a\", scheme=\"https\"",
        "ip=\"203.0.113.7\", host=\"a/b\", scheme=\"https\"",
        "ip=\"203.0.113.7\", host=\"a\", scheme=\"ftp\"",
        "ip=\"203.0.113.7\", host=\"a\", scheme=\"https\", user=\"root\"",
        "ip=\"203.0.113.7\", host=a, scheme=\"https\"",
    ] {
        assert_eq!(signed("1795000060", client), Err(Refusal::Client), "{client}");
    }
}

#[test]
fn a_secret_is_never_shown_and_a_bad_one_is_named() {
    let keys = keys(&["a"]);
    assert_eq!(format!("{:?}", keys.keys), "[Key { id: \"a\", .. }]");
    let rule = SignatureRule {
        keys: vec![KeyName { id: "a".into(), secret: "EDGE_KEY".into() }],
        skew: SKEW,
    };
    let error = |secret: Option<&str>| {
        let secret = secret.map(String::from);
        Keys::of(&rule, |_| secret.clone()).unwrap_err().to_string()
    };
    assert_eq!(error(None), "the secret `EDGE_KEY` is not set");
    let short = error(Some("hunter2hunter2hunter2hunter2hun"));
    assert_eq!(short, "the secret `EDGE_KEY` is shorter than 32 bytes");
}

#[test]
fn what_is_told_does_not_say_how_far_a_guess_got() {
    let told = |refusal: Refusal| refusal.told();
    assert_eq!(told(Refusal::UnknownKey), told(Refusal::Mismatch));
    assert_eq!(told(Refusal::Malformed), told(Refusal::Mismatch));
    let mut words: Vec<&str> = Refusal::ALL.iter().map(|refusal| refusal.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Refusal::ALL.len());
}
