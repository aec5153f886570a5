//! Who asks, as far as a request tells.

use alloc::string::String;
use alloc::vec::Vec;

use super::{IdentityRule, Policy};
use crate::headers::{Fields, cookie};
use crate::identity::{CredentialHash, Identity, User};
use crate::respond::Problem;
use crate::token::{OnInvalid, Refusal, TokenSource};

/// What a request shows of who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence<'r> {
    /// All there is to know.
    Settled(Identity),
    /// A token to be looked at: see [`crate::token::open`] and [`Policy::conclude`].
    Token(&'r [u8]),
    /// A token that needs no look.
    Refused(Refusal),
}

/// Who asks, and why not the one whose token was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// Who asks.
    pub identity: Identity,
    /// Why the request's token does not count.
    pub refusal: Option<Refusal>,
}

impl From<Identity> for Identified {
    fn from(identity: Identity) -> Self {
        Self { identity, refusal: None }
    }
}

impl Policy {
    /// What the fields of a request show of who sends it. `trusted` says whether they come
    /// from a proxy that may name the user.
    pub fn evidence<'r, F: Fields + ?Sized>(&self, fields: &'r F, trusted: bool) -> Evidence<'r> {
        let rule = &self.model.identity;
        let named = rule.trusted_header.as_deref().filter(|_| trusted);
        let user = named.and_then(|name| fields.first(name)).filter(|user| !user.is_empty());
        if let Some(user) = user {
            let name = String::from_utf8_lossy(user);
            return Evidence::Settled(Identity::Verified(User::from(&*name)));
        }
        let Some(rule) = &rule.jwt else { return Evidence::Settled(self.unverified(fields)) };
        match rule.from.tokens(fields)[..] {
            [] => Evidence::Settled(self.unverified(fields)),
            [token] => Evidence::Token(token),
            // Who reads on behind us may take the other.
            _ => Evidence::Refused(Refusal::Several),
        }
    }

    /// Who asks, now that the token was looked at. A refused one makes nobody: for keys it is
    /// what an unverified credential is, since the origin may take it for more than we do.
    pub fn conclude<F: Fields + ?Sized>(
        &self,
        fields: &F,
        verdict: Result<User, Refusal>,
    ) -> Identified {
        match verdict {
            Ok(user) => Identity::Verified(user).into(),
            Err(refusal) => {
                Identified { identity: self.unverified(fields), refusal: Some(refusal) }
            }
        }
    }

    /// The answer to who showed a bad token, where the policy will not have that. It is given
    /// behind the limits, which count such a request like one without token.
    pub fn objection(&self, refusal: Option<Refusal>) -> Option<Problem> {
        let denies = self.model.identity.jwt.as_ref()?.on_invalid == OnInvalid::Deny;
        refusal.filter(|_| denies).map(Problem::bad_token)
    }

    /// Who asks when nothing is verified: whatever the origin could tell clients apart by tells
    /// them apart here. An `Authorization` always does, even where the policy looks for the
    /// identity elsewhere: else its answer would be stored as everybody's.
    pub fn unverified<F: Fields + ?Sized>(&self, fields: &F) -> Identity {
        const AUTHORIZATION: &str = "authorization";
        let rule = &self.model.identity;
        if *rule == IdentityRule::default() {
            return Identity::Anonymous;
        }
        let other = rule.credential.as_deref().filter(|name| *name != AUTHORIZATION);
        let elsewhere = match rule.jwt.as_ref().map(|rule| &rule.from) {
            None | Some(TokenSource::Authorization) => Vec::new(),
            Some(TokenSource::Header(name)) if Some(&**name) == other => Vec::new(),
            Some(from) => from.tokens(fields),
        };
        let credentials = fields
            .lines_of(AUTHORIZATION)
            .chain(other.into_iter().flat_map(|name| fields.lines_of(name)))
            .chain(elsewhere);
        let hash = CredentialHash::of_all(credentials.filter(|value| !value.is_empty()));
        hash.map_or(Identity::Anonymous, Identity::Opaque)
    }
}

impl TokenSource {
    /// Every token that a request has here.
    fn tokens<'r, F: Fields + ?Sized>(&self, fields: &'r F) -> Vec<&'r [u8]> {
        match self {
            Self::Authorization => {
                let lines: Vec<&[u8]> = fields.lines_of("authorization").collect();
                match lines[..] {
                    [line] => bearer(line).into_iter().collect(),
                    _ => lines,
                }
            }
            Self::Header(name) => fields.lines_of(name).collect(),
            Self::Cookie(name) => cookie::values(fields, name).collect(),
        }
    }
}

