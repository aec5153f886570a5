//! `[identity.jwt]`: which tokens name the user.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::declare::{section, words};
use super::decode::{Context, Decode, FromText, Located};
use super::fields::FieldName;
use super::resolve::claims;
use super::secret::SecretName;
use super::sections::RouteSection;
use super::shape::Shape;
use super::values::Ttl;
use crate::headers::list::is_token_byte;
use crate::policy::Malformed;
use crate::token::{Algorithm, Key, Material, OnInvalid, RemoteKeys, TokenRule, TokenSource};

/// By how much clocks may differ where the policy says nothing.
const SKEW: Duration = Duration::from_secs(60);
/// More is a way to keep old tokens alive.
const SKEW_MAX: Duration = Duration::from_secs(600);
/// How often a key set is asked for where the policy says nothing.
const REFRESH: Duration = Duration::from_secs(600);
/// A key set that is asked for more often is a load on whoever has it.
const REFRESH_MIN: Duration = Duration::from_secs(1);

section! {
    /// Which JSON Web Tokens name the user. A token counts when one of these keys signed it with
    /// the key's own algorithm, its times are right, and issuer and audience are as expected.
    struct JwtSection, "`[identity.jwt]`" {
        /// Where requests have it: `authorization` (the default: behind `Bearer`),
        /// `cookie:NAME` or `header:NAME`.
        optional from: TokenSource,
        /// The `iss` that tokens must have.
        optional issuer: String,
        /// Who we are: tokens with an `aud` must name one of these, and tokens without are
        /// refused where any is written here.
        default audience: Vec<String>,
        /// The claim that names the user, `sub` without it.
        optional user: String,
        /// By how much clocks may differ, `60s` without it.
        optional skew: Located<Ttl>,
        /// Keys that are known beforehand.
        default keys: Vec<Located<TokenKeySection>>,
        /// The URL of a JSON Web Key Set with further keys for RS256 and ES256: `https`, or
        /// `http` on this machine.
        optional jwks: Located<String>,
        /// How often the key set is asked for, `10m` without it. A token with an unknown `kid`
        /// may ask for it ahead of time, once in as long.
        optional refresh: Located<Ttl>,
        /// What a bad token means: `anonymous` (the default: limits do not count by it, and its
        /// answers are nobody else's) or `deny` (401).
        optional on_invalid: OnInvalid,
    }
}

section! {
    /// A key, for one algorithm: HS256 has `secret`, RS256 `n` and `e`, ES256 `x` and `y`, as in
    /// the public key's JWK.
    struct TokenKeySection, "a key" {
        /// The one algorithm that it is for.
        required alg: Algorithm,
        /// What tokens call it. A key without is for tokens whose `kid` no other key has.
        optional kid: String,
        /// The name of the variable that holds the secret, written `${NAME}`: 32 bytes or more.
        /// The shim has it in its environment, the worker as a secret of that name.
        optional secret: SecretName,
        /// The modulus of the RSA key.
        optional n: String,
        /// The exponent of the RSA key, `AQAB` as a rule.
        optional e: String,
        /// One coordinate of the point on P-256.
        optional x: String,
        /// The other coordinate.
        optional y: String,
    }
}

words!(Algorithm, "algorithm", {
    "HS256" => Self::Hs256,
    "RS256" => Self::Rs256,
    "ES256" => Self::Es256,
});
words!(OnInvalid, "choice", { "anonymous" => Self::Anonymous, "deny" => Self::Deny });

/// Builds the rule. The claims to keep are those that the names of `routes` are made of.
pub(super) fn resolve(
    section: Located<JwtSection>,
    routes: &[Located<RouteSection>],
    context: &mut Context<'_>,
) -> TokenRule {
    let Located { value: section, span } = section;
    if section.keys.is_empty() && section.jwks.is_none() {
        context.report(
            span,
            "`[identity.jwt]` has no key to check tokens with",
            "add `keys = [{ alg = \"HS256\", secret = \"${JWT_SECRET}\" }]` or `jwks = \"https://…\"`",
        );
    }
    let skew = section.skew.map_or(SKEW, |skew| {
        let Ttl(value) = skew.value;
        if value > SKEW_MAX {
            let hint = "clocks that tell the time by NTP differ by less than a second";
            context.report(skew.span, "a `skew` beyond ten minutes keeps old tokens alive", hint);
        }
        value
    });
    if let (None, Some(refresh)) = (&section.jwks, &section.refresh) {
        context.report(refresh.span.clone(), "`refresh` is for `jwks`", "name the key set's URL");
    }
    let jwks = section.jwks.map(|url| remote(url, section.refresh, context));
    let mut names: Vec<String> = routes.iter().flat_map(|route| used(&route.value)).collect();
    names.sort_unstable();
    names.dedup();
    let keys: Vec<Key> = section.keys.into_iter().filter_map(|key| local(key, context)).collect();
    TokenRule {
        from: section.from.unwrap_or(TokenSource::Authorization),
        issuer: section.issuer,
        audience: section.audience,
        user: section.user.unwrap_or_else(|| "sub".into()),
        skew,
        claims: names,
        keys,
        jwks,
        on_invalid: section.on_invalid.unwrap_or(OnInvalid::Anonymous),
    }
}

