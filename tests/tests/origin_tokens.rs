//! The shim's users by their tokens: whose entry, whose quota, and which tokens make nobody.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_tests::{
    cache_status::CacheStatus,
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    shim::{Shim, explain_with, refused_serve, refused_serve_with},
    tokens::{KeyServer, Signer, now},
    wire::{Request, Response},
};

#[test]
fn c2_a_user_has_one_entry_whichever_token_and_others_have_theirs() {
    let (rsa, ec) = (Signer::rs256("r"), Signer::es256("e"));
    let keys = format!("keys = [{HS256}, {}, {}]", rsa.toml(), ec.toml());
    for signer in [&Signer::hs256("h", SECRET.as_bytes()), &rsa, &ec] {
        let gate = Gate::open(&keys);
        let first = signer.claiming(json!({ "sub": "ada", "exp": now() + 300 }));
        let second = signer.claiming(json!({ "sub": "ada", "exp": now() + 900, "jti": "2" }));
        assert_ne!(first, second);
        assert_eq!(gate.profile(&first), Entry::New);
        assert_eq!(gate.profile(&second), Entry::Known, "the same user by another token");
        assert_eq!(gate.profile(&signer.token("bob")), Entry::New);
        assert_eq!(gate.profile(&signer.token("bob")), Entry::Known);
        assert_eq!(gate.asked_origin(), 2);
    }
}