/// The token behind the scheme `Bearer`, whose case does not count (RFC 9110 §11.1). Another
/// scheme has no token.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(6)?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer");
    (is_bearer && token.first().is_none_or(|byte| *byte == b' ')).then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(identity: &str) -> Policy {
        Policy::from_json(&alloc::format!(r#"{{"schema":1,"identity":{identity}}}"#)).unwrap()
    }

    fn with_tokens(from: &str, on_invalid: &str) -> Policy {
        policy(&alloc::format!(
            r#"{{"jwt":{{"from":{from},"user":"sub","skew":0,"on_invalid":"{on_invalid}"}}}}"#
        ))
    }

    fn opaque(credentials: &[&str]) -> Identity {
        let credentials = credentials.iter().map(|text| text.as_bytes());
        Identity::Opaque(CredentialHash::of_all(credentials).unwrap())
    }

    #[test]
    fn a_header_names_the_user_only_when_a_trusted_proxy_wrote_it() {
        let policy = policy(r#"{"credential":"authorization","trusted_header":"x-user"}"#);
        let fields = [("x-user", "ada"), ("authorization", "Bearer t")];
        let settled = |trusted| policy.evidence(&fields, trusted);
        assert_eq!(settled(true), Evidence::Settled(Identity::Verified("ada".into())));
        assert_eq!(settled(false), Evidence::Settled(opaque(&["Bearer t"])));
        assert_eq!(policy.unverified(&fields[..0]), Identity::Anonymous);
    }

    #[test]
    fn an_authorization_tells_apart_wherever_the_policy_looks_for_the_identity() {
        let fields = [("x-key", "k"), ("authorization", "Basic b")];
        for (identity, expected) in [
            (r#"{"trusted_header":"x-user"}"#, opaque(&["Basic b"])),
            (r#"{"credential":"x-key"}"#, opaque(&["Basic b", "k"])),
            (r#"{"credential":"authorization"}"#, opaque(&["Basic b"])),
            ("{}", Identity::Anonymous),
        ] {
            assert_eq!(policy(identity).unverified(&fields), expected, "{identity}");
        }
    }

    #[test]
    fn a_token_is_found_where_the_policy_says() {
        let of =
            |from: &str, field: (&'static str, &'static str)| match with_tokens(from, "anonymous")
                .evidence(&[field], false)
            {
                Evidence::Token(token) => String::from_utf8_lossy(token).into_owned(),
                Evidence::Settled(_) => "none".into(),
                Evidence::Refused(refusal) => refusal.as_str().into(),
            };
        for (from, field, expected) in [
            (r#""authorization""#, ("authorization", "Bearer a.b.c"), "a.b.c"),
            (r#""authorization""#, ("authorization", "bEARER   a.b.c "), "a.b.c"),
            (r#""authorization""#, ("authorization", "Bearer"), ""),
            (r#""authorization""#, ("authorization", "Bearers a.b.c"), "none"),
            (r#""authorization""#, ("authorization", "Basic a.b.c"), "none"),
            (r#"{"cookie":"t"}"#, ("cookie", "a=1; t=a.b.c; tt=2"), "a.b.c"),
            (r#"{"cookie":"t"}"#, ("cookie", "T=a.b.c"), "none"),
            (r#"{"cookie":"t"}"#, ("cookie", "t=a; t=b"), "token-several"),
            (r#"{"header":"x-token"}"#, ("x-token", "a.b.c"), "a.b.c"),
        ] {
            assert_eq!(of(from, field), expected, "{from} {field:?}");
        }
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        let policy = with_tokens(r#""authorization""#, "anonymous");
        assert_eq!(policy.evidence(&twice, false), Evidence::Refused(Refusal::Several));
    }

    #[test]
    fn a_refused_token_makes_nobody_and_stays_apart_from_everybody() {
        let policy = with_tokens(r#"{"cookie":"t"}"#, "anonymous");
        let refused =
            |cookie| policy.conclude(&[("cookie", cookie)], Err(Refusal::Expired)).identity;
        assert_eq!(refused("t=a"), opaque(&["a"]));
        assert_ne!(refused("t=a"), refused("t=b"));
        assert_eq!(refused("t=a").user(), None);
        assert_eq!(policy.objection(Some(Refusal::Expired)), None);
    }

    #[test]
    fn a_policy_may_deny_bad_tokens_and_says_so_when_it_cannot_tell() {
        let policy = with_tokens(r#""authorization""#, "deny");
        let status = |refusal| policy.objection(refusal).map(|problem| problem.status);
        assert_eq!(status(Some(Refusal::Expired)), Some(401));
        assert_eq!(status(Some(Refusal::NoKeys)), Some(503));
        assert_eq!(status(None), None);
    }
}
