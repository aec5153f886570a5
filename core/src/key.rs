//! The cache key: which requests one stored answer suits (RFC 9111 §2, §4.1).
//!
//! Scheme, host and path are always in it. Every part stands behind its kind and its length,
//! so that no two different requests share a key by running together.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::device::DeviceClass;
use crate::headers::{Fields, cookie, list};
use crate::identity::Identity;
use crate::request::Request;
use crate::sort::sort_by;

/// What is in the key besides scheme, host and path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRule {
    /// Which parts of the query.
    #[serde(default)]
    pub query: QueryRule,
    /// Parameters in any order are the same query.
    #[serde(default)]
    pub sort_query: bool,
    /// Request fields, by lower-case name, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Cookies, by name, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cookies: Vec<String>,
    /// Which kind of device asks.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub device: bool,
    /// Who asks.
    #[serde(default)]
    pub identity: bool,
    /// What a verified token says of who asks, by the names of its claims, sorted. Who has not
    /// all of them verified is told apart by identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
}

/// Which query parameters tell one answer from another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueryRule {
    /// All.
    #[default]
    All,
    /// None: the query is ignored.
    None,
    /// These alone.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl KeyRule {
    /// Nothing but what every key has: scheme, host, path and the whole query.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all requests for one target have one key, whoever asks and with what fields.
    pub fn is_of_the_target(&self) -> bool {
        let Self { query: _, sort_query: _, headers, cookies, device, identity, claims } = self;
        headers.is_empty() && cookies.is_empty() && claims.is_empty() && !device && !identity
    }

    /// Whether answers under such keys are for some clients alone: an identity, a credential
    /// or a cookie tells them apart.
    pub fn is_personal(&self) -> bool {
        self.separates_credentials()
            || !self.cookies.is_empty()
            || self.headers.iter().any(|name| names_client(name))
    }

    /// Whether requests with different credentials have different keys, unless a verified
    /// claim says that they may share: then an `Authorization` is in the key (RFC 9111 §3.5).
    pub fn separates_credentials(&self) -> bool {
        self.identity || !self.claims.is_empty()
    }
}

/// What identifies an answer. Injective: equal keys come from requests that the policy calls
/// the same. `Display` shows it to people.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CacheKey(Box<[u8]>);

const SCHEME: u8 = b's';
const HOST: u8 = b'h';
const PATH: u8 = b'p';
const QUERY: u8 = b'q';
const FIELD: u8 = b'f';
const FIELD_VALUE: u8 = b'v';
const COOKIE: u8 = b'c';
const COOKIE_VALUE: u8 = b'w';
const DEVICE: u8 = b'd';
const IDENTITY: u8 = b'i';
const CLAIM: u8 = b't';
const CLAIM_VALUE: u8 = b'u';

/// Kind and length, which stand before every part.
const PART_HEAD: usize = 5;

impl CacheKey {
    /// The key of `request` under `rule`. Linear in its length; one allocation, or three
    /// when the query is filtered or sorted.
    pub fn of<F: Fields + ?Sized>(
        rule: &KeyRule,
        request: &Request<'_, F>,
        identity: &Identity,
    ) -> Self {
        let query = request.target.query().and_then(|query| rule.counting_query(query));
        let parts = Parts { rule, request, identity, query: query.as_deref() };
        // Twice through the parts, so that the key takes one allocation of its very length.
        let mut length = 0;
        parts.each(&mut |_, part| length += PART_HEAD + part.len());
        let mut key = Vec::with_capacity(length);
        parts.each(&mut |kind, part| put(&mut key, kind, part));
        Self(key.into())
    }

    /// The key of `request` under `rule` whatever its query: under which answers that suit
    /// several queries can be found.
    pub fn of_any_query<F: Fields + ?Sized>(
        rule: &KeyRule,
        request: &Request<'_, F>,
        identity: &Identity,
    ) -> Self {
        let rule = KeyRule { query: QueryRule::None, ..rule.clone() };
        Self::of(&rule, request, identity)
    }