/// The claims that the names of a route are made of.
fn used(route: &RouteSection) -> impl Iterator<Item = String> {
    let key = route.key.iter().filter_map(|key| key.value.name.as_ref());
    key.chain(&route.tags.value).chain(&route.invalidates.value).flat_map(claims)
}

/// A key that the policy names: of its algorithm's parts and no others.
fn local(section: Located<TokenKeySection>, context: &mut Context<'_>) -> Option<Key> {
    let Located { value: TokenKeySection { alg, kid, secret, n, e, x, y }, span } = section;
    let material = match (alg, secret, n, e, x, y) {
        (Algorithm::Hs256, Some(SecretName(name)), None, None, None, None) => {
            Material::Secret(name)
        }
        (Algorithm::Rs256, None, Some(n), Some(e), None, None) => Material::Rsa { n, e },
        (Algorithm::Es256, None, None, None, Some(x), Some(y)) => Material::P256 { x, y },
        _ => {
            let parts = match alg {
                Algorithm::Hs256 => "`secret = \"${NAME}\"`",
                Algorithm::Rs256 => "`n` and `e`, as in the public key's JWK",
                Algorithm::Es256 => "`x` and `y`, as in the public key's JWK",
            };
            let message = format!("a key for {} has other parts", alg.as_str());
            context.report(span, message, format!("write {parts}, and nothing else"));
            return None;
        }
    };
    if let Err(wrong) = material.check() {
        context.report(span, wrong, "take the numbers from the public key's JWK");
        return None;
    }
    Some(Key { kid, material })
}

fn remote(
    url: Located<String>,
    refresh: Option<Located<Ttl>>,
    context: &mut Context<'_>,
) -> RemoteKeys {
    if let Err(bad) = check_url(&url.value) {
        context.report(url.span, bad.message, bad.hint);
    }
    let refresh = refresh.map_or(REFRESH, |refresh| {
        let Ttl(value) = refresh.value;
        if value < REFRESH_MIN {
            context.report(refresh.span, "a `refresh` below a second", "write `\"10m\"`");
        }
        value
    });
    RemoteKeys { url: url.value, refresh }
}

/// Whoever can answer for a key set can make users up, so it comes by TLS, or from this
/// machine.
fn check_url(url: &str) -> Result<(), Malformed> {
    let bad = |message: String| {
        Malformed::new(message, "write a URL like `https://id.example.com/.well-known/jwks.json`")
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| bad(format!("`{url}` is no URL")))?;
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    let host = crate::host::Host::parse(authority, crate::host::Scheme::Https)
        .map_err(|_| bad(format!("`{url}` names no host")))?;
    let printable = url.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'#');
    let is_here = matches!(host.name(), "localhost" | "127.0.0.1" | "[::1]");
    match scheme {
        "https" if printable => Ok(()),
        "http" if printable && is_here => Ok(()),
        "http" if printable => Err(Malformed::new(
            "a key set by plain `http` from another machine can be anybody's",
            "use `https`; `http` is for 127.0.0.1, [::1] and localhost",
        )),
        _ => Err(bad(format!("`{url}` is no URL of https"))),
    }
}

impl FromText for TokenSource {
    fn shape() -> Shape {
        Shape::Text("`authorization`, `cookie:NAME` or `header:NAME`")
    }