#[test]
fn c12_the_name_of_an_entry_has_the_verified_user() {
    let gate = Gate::open(&format!("keys = [{HS256}]"));
    let answer = gate.ask(&hs256().token("ada"));
    let status = answer.header("cache-status").expect("Cache-Status");
    assert!(status.contains(r#"key="user:ada:profile""#), "{status}");
}

#[test]
fn c2_a_verified_team_shares_its_answer_and_a_made_up_one_does_not() {
    let policy = with_tokens(&format!("keys = [{HS256}]"))
        .replacing("key = \"team:{id}:plugins:{user}\"", "key = \"team:{claim:team}:plugins\"");
    let gate = Gate::serve(&policy);
    let member = |user: &str, team: Value| {
        hs256().claiming(json!({ "sub": user, "team": team, "exp": now() + 300 }))
    };
    let plugins = |token: &str| gate.entry(&gate.ask_for(PLUGINS, token));
    assert_eq!(plugins(&member("ada", json!("7"))), Entry::New);
    assert_eq!(plugins(&member("bob", json!(7))), Entry::Known);
    assert_eq!(plugins(&member("eve", json!("8"))), Entry::New);
    assert_eq!(plugins(&member("eve", Value::Null)), Entry::New, "of no team");
    let forged = Signer::hs256("h", b"another secret, of 32 bytes or more");
    let forged = forged.claiming(json!({ "sub": "eve", "team": "7", "exp": now() + 300 }));
    assert_eq!(plugins(&forged), Entry::New, "said to be of the team");
}

#[test]
fn r1_a_user_has_one_quota_at_every_address() {
    let gate = Gate::open(&format!("keys = [{HS256}]"));
    let ask = |address, token: &str| {
        let request = Request::get(LIMITED).by(token);
        gate.shim.client().at_loopback(address).send(&request).status
    };
    let (first, second) =
        (hs256().token("ada"), { hs256().claiming(json!({ "sub": "ada", "exp": now() + 900 })) });
    assert_eq!([ask(2, &first), ask(3, &second), ask(4, &first)], [200; 3]);
    assert_eq!(ask(5, &second), 429, "three are allowed");
    assert_eq!(ask(2, &hs256().token("bob")), 200, "another user at the same address");
}

#[test]
fn r1_a_made_up_token_has_no_quota_of_its_own() {
    let gate = Gate::open(&format!("keys = [{HS256}]"));
    let forger = Signer::hs256("h", b"another secret, of 32 bytes or more");
    let ask = |token: &str| {
        let request = Request::get(LIMITED).by(token);
        gate.shim.client().at_loopback(2).send(&request).status
    };
    let statuses: Vec<u16> = (0..5).map(|n| ask(&forger.token(&format!("user-{n}")))).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(ask(&hs256().token("ada")), 200, "a real user there is not affected");
}

#[test]
fn c2_a_bad_token_meets_neither_the_users_entry_nor_anybody_elses() {
    let rsa = Signer::rs256("r");
    let gate = Gate::open(&format!("keys = [{HS256}, {}]", rsa.toml()));
    assert_eq!(gate.profile(&hs256().token("ada")), Entry::New);
    let anonymous = gate.shim.client().get(PROFILE);
    assert_eq!(anonymous.status, 401, "the demo wants somebody");
    for (what, token) in bad_tokens(&rsa) {
        assert_eq!(gate.profile(&token), Entry::New, "{what}");
    }
    assert_eq!(gate.profile(&hs256().token("ada")), Entry::Known);
}

#[test]
fn r1_a_policy_may_deny_bad_tokens() {
    let rsa = Signer::rs256("r");
    let keys = format!("keys = [{HS256}, {}]", rsa.toml());
    let gate = Gate::open(&format!("{keys}\non_invalid = \"deny\""));
    for (what, token) in bad_tokens(&rsa) {
        // From an address of their own each: denied requests count, too.
        let answer = gate.ask(&token);
        assert_eq!(answer.status, 401, "{what}");
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with(r#"Bearer error="invalid_token", "#), "{challenge}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(!answer.json().to_string().contains(&token), "{what}");
    }
    assert_eq!(gate.asked_origin(), 0);
    assert_eq!(gate.ask(&hs256().token("ada")).status, 200);
    assert_eq!(gate.shim.client().get("/api/v1/marketplace").status, 200, "without a token");

    let forged = Request::get(LIMITED).by("a.b.c");
    let client = gate.shim.client().at_loopback(9);
    let statuses: Vec<u16> = (0..4).map(|_| client.send(&forged).status).collect();
    assert_eq!(statuses, [401, 401, 401, 429], "who guesses is counted");
}

#[test]
fn c2_a_token_may_be_in_a_cookie() {
    let gate = Gate::open(&format!("from = \"cookie:session\"\nkeys = [{HS256}]"));
    let ask = |token: &str| {
        let cookie = format!("theme=dark; session={token}");
        let request = Request::get("/api/v1/user/profile").header("Cookie", &cookie);
        CacheStatus::of(&gate.shim.client().send(&request.by("demo")))
    };
    let _ = ask(&hs256().token("ada"));
    let again = ask(&hs256().claiming(json!({ "sub": "ada", "exp": now() + 900 })));
    assert!(again.hop("tidegate-origin").hit(), "{again:?}");
}

#[test]
fn c2_new_keys_of_a_set_are_fetched_once_ahead_of_time_and_old_ones_end() {
    let (old, new, newest) = (Signer::es256("1"), Signer::es256("2"), Signer::rs256("3"));
    let server = KeyServer::with(&[&old]);
    let gate = Gate::open(&deny(&server, "1h"));
    assert_eq!((server.asked(), gate.ask(&old.token("ada")).status), (1, 200));
    // Nobody remembers this one, so it is looked at anew.
    let unseen = old.claiming(json!({ "sub": "ada", "exp": now() + 900 }));

    server.publish(&[&new]);
    assert_eq!(gate.ask(&new.token("ada")).status, 200, "the unknown key made the shim ask");
    assert_eq!(server.asked(), 2);
    assert_eq!(gate.ask(&unseen).status, 401, "the old key is gone");
    assert_eq!(gate.ask(&old.token("ada")).status, 401, "and what it vouched for");

    server.publish(&[&newest]);
    assert_eq!(gate.ask(&newest.token("ada")).status, 401, "only once in the interval");
    assert_eq!((server.asked(), gate.ask(&new.token("ada")).status), (2, 200));
}

#[test]
fn c2_a_key_set_is_refreshed_in_its_interval_and_outlives_a_broken_server() {
    let (old, new) = (Signer::rs256("1"), Signer::es256("2"));
    let server = KeyServer::with(&[&old]);
    let gate = Gate::open(&deny(&server, "1s"));
    server.publish(&[&old, &new]);
    eventually(|| gate.ask(&new.token("ada")).status == 200);

    server.say(500, "{}");
    let asked = server.asked();
    eventually(|| server.asked() >= asked + 2);
    assert_eq!(gate.ask(&old.token("ada")).status, 200, "the last good keys stay");
    server.say(200, r#"{"keys":[]}"#);
    let asked = server.asked();
    eventually(|| server.asked() >= asked + 2);
    assert_eq!(gate.ask(&new.token("bob")).status, 200, "an empty set is a broken one");
}

#[test]
fn c3_a_key_set_that_cannot_be_had_fails_no_request_and_denies_with_503() {
    let signer = Signer::es256("1");
    let server = KeyServer::with(&[]);
    server.say(500, "");
    let gate = Gate::open(&format!("jwks = \"{}\"\nrefresh = \"1h\"", server.url()));
    assert_eq!(gate.profile(&signer.token("ada")), Entry::New);

    let gate = Gate::open(&deny(&server, "1s"));
    let answer = gate.ask(&signer.token("ada"));
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    server.publish(&[&signer]);
    eventually(|| gate.ask(&signer.token("ada")).status == 200);
}

#[test]
fn nothing_is_served_without_the_secret_and_no_secret_is_printed() {
    let policy = with_tokens(&format!("keys = [{HS256}]"));
    let refused = refused_serve(&policy);
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("`JWT_SECRET` is not set"), "{}", refused.stderr);
    let refused = refused_serve_with(&policy, &[("JWT_SECRET", "too-short")]);
    assert!(refused.stderr.contains("shorter than 32 bytes"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("too-short"), "{}", refused.stderr);
}

#[test]
fn c2_explain_says_whose_a_token_is_or_why_nobodys() {
    let policy = with_tokens(&format!("keys = [{HS256}]\non_invalid = \"deny\""));
    let explained = |arguments: &[&str], token: &str| {
        let header = format!("Authorization: Bearer {token}");
        let arguments = [arguments, &["-H", &header, "/api/v1/user/profile"]].concat();
        let said = explain_with(&policy, &arguments, &[("JWT_SECRET", SECRET)]);
        assert!(said.status.success(), "{}", said.stderr);
        for secret in [SECRET, token] {
            assert!(!said.stdout.contains(secret) && !said.stderr.contains(secret));
        }
        said.stdout
    };
    let good = hs256().token("ada");
    assert!(explained(&[], &good).contains("user ada"));
    let json: Value = serde_json::from_str(&explained(&["--json"], &good)).unwrap();
    assert_eq!(
        (&json["identity"]["kind"], &json["identity"]["user"]),
        (&json!("user"), &json!("ada"))
    );

    let old = hs256().claiming(json!({ "sub": "ada", "exp": now() - 3600 }));
    let text = explained(&[], &old);
    assert!(text.contains("The token has expired (token-expired); answered with 401"), "{text}");
    let json: Value = serde_json::from_str(&explained(&["--json"], &old)).unwrap();
    assert_eq!(json["identity"]["refused"], "token-expired");
}

const SECRET: &str = "of the tests, and no longer a secret";
const HS256: &str = r#"{ kid = "h", alg = "HS256", secret = "${JWT_SECRET}" }"#;
const PROFILE: &str = "/api/v1/user/profile";
const PLUGINS: &str = "/api/v1/teams/7/my-plugins";
/// An endpoint that nothing caches, so that each admitted request is counted.
const LIMITED: &str = "/api/v1/custom";

/// A shim of three requests a minute.
struct Gate {
    shim: Shim,
    origin: DemoOrigin,
}

#[derive(Debug, PartialEq)]
enum Entry {
    New,
    Known,
}

impl Gate {
    fn open(jwt: &str) -> Self {
        Self::serve(&with_tokens(jwt))
    }

    fn serve(policy: &PolicyFile) -> Self {
        let origin = DemoOrigin::start();
        let environment = [("JWT_SECRET", SECRET), ("API_RATE_LIMIT", "3")];
        let policy = policy.replacing(
            "name = \"profile\"\nmatch = \"/api/v1/user/profile\"\nupstream = \"base_svc\"\nlimit = \"standard\"",
            "name = \"profile\"\nmatch = \"/api/v1/user/profile\"\nupstream = \"base_svc\"",
        );
        Self { shim: Shim::serve_with(&policy, &origin, &environment), origin }
    }

    fn ask(&self, token: &str) -> Response {
        self.ask_for(PROFILE, token)
    }

    /// From an address of its own each time, where nothing else is asked.
    fn ask_for(&self, path: &str, token: &str) -> Response {
        self.shim.client().send(&Request::get(path).by(token))
    }

    fn profile(&self, token: &str) -> Entry {
        self.entry(&self.ask(token))
    }

    #[track_caller]
    fn entry(&self, answer: &Response) -> Entry {
        assert_eq!(answer.status, 200, "{answer:?}");
        match CacheStatus::of(answer).hop("tidegate-origin").hit() {
            true => Entry::Known,
            false => Entry::New,
        }
    }

    fn asked_origin(&self) -> u64 {
        self.origin.base().served(PROFILE)
    }
}

fn with_tokens(jwt: &str) -> PolicyFile {
    let section = format!("credential = \"authorization\"\n\n[identity.jwt]\n{jwt}\n");
    PolicyFile::of_the_repository().replacing("credential = \"authorization\"\n", &section)
}

fn deny(server: &KeyServer, refresh: &str) -> String {
    format!("jwks = \"{}\"\nrefresh = \"{refresh}\"\non_invalid = \"deny\"", server.url())
}

fn hs256() -> Signer {
    Signer::hs256("h", SECRET.as_bytes())
}

/// Tokens that say they are ada's.
fn bad_tokens(rsa: &Signer) -> Vec<(&'static str, String)> {
    let ada = || json!({ "sub": "ada", "exp": now() + 300 });
    let good = hs256().token("ada");
    let (input, signature) = good.rsplit_once('.').expect("three parts");
    let (header, _) = input.split_once('.').expect("two parts");
    let bob = hs256().token("bob");
    let modulus = rsa.jwk()["n"].as_str().expect("a modulus").to_owned();
    let as_secret = |secret: &[u8]| {
        Signer::hs256("r", secret).signing(json!({ "alg": "HS256", "kid": "r" }), ada())
    };
    vec![
        ("expired", hs256().claiming(json!({ "sub": "ada", "exp": now() - 61 }))),
        (
            "of the future",
            hs256().claiming(json!({ "sub": "ada", "exp": now() + 900, "nbf": now() + 300 })),
        ),
        ("without end", hs256().claiming(json!({ "sub": "ada" }))),
        ("unsigned", hs256().signing(json!({ "alg": "none", "kid": "h" }), ada())),
        (
            "unsigned, by the letter",
            format!("{}.", {
                let none = hs256().signing(json!({ "alg": "none" }), ada());
                none.rsplit_once('.').expect("three parts").0.to_owned()
            }),
        ),
        ("of another secret", Signer::hs256("h", &[7; 32]).token("ada")),
        ("of another algorithm", hs256().signing(json!({ "alg": "HS512", "kid": "h" }), ada())),
        ("the public key for a secret", as_secret(modulus.as_bytes())),
        ("the public JWK for a secret", as_secret(rsa.jwk().to_string().as_bytes())),
        ("of an unknown key", Signer::hs256("x", SECRET.as_bytes()).token("ada")),
        ("with a changed payload", {
            let payload = bob.split('.').nth(1).expect("a payload");
            format!("{header}.{payload}.{signature}")
        }),
        ("with a cut signature", good[..good.len() - 4].to_owned()),
        ("with a dot too many", format!("{good}.")),
        ("no token at all", "ada".to_owned()),
        (
            "oversized",
            hs256().claiming(json!({ "sub": "ada", "exp": now() + 300, "x": "x".repeat(7000) })),
        ),
    ]
}

/// Asks until it holds; asking is the only way to know.
#[track_caller]
fn eventually(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came about");
        std::thread::yield_now();
    }
}