    /// The key that was stored as these bytes; `None` where they cannot be one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = Self(bytes.into());
        let length: usize = key.parts().map(|(_, part)| PART_HEAD + part.len()).sum();
        (length == bytes.len() && !bytes.is_empty()).then_some(key)
    }

    /// The key as bytes, to be stored or hashed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parts with their kinds, in their order.
    fn parts(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &*self.0;
        core::iter::from_fn(move || {
            let (&kind, behind) = rest.split_first()?;
            let (length, behind) = behind.split_first_chunk::<4>()?;
            let (part, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            rest = behind;
            Some((kind, part))
        })
    }
}

/// What a key is made of.
struct Parts<'a, F: ?Sized> {
    rule: &'a KeyRule,
    request: &'a Request<'a, F>,
    identity: &'a Identity,
    query: Option<&'a str>,
}

impl<F: Fields + ?Sized> Parts<'_, F> {
    /// Hands out every part with its kind, in their order.
    #[inline]
    fn each(&self, take: &mut impl FnMut(u8, &[u8])) {
        let Self { rule, request, identity, query } = self;
        take(SCHEME, request.scheme.as_str().as_bytes());
        take(HOST, request.host.as_str().as_bytes());
        take(PATH, request.target.path().as_bytes());
        if let Some(query) = query {
            take(QUERY, query.as_bytes());
        }
        for name in &rule.headers {
            take(FIELD, name.as_bytes());
            values(request.fields, name).for_each(|value| take(FIELD_VALUE, value));
        }
        for name in &rule.cookies {
            take(COOKIE, name.as_bytes());
            cookie::values(request.fields, name).for_each(|value| take(COOKIE_VALUE, value));
        }
        if rule.device {
            take(DEVICE, DeviceClass::of(request.fields).as_str().as_bytes());
        }
        let mut by_identity = rule.identity;
        for name in &rule.claims {
            match identity.claim(name) {
                Some(value) => {
                    take(CLAIM, name.as_bytes());
                    take(CLAIM_VALUE, value.as_bytes());
                }
                None => by_identity = true,
            }
        }
        match identity {
            _ if !by_identity => {}
            Identity::Anonymous => take(IDENTITY, b"a"),
            Identity::Opaque(hash) => take(IDENTITY, hash.as_bytes()),
            Identity::Verified(user) => {
                take(IDENTITY, b"v");
                take(IDENTITY, user.name().as_bytes());
            }
        }
    }
}

impl KeyRule {
    /// What of the query is in the key; `None` when nothing is.
    pub(crate) fn counting_query<'q>(&self, query: &'q str) -> Option<Cow<'q, str>> {
        if self.query == QueryRule::All && !self.sort_query {
            return Some(Cow::Borrowed(query));
        }
        let counts = |parameter: &&str| match &self.query {
            QueryRule::All => true,
            QueryRule::None => false,
            QueryRule::Only(names) => names.iter().any(|n| n == parameter_name(parameter)),
            QueryRule::Except(names) => !names.iter().any(|n| n == parameter_name(parameter)),
        };
        let mut parameters: Vec<&str> = query.split('&').filter(counts).collect();
        if self.sort_query {
            // Stable and by name alone: `a=1&a=2` may differ from `a=2&a=1`.
            // Where they stand in the query is their order.
            let order = |parameter: &&str| parameter.as_ptr();
            sort_by(&mut parameters, |one, other| {
                (parameter_name(one), order(one)) < (parameter_name(other), order(other))
            });
        }
        (!parameters.is_empty()).then(|| Cow::Owned(parameters.join("&")))
    }
}

fn parameter_name(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(name, _)| name)
}

/// Whether what this request field holds may be a credential.
fn names_client(name: &str) -> bool {
    matches!(name, "authorization" | "cookie" | "proxy-authorization")
        || ["token", "secret", "session", "api-key"].into_iter().any(|word| name.contains(word))
}

/// All values of a request field; an absent one differs from an empty one.
fn values<'a, F: Fields + ?Sized>(fields: &'a F, name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .lines_of(name)
        .flat_map(|line| list::members(line).chain(line.is_empty().then_some(line)))
}

fn put(key: &mut Vec<u8>, kind: u8, part: &[u8]) {
    key.push(kind);
    key.extend_from_slice(&(part.len() as u32).to_be_bytes());
    key.extend_from_slice(part);
}