    fn from_text(text: &str) -> Result<Self, Malformed> {
        let bad = || {
            Malformed::new(
                format!("`{text}` is no place for a token"),
                "write `authorization`, `cookie:NAME` or `header:NAME`",
            )
        };
        match text.split_once(':') {
            None if text.eq_ignore_ascii_case("authorization") => Ok(Self::Authorization),
            Some(("cookie", name)) if !name.is_empty() && name.bytes().all(is_token_byte) => {
                Ok(Self::Cookie(name.into()))
            }
            Some(("header", name)) => match FieldName::from_text(name)?.0 {
                name if name == "authorization" => Ok(Self::Authorization),
                name => Ok(Self::Header(name)),
            },
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;
    use alloc::string::ToString;

    const KEYS: &str = r#"keys = [{ kid = "a", alg = "HS256", secret = "${JWT_SECRET}" }]"#;

    fn report(jwt: &str) -> String {
        let source = format!("schema = 1\n[identity.jwt]\n{jwt}\n");
        match read(&source, &|_| None) {
            Ok(_) => "good".into(),
            Err(report) => report.to_string(),
        }
    }

    #[test]
    fn c2_a_token_may_name_the_team() {
        let source = format!(
            "schema = 1\n[identity.jwt]\n{KEYS}\n[[routes]]\nname = \"a\"\nmatch = \"/:id\"\n\
             key = \"team:{{claim:team}}:{{id}}\"\norigin = \"respect\"\n"
        );
        let policy = read(&source, &|_| None).unwrap();
        let rule = policy.model().identity.jwt.as_ref().unwrap();
        assert_eq!((rule.claims.as_slice(), &*rule.user), (&["team".to_string()][..], "sub"));
        assert_eq!((rule.skew, rule.on_invalid), (SKEW, OnInvalid::Anonymous));
        let key = &policy.model().routes[0].origin.as_ref().unwrap().key;
        assert_eq!((key.claims.len(), key.identity), (1, false));

        let alone = source.replace("[identity.jwt]", "").replace(KEYS, "");
        let report = read(&alone, &|_| None).unwrap_err().to_string();
        assert!(report.contains("nothing verifies them"), "{report}");
    }

    #[test]
    fn a_policy_carries_the_name_of_a_secret_and_never_the_secret() {
        let source = format!("schema = 1\n[identity.jwt]\n{KEYS}\n");
        let policy = read(&source, &|name| {
            panic!("{name} is looked up where the policy is read");
        });
        let json = policy.unwrap().to_json();
        assert!(json.contains(r#"{"kid":"a","material":{"secret":"JWT_SECRET"}}"#), "{json}");
        assert_eq!(crate::Policy::from_json(&json).unwrap().to_json(), json);
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_repeated() {
        for secret in ["hunter2hunter2", "${JWT_SECRET:-hunter2}", "x${A}hunter2", "hünter2"] {
            let report = report(&format!(
                r#"keys = [{{ kid = "a", alg = "HS265", secret = "{secret}", x = 1 }}]"#
            ));
            assert!(report.contains("a secret stands in the environment"), "{report}");
            assert!(report.contains("no algorithm"), "{report}");
            assert!(!report.contains("nter2"), "{report}");
        }
        let report = report("keys = [{ alg = \"HS256\", secret = 123456 }]");
        assert!(!report.contains("123456"), "{report}");
    }

    #[test]
    fn what_makes_no_sense_is_an_error_at_its_place() {
        let n = format!("{}w", "_".repeat(341));
        for (jwt, expected) in [
            ("", "no key to check tokens with"),
            ("from = \"cookies:a\"\njwks = \"https://id.example/k\"", "no place for a token"),
            ("from = \"header:a b\"\njwks = \"https://id.example/k\"", "no header field"),
            ("skew = \"11m\"\njwks = \"https://id.example/k\"", "keeps old tokens alive"),
            ("jwks = \"http://id.example/k\"", "can be anybody's"),
            ("jwks = \"http://127.0.0.1.evil.example/k\"", "can be anybody's"),
            ("jwks = \"ftp://id.example/k\"", "no URL of https"),
            ("jwks = \"id.example/k\"", "is no URL"),
            ("jwks = \"https://id.example/k\"\nrefresh = \"10ms\"", "below a second"),
            ("keys = [{ alg = \"HS256\", n = \"AQAB\", e = \"AQAB\" }]", "has other parts"),
            ("keys = [{ alg = \"RS256\", secret = \"${A}\" }]", "has other parts"),
            ("keys = [{ alg = \"RS256\", n = \"AQAB\", e = \"AQAB\" }]", "2048 bits at least"),
            ("keys = [{ alg = \"ES256\", x = \"AQAB\", y = \"AQAB\" }]", "32 bytes each"),
            ("keys = [{ alg = \"none\" }]", "no algorithm"),
            (&format!("{KEYS}\nrefresh = \"5m\""), "`refresh` is for `jwks`"),
            (&format!("{KEYS}\non_invalid = \"allow\""), "no choice"),
            (&format!("{KEYS}\nissuers = \"a\""), "did you mean `issuer`?"),
        ] {
            assert!(report(jwt).contains(expected), "{jwt}\n{}", report(jwt));
        }
        for jwt in [
            KEYS.into(),
            format!("keys = [{{ alg = \"RS256\", n = \"{n}\", e = \"AQAB\" }}]"),
            "jwks = \"http://[::1]:9/k\"\nrefresh = \"5m\"".into(),
            "from = \"cookie:session\"\njwks = \"https://id.example:8443/k?a=b\"".into(),
        ] {
            assert_eq!(report(&jwt), "good", "{jwt}");
        }
    }
}
