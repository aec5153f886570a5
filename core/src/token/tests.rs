//! A table of tokens. What signs them is the word `good`: signatures are the shells' matter,
//! and their tests have real ones.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::time::Duration;

use super::base64url::encode;
use super::*;

/// When the tokens are looked at.
const NOW: u64 = 1_800_000_000;
const CLAIMS: &str = r#"{"sub":"ada","exp":1800000300,"team":7}"#;
const HEADER: &str = r#"{"alg":"HS256","kid":"shared"}"#;

fn rule() -> TokenRule {
    TokenRule {
        from: TokenSource::Authorization,
        issuer: None,
        audience: vec![],
        user: "sub".into(),
        skew: Duration::from_secs(60),
        claims: vec!["team".into()],
        keys: vec![],
        jwks: None,
        on_invalid: OnInvalid::Anonymous,
    }
}

fn keys() -> KeySet {
    let key = |kid: &str, material| Key { kid: Some(kid.into()), material };
    KeySet::new(vec![
        key("shared", Material::Secret("JWT_SECRET".into())),
        key("rsa", Material::Rsa { n: encode(&[0xff; 256]), e: "AQAB".into() }),
        key("ec", Material::P256 { x: encode(&[1; 32]), y: encode(&[2; 32]) }),
    ])
}

fn token(header: &str, claims: &str) -> String {
    let [header, claims] = [header, claims].map(|json| encode(json.as_bytes()));
    format!("{header}.{claims}.{}", encode(b"good"))
}

/// The user, and the position of the key; or why not.
fn look(rule: &TokenRule, token: &str) -> Result<(String, usize), Refusal> {
    let opened = open(token.as_bytes(), rule, &keys(), Timestamp::from_secs(NOW))?;
    let (key, good) = (opened.key(), opened.signature() == b"good");
    Ok((opened.verified(good)?.user.name().to_string(), key))
}

#[track_caller]
fn refused(header: &str, claims: &str) -> Refusal {
    look(&rule(), &token(header, claims)).expect_err("a bad token")
}

#[test]
fn a_good_token_names_its_user_by_the_key_it_names() {
    for (kid, alg, key) in [("shared", "HS256", 0), ("rsa", "RS256", 1), ("ec", "ES256", 2)] {
        let header = format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"{kid}"}}"#);
        assert_eq!(look(&rule(), &token(&header, CLAIMS)), Ok(("ada".into(), key)), "{alg}");
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        assert_eq!(look(&rule(), &token(&header, CLAIMS)), Ok(("ada".into(), key)), "{alg}");
    }
}

#[test]
fn what_is_signed_is_header_and_payload_as_they_came() {
    let token = token(HEADER, CLAIMS);
    let opened = open(token.as_bytes(), &rule(), &keys(), Timestamp::from_secs(NOW)).unwrap();
    let (input, _) = token.rsplit_once('.').unwrap();
    assert_eq!(opened.signing_input(), input.as_bytes());
    let verified = opened.verified(true).unwrap();
    assert_eq!(verified.user.claim("team"), Some("7"));
    assert_eq!(verified.user.claim("exp"), None, "nobody asked for it");
    assert_eq!(verified.until, Timestamp::from_secs(NOW + 300 + 60));
}

#[test]
fn a_wrong_signature_is_refused() {
    let token = token(HEADER, CLAIMS);
    let (input, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", encode(b"made up"));
    assert_eq!(look(&rule(), &forged), Err(Refusal::Signature));
    assert_eq!(look(&rule(), &format!("{input}.")), Err(Refusal::Unsigned));
}

#[test]
fn none_is_no_algorithm_in_any_spelling() {
    for alg in ["none", "None", "NONE", "nOnE"] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        assert_eq!(refused(&header, CLAIMS), Refusal::Unsigned);
        let [header, claims] = [header.as_str(), CLAIMS].map(|json| encode(json.as_bytes()));
        assert_eq!(look(&rule(), &format!("{header}.{claims}.")), Err(Refusal::Unsigned));
    }
}

