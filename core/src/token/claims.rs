//! What a token claims, as far as a policy asks (RFC 7519 §4).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::Value;

use super::members::Members;
use super::refusal::Refusal;
use super::rule::TokenRule;
use crate::identity::User;
use crate::time::Timestamp;

/// The longest user name, in bytes: what OpenID Connect allows for `sub`.
const USER_MAX: usize = 255;
/// The longest value of another claim, in bytes; a longer one counts as missing.
const CLAIM_MAX: usize = 255;

/// The claims that the policy has a use for.
pub(super) struct Claims {
    pub(super) user: User,
    /// The end, skew included.
    pub(super) until: Timestamp,
}

impl Claims {
    pub(super) fn read(
        members: Members,
        rule: &TokenRule,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let until = times(&members, rule, now)?;
        if let Some(issuer) = &rule.issuer {
            // §4.1.1, RFC 8725 §3.8.
            if members.text("iss") != Some(issuer) {
                return Err(Refusal::Issuer);
            }
        }
        if !is_for_us(members.get("aud"), &rule.audience) {
            return Err(Refusal::Audience);
        }
        let name = user(&members, &rule.user).ok_or(Refusal::User)?;
        let used = rule.claims.iter();
        let claims: Vec<(String, String)> =
            used.filter_map(|name| Some((name.clone(), text(members.get(name)?)?))).collect();
        Ok(Self { user: User::with_claims(name, claims), until })
    }
}

/// §4.1.4 to §4.1.6, each with the skew that clocks are granted; says when the token ends.
fn times(members: &Members, rule: &TokenRule, now: Timestamp) -> Result<Timestamp, Refusal> {
    let date = |name, wrong: Refusal| match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(instant).map(Some).ok_or(wrong),
    };
    // A token without end is a password: none is taken.
    let end = date("exp", Refusal::Malformed)?.ok_or(Refusal::NoExpiry)? + rule.skew;
    if now >= end {
        return Err(Refusal::Expired);
    }
    let begun = |at: Option<Timestamp>| at.is_none_or(|at| at <= now + rule.skew);
    if !begun(date("nbf", Refusal::Malformed)?) || !begun(date("iat", Refusal::Malformed)?) {
        return Err(Refusal::NotYetValid);
    }
    Ok(end)
}

/// A NumericDate (RFC 7519 §2): seconds, perhaps with a fraction. What lies before 1970 is
/// 1970, and what lies beyond all time is the end of it: `as` saturates.
fn instant(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1000.0) as u64)
}

/// §4.1.3: whoever does not find itself in `aud` must refuse the token. So a token that names
/// an audience is refused where the policy names none: it may have been issued for another
/// service, which could read here what is cached for its users (RFC 8725 §3.9).
fn is_for_us(audience: Option<&Value>, ours: &[String]) -> bool {
    let is_ours = |value: &Value| value.as_str().is_some_and(|one| ours.iter().any(|us| us == one));
    match audience {
        None => ours.is_empty(),
        Some(Value::Array(several)) => several.iter().any(is_ours),
        Some(one) => is_ours(one),
    }
}

/// A name that can stand in keys and logs. `sub` must be a string (§4.1.2); the claims of
/// one's own are often numbers.
fn user(members: &Members, claim: &str) -> Option<String> {
    let value = members.get(claim)?;
    let name = match value {
        Value::Number(_) if claim != "sub" => text(value)?,
        value => value.as_str()?.to_string(),
    };
    let is_name = (1..=USER_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    is_name.then_some(name)
}

/// A claim that a key can be made of: text, a whole number, or yes and no.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_u64() || number.is_i64() => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => return None,
    };
    (text.len() <= CLAIM_MAX).then_some(text)
}