impl fmt::Display for CacheKey {
    /// `https://host/path?query`, then `[field]=value` for what else is in it. Identities and
    /// cookies, which may be credentials, show as their kind or name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut is_secret = false;
        for (kind, part) in self.parts() {
            let text = alloc::string::String::from_utf8_lossy(part);
            match kind {
                SCHEME => write!(f, "{text}://")?,
                HOST | PATH => f.write_str(&text)?,
                QUERY => write!(f, "?{text}")?,
                FIELD | DEVICE => {
                    is_secret = names_client(&text);
                    write!(f, " [{text}]")?;
                }
                CLAIM => write!(f, " [claim {text}]")?,
                COOKIE => write!(f, " [cookie {text}]")?,
                FIELD_VALUE if is_secret => f.write_str("=…")?,
                COOKIE_VALUE => f.write_str("=…")?,
                IDENTITY if part == b"a" => f.write_str(" [anonymous]")?,
                IDENTITY if part == b"v" => f.write_str(" [user]")?,
                IDENTITY if part.len() == 32 => f.write_str(" [credential]")?,
                IDENTITY => {}
                _ => write!(f, "={text}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, Scheme};
    use crate::identity::{CredentialHash, User};
    use crate::method::Method;
    use crate::target::Target;
    use alloc::string::ToString;
    use alloc::vec;

    fn key_for(
        rule: &KeyRule,
        host: &str,
        target: &str,
        fields: &[(&str, &str)],
        who: &Identity,
    ) -> CacheKey {
        let host = Host::parse(host, Scheme::Https).unwrap();
        let target = Target::parse(target).unwrap();
        CacheKey::of(rule, &Request::read(Method::Get, Scheme::Https, &host, &target, fields), who)
    }

    fn key(rule: &KeyRule, target: &str) -> CacheKey {
        key_for(rule, "a.example", target, &[], &Identity::Anonymous)
    }

    #[test]
    fn c2_the_key_keeps_host_path_and_the_query_that_matters() {
        let rule = KeyRule::default();
        assert_eq!(key(&rule, "/x?b=1&a=2").to_string(), "https://a.example/x?b=1&a=2");
        assert_ne!(key(&rule, "/x"), key(&rule, "/x?"));
        let none = Identity::Anonymous;
        assert_ne!(key_for(&rule, "a", "/x", &[], &none), key_for(&rule, "b", "/x", &[], &none));

        let only = KeyRule { query: QueryRule::Only(vec!["a".into()]), ..KeyRule::default() };
        assert_eq!(key(&only, "/x?b=1&a=2"), key(&only, "/x?a=2"));
        assert_eq!(key(&only, "/x?b=1"), key(&only, "/x"));
        let except = KeyRule { query: QueryRule::Except(vec!["utm".into()]), ..KeyRule::default() };
        assert_eq!(key(&except, "/x?utm=1&a=2"), key(&except, "/x?a=2"));
        let sorted = KeyRule { sort_query: true, ..KeyRule::default() };
        assert_eq!(key(&sorted, "/x?b=1&a=2"), key(&sorted, "/x?a=2&b=1"));
        assert_ne!(key(&sorted, "/x?a=1&a=2"), key(&sorted, "/x?a=2&a=1"));
    }

    #[test]
    fn a_key_that_was_stored_is_the_same_and_other_bytes_are_none() {
        let rule = KeyRule { device: true, identity: true, ..KeyRule::default() };
        let key = key(&rule, "/x?b=1");
        let bytes = key.as_bytes();
        assert_eq!(CacheKey::from_bytes(bytes), Some(key.clone()));
        for length in 0..bytes.len() {
            let cut = CacheKey::from_bytes(&bytes[..length]);
            assert!(cut.is_none_or(|cut| cut != key), "{length}");
        }
        assert_eq!(CacheKey::from_bytes(b""), None);
        assert_eq!(CacheKey::from_bytes(&[bytes, b"x"].concat()), None);
        assert_eq!(CacheKey::from_bytes(&[b's', 255, 255, 255, 255]), None);
    }

    #[test]
    fn path_and_query_never_run_together() {
        let rule = KeyRule::default();
        assert_ne!(key(&rule, "/x%3Fa=1"), key(&rule, "/x?a=1"));
        assert_ne!(
            key_for(&rule, "a", "/bc", &[], &Identity::Anonymous),
            key_for(&rule, "ab", "/c", &[], &Identity::Anonymous)
        );
    }

    #[test]
    fn identities_of_every_kind_stay_apart() {
        let rule = KeyRule { identity: true, ..KeyRule::default() };
        let opaque = |credential: &str| Identity::Opaque(CredentialHash::of(credential.as_bytes()));
        let who = [
            Identity::Anonymous,
            opaque("Bearer a"),
            opaque("Bearer b"),
            Identity::Verified("a".into()),
            Identity::Verified("anonymous".into()),
        ];
        for (i, one) in who.iter().enumerate() {
            for two in &who[i + 1..] {
                assert_ne!(key_for(&rule, "h", "/", &[], one), key_for(&rule, "h", "/", &[], two));
            }
        }
        let shown = key_for(&rule, "h", "/", &[], &who[1]).to_string();
        assert_eq!(shown, "https://h/ [credential]");
    }

    #[test]
    fn only_named_cookies_count_and_their_values_never_show() {
        let rule = KeyRule { cookies: vec!["a".into(), "session".into()], ..KeyRule::default() };
        let with = |cookie: &str| {
            let fields = [("cookie", cookie)];
            let fields = if cookie == "-" { &fields[..0] } else { &fields[..] };
            key_for(&rule, "h", "/", fields, &Identity::Anonymous)
        };
        assert_eq!(with("session=x; theme=dark"), with("theme=light;session=x"));
        assert_eq!(with("xsession=1"), with("-"));
        assert_eq!(with("session = x"), with("session=x"), "as lenient servers read it");
        let apart = ["-", "session=", "session=x", "a=x", "a=x; session=y", "session=x; session=y"];
        for (i, one) in apart.iter().enumerate() {
            for two in &apart[i + 1..] {
                assert_ne!(with(one), with(two), "{one} {two}");
            }
        }
        assert_eq!(with("session=secret").to_string(), "https://h/ [cookie a] [cookie session]=…");
    }

    #[test]
    fn devices_of_one_kind_share_a_key() {
        let rule = KeyRule { device: true, ..KeyRule::default() };
        let with = |agent| {
            key_for(&rule, "h", "/", &[("user-agent", agent)], &Identity::Anonymous).to_string()
        };
        assert_eq!(with("iPhone Safari"), with("Android Mobile"));
        assert_eq!(with("Firefox"), "https://h/ [desktop]");
    }

    #[test]
    fn c2_a_verified_claim_is_shared_and_without_it_nobody_shares() {
        let rule = KeyRule { claims: vec!["team".into()], ..KeyRule::default() };
        let key = |who: &Identity| key_for(&rule, "h", "/", &[], who);
        let member = |name: &str, team: &str| {
            Identity::Verified(User::with_claims(name, vec![("team".into(), team.into())]))
        };
        assert_eq!(key(&member("ada", "7")), key(&member("bob", "7")));
        assert_ne!(key(&member("ada", "7")), key(&member("ada", "8")));
        let without = [
            Identity::Anonymous,
            Identity::Opaque(CredentialHash::of(b"Bearer a")),
            Identity::Verified("ada".into()),
            Identity::Verified("bob".into()),
            Identity::Verified("7".into()),
            member("ada", "7"),
        ];
        for (i, one) in without.iter().enumerate() {
            for two in &without[i + 1..] {
                assert_ne!(key(one), key(two));
            }
        }
        assert_eq!(key(&member("ada", "7")).to_string(), "https://h/ [claim team]=7");
    }

    #[test]
    fn request_fields_count_when_the_rule_names_them() {
        let rule = KeyRule { headers: vec!["accept-language".into()], ..KeyRule::default() };
        let with = |fields: &[(&str, &str)]| key_for(&rule, "h", "/", fields, &Identity::Anonymous);
        assert_ne!(with(&[]), with(&[("accept-language", "")]));
        assert_ne!(with(&[("accept-language", "de")]), with(&[("accept-language", "en")]));
        assert_eq!(
            with(&[("accept-language", "de,en")]),
            with(&[("accept-language", "de"), ("accept-language", "en")])
        );
    }
}