#[test]
fn a_key_is_for_its_algorithm_alone() {
    for (kid, alg) in [
        // The public key for a secret: what RFC 8725 §2.1 is about.
        ("rsa", "HS256"),
        ("ec", "HS256"),
        ("shared", "RS256"),
        ("rsa", "ES256"),
        ("shared", "HS512"),
        ("shared", "hs256"),
        ("rsa", "PS256"),
        ("shared", ""),
    ] {
        let header = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
        assert_eq!(refused(&header, CLAIMS), Refusal::Algorithm, "{kid} {alg}");
    }
    for header in [r#"{"kid":"shared"}"#, r#"{"alg":1,"kid":"shared"}"#, r#"{"alg":null}"#] {
        assert_eq!(refused(header, CLAIMS), Refusal::Malformed, "{header}");
    }
}

#[test]
fn a_key_nobody_knows_is_not_guessed() {
    assert_eq!(refused(r#"{"alg":"HS256","kid":"other"}"#, CLAIMS), Refusal::UnknownKey);
    assert_eq!(refused(r#"{"alg":"HS256","kid":""}"#, CLAIMS), Refusal::UnknownKey);
    assert_eq!(refused(r#"{"alg":"HS256","kid":7}"#, CLAIMS), Refusal::Malformed);

    let now = Timestamp::from_secs(NOW);
    let open = |header: &str, keys: &KeySet| {
        let token = token(header, CLAIMS);
        open(token.as_bytes(), &rule(), keys, now).map(|opened| opened.key())
    };
    let unnamed = |secret: &str| Key { kid: None, material: Material::Secret(secret.into()) };
    let one = KeySet::new(vec![unnamed("A")]);
    assert_eq!(open(r#"{"alg":"HS256","kid":"any"}"#, &one), Ok(0));
    assert_eq!(open(r#"{"alg":"HS256"}"#, &one), Ok(0));
    let two = KeySet::new(vec![unnamed("A"), unnamed("B")]);
    assert_eq!(open(r#"{"alg":"HS256"}"#, &two), Err(Refusal::UnclearKey));
    assert_eq!(open(HEADER, &KeySet::default()), Err(Refusal::NoKeys));
}

#[test]
fn a_token_cannot_bring_its_own_key_or_demand_the_unknown() {
    let own = r#"{"alg":"HS256","kid":"mine","jwk":{"kty":"oct","k":"AA"},"jku":"https://x/"}"#;
    assert_eq!(refused(own, CLAIMS), Refusal::UnknownKey);
    for crit in [r#"["exp"]"#, r#"["b64"]"#, "[]", "null"] {
        let header = format!(r#"{{"alg":"HS256","kid":"shared","crit":{crit},"b64":false}}"#);
        assert_eq!(refused(&header, CLAIMS), Refusal::Critical);
    }
}

#[test]
fn an_oversized_token_is_not_looked_at() {
    let claims = format!(r#"{{"sub":"ada","exp":1800000300,"x":"{}"}}"#, "x".repeat(9000));
    assert_eq!(refused(HEADER, &claims), Refusal::Oversized);
    let fits = format!(r#"{{"sub":"ada","exp":1800000300,"x":"{}"}}"#, "x".repeat(5000));
    assert!(look(&rule(), &token(HEADER, &fits)).is_ok());
}

#[test]
fn what_is_no_token_is_refused_without_a_panic() {
    let good = token(HEADER, CLAIMS);
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        header.into(),
        format!("{header}.{claims}"),
        format!("{good}."),
        format!("{good}.."),
        format!("{good}.{signature}"),
        format!(".{good}"),
        format!("{header}..{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}=.{signature}"),
        format!("{header} .{claims}.{signature}"),
        format!("{header}.{claims}+/.{signature}"),
        format!("{header}.{claims}.\u{fc}"),
        format!("{}.{claims}.{signature}", encode(b"[]")),
        format!("{}.{claims}.{signature}", encode(b"{\"alg\":\"HS256\"")),
        format!("{header}.{}.{signature}", encode(b"\"ada\"")),
        format!("{header}.{}.{signature}", encode(b"\xff\xfe")),
        format!("{header}.{}.{signature}", encode(CLAIMS.replace('}', "} x").as_bytes())),
        format!("{header}.{}.{signature}", encode("[".repeat(3000).as_bytes())),
    ] {
        assert_eq!(look(&rule(), &bad), Err(Refusal::Malformed), "{bad}");
    }
    assert_eq!(
        open(b"\xff.\xff.\xff", &rule(), &keys(), Timestamp::EPOCH).unwrap_err(),
        Refusal::Malformed
    );
}

#[test]
fn a_name_twice_is_refused_in_header_and_claims() {
    let header = r#"{"alg":"HS256","kid":"shared","alg":"HS256"}"#;
    assert_eq!(refused(header, CLAIMS), Refusal::Malformed);
    for claims in [
        r#"{"sub":"ada","exp":1800000300,"sub":"bob"}"#,
        r#"{"exp":1,"sub":"ada","exp":1800000300}"#,
        r#"{"sub":"ada","exp":1800000300,"s\u0075b":"bob"}"#,
    ] {
        assert_eq!(refused(HEADER, claims), Refusal::Malformed, "{claims}");
    }
}

#[test]
fn times_count_to_the_second_with_the_skew_on_either_side() {
    let at = |claims: &str| look(&rule(), &token(HEADER, claims)).map(|_| ());
    let with = |times: &str| at(&format!(r#"{{"sub":"ada",{times}}}"#));
    // The skew is 60 s. The end is the first instant at which the token does not count.
    assert_eq!(with(&format!(r#""exp":{}"#, NOW - 59)), Ok(()));
    assert_eq!(with(&format!(r#""exp":{}"#, NOW - 60)), Err(Refusal::Expired));
    assert_eq!(with(&format!(r#""exp":{}.5"#, NOW - 60)), Ok(()));
    let later = NOW + 300;
    for begin in ["nbf", "iat"] {
        assert_eq!(with(&format!(r#""exp":{later},"{begin}":{}"#, NOW + 60)), Ok(()));
        assert_eq!(
            with(&format!(r#""exp":{later},"{begin}":{}"#, NOW + 61)),
            Err(Refusal::NotYetValid)
        );
    }
    for (exp, expected) in [
        ("0", Err(Refusal::Expired)),
        ("-1", Err(Refusal::Expired)),
        ("-1e300", Err(Refusal::Expired)),
        ("1e300", Ok(())),
        ("18446744073709551615", Ok(())),
        ("99999999999999999999999999", Ok(())),
        ("1e999", Err(Refusal::Malformed)),
        ("\"1800000300\"", Err(Refusal::Malformed)),
        ("null", Err(Refusal::Malformed)),
        ("true", Err(Refusal::Malformed)),
    ] {
        assert_eq!(with(&format!(r#""exp":{exp}"#)), expected, "{exp}");
    }
    assert_eq!(at(r#"{"sub":"ada"}"#), Err(Refusal::NoExpiry));
}

#[test]
fn issuer_and_audience_are_the_ones_expected() {
    let mut rule = rule();
    rule.issuer = Some("https://id.example".into());
    rule.audience = vec!["api".into(), "web".into()];
    for (claims, expected) in [
        (r#""iss":"https://id.example","aud":"api""#, Ok(())),
        (r#""iss":"https://id.example","aud":["x","web"]"#, Ok(())),
        (r#""iss":"https://id.example/","aud":"api""#, Err(Refusal::Issuer)),
        (r#""iss":["https://id.example"],"aud":"api""#, Err(Refusal::Issuer)),
        (r#""aud":"api""#, Err(Refusal::Issuer)),
        (r#""iss":"https://id.example""#, Err(Refusal::Audience)),
        (r#""iss":"https://id.example","aud":"apis""#, Err(Refusal::Audience)),
        (r#""iss":"https://id.example","aud":[]"#, Err(Refusal::Audience)),
        (r#""iss":"https://id.example","aud":{"api":1}"#, Err(Refusal::Audience)),
    ] {
        let token = token(HEADER, &format!(r#"{{"sub":"ada","exp":1800000300,{claims}}}"#));
        assert_eq!(look(&rule, &token).map(|_| ()), expected, "{claims}");
    }
}

#[test]
fn a_token_for_another_audience_does_not_count_where_the_policy_names_none() {
    let claims = r#"{"sub":"ada","exp":1800000300,"aud":"another-service"}"#;
    assert_eq!(refused(HEADER, claims), Refusal::Audience);
}

#[test]
fn a_user_has_a_name_that_keys_and_logs_can_hold() {
    let named = |sub: &str| {
        let claims = format!(r#"{{"sub":{sub},"id":{sub},"exp":1800000300}}"#);
        token(HEADER, &claims)
    };
    let long = format!("\"{}\"", "x".repeat(256));
    for sub in ["7", "null", "[\"ada\"]", "{}", "true", "\"\"", "\"a\\nb\"", &long] {
        assert_eq!(look(&rule(), &named(sub)), Err(Refusal::User), "{sub}");
    }
    assert!(look(&rule(), &named(&format!("\"{}\"", "x".repeat(255)))).is_ok());
    assert_eq!(refused(HEADER, r#"{"exp":1800000300}"#), Refusal::User);

    let mut by_id = rule();
    by_id.user = "id".into();
    assert_eq!(look(&by_id, &named("7")), Ok(("7".into(), 0)));
    assert_eq!(look(&by_id, &named("7.5")), Err(Refusal::User));
}

#[test]
fn only_small_and_plain_claims_are_kept() {
    let team = |value: &str| {
        let token = token(HEADER, &format!(r#"{{"sub":"ada","exp":1800000300,"team":{value}}}"#));
        let opened = open(token.as_bytes(), &rule(), &keys(), Timestamp::from_secs(NOW));
        let user = opened.unwrap().verified(true).unwrap().user;
        user.claim("team").map(ToString::to_string)
    };
    assert_eq!(team("\"red\"").as_deref(), Some("red"));
    assert_eq!(team("-7").as_deref(), Some("-7"));
    assert_eq!(team("true").as_deref(), Some("true"));
    for value in ["null", "[1]", "{}", "1.5", &format!("\"{}\"", "x".repeat(256))] {
        assert_eq!(team(value), None, "{value}");
    }
}

#[test]
fn a_key_set_has_the_keys_that_are_for_us() {
    let n = encode(&[0xff; 256]);
    let (x, y) = (encode(&[1; 32]), encode(&[2; 32]));
    let rsa = |more: &str| format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"{more}}}"#);
    let ec = |more: &str| format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"{more}}}"#);
    let read = |keys: &[String]| {
        KeySet::from_jwks(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    };
    let set = read(&[
        rsa(r#","kid":"a","use":"sig","alg":"RS256","x5c":["MII"]"#),
        ec(r#","kid":"b","key_ops":["verify"]"#),
    ]);
    let set = set.unwrap();
    let found: Vec<_> =
        set.keys().iter().map(|key| (key.kid.as_deref(), key.algorithm())).collect();
    assert_eq!(found, [(Some("a"), Algorithm::Rs256), (Some("b"), Algorithm::Es256)]);

    for unfit in [
        // A secret in public is none.
        r#"{"kty":"oct","k":"AAAA","kid":"a","alg":"HS256"}"#.into(),
        rsa(r#","alg":"HS256""#),
        rsa(r#","alg":"RS512""#),
        rsa(r#","use":"enc""#),
        rsa(r#","key_ops":["sign"]"#),
        format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, encode(&[0xff; 128])),
        format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, encode(&[0xff; 2048])),
        r#"{"kty":"RSA","n":"?","e":"AQAB"}"#.into(),
        format!(r#"{{"kty":"EC","crv":"P-384","x":"{x}","y":"{y}"}}"#),
        r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#.into(),
        "7".into(),
    ] {
        assert_eq!(read(core::slice::from_ref(&unfit)), Err(BadKeySet::Empty), "{unfit}");
        assert_eq!(read(&[unfit.clone(), ec("")]).unwrap().keys().len(), 1, "{unfit}");
    }
    for (json, expected) in [
        ("", BadKeySet::Malformed),
        ("[]", BadKeySet::Malformed),
        ("{}", BadKeySet::Malformed),
        (r#"{"keys":{}}"#, BadKeySet::Malformed),
        (r#"{"keys":[]}"#, BadKeySet::Empty),
        (&" ".repeat(70_000), BadKeySet::Oversized),
    ] {
        assert_eq!(KeySet::from_jwks(json.as_bytes()), Err(expected));
    }
}

#[test]
fn neither_keys_nor_tokens_show_what_is_in_them() {
    let token = token(HEADER, CLAIMS);
    let opened = open(token.as_bytes(), &rule(), &keys(), Timestamp::from_secs(NOW)).unwrap();
    assert_eq!(format!("{opened:?}"), "Unverified { key: 0, .. }");
    assert_eq!(format!("{:?}", keys().keys()[0]), "Key(shared, HS256)");
}
