//! A policy published at run time, in place of the one that the worker was built with: what lies
//! in KV, as a program writes it and the worker reads it.
//!
//! ```json
//! {"hash":"5f0c3ad1be8a7e11","time":1795262400000,"policy":{"schema":1}}
//! ```

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{LoadError, Policy};
use crate::rate::colo::Binding;
use crate::sort::sort_by;
use crate::time::Timestamp;
use crate::token::Material;

/// Longer texts are refused unread.
pub const PUBLISHED_MAX: usize = 1 << 20;

/// A policy, and since when it is published.
#[derive(Clone, Debug)]
pub struct Published {
    /// The policy.
    pub policy: Policy,
    /// Its [`Policy::hash`].
    pub hash: String,
    /// When it was published.
    pub at: Timestamp,
}

/// Why a text is no published policy.
#[derive(Debug)]
#[non_exhaustive]
pub enum BadPublished {
    /// It is not as [`Published::to_text`] writes it, or too long.
    Form,
    /// Its policy is of another version, or broken.
    Policy(LoadError),
    /// Its policy has another hash than it says: somebody has edited it, or cut it off.
    Hash(String),
}

impl Published {
    /// `policy`, published at `at`.
    pub fn new(policy: Policy, at: Timestamp) -> Self {
        Self { hash: policy.hash(), policy, at }
    }

    /// Writes it: the same policy and time always give the same bytes.
    pub fn to_text(&self) -> String {
        let (hash, at, policy) = (&self.hash, self.at.as_millis(), self.policy.to_json());
        format!(r#"{{"hash":"{hash}","time":{at},"policy":{policy}}}"#)
    }

    /// Reads what [`Self::to_text`] has written. The policy is as good as any that is read from
    /// its canonical form.
    pub fn from_text(text: &str) -> Result<Self, BadPublished> {
        let cut = || {
            let text = Some(text.trim()).filter(|text| text.len() <= PUBLISHED_MAX)?;
            let (hash, rest) = text.strip_prefix(r#"{"hash":""#)?.split_once(r#"","time":"#)?;
            let (at, rest) = rest.split_once(r#","policy":"#)?;
            Some((hash, at.parse().ok()?, rest.strip_suffix('}')?))
        };
        let (hash, at, json) = cut().ok_or(BadPublished::Form)?;
        let policy = Policy::from_json(json).map_err(BadPublished::Policy)?;
        // Of the text: the worker does not read what the shim alone needs.
        let found = Policy::hash_of(json);
        match found == *hash {
            true => Ok(Self { policy, hash: found, at: Timestamp::from_millis(at) }),
            false => Err(BadPublished::Hash(found)),
        }
    }
}

impl Policy {
    /// The names of what the worker must be bound to besides what it always needs: rate limits
    /// of Cloudflare's.
    pub fn bindings_at_edge(&self) -> Vec<String> {
        Binding::all(&self.model.limits).into_iter().map(|binding| binding.name).collect()
    }

    /// The names of the secrets that the worker needs.
    pub fn secrets_at_edge(&self) -> Vec<&str> {
        let keys = self.model.identity.jwt.iter().flat_map(|rule| &rule.keys);
        let mut names = Vec::new();
        for key in keys {
            if let Material::Secret(name) = &key.material {
                names.push(&**name);
            }
        }
        names.extend(self.model.edge.secrets());
        sort_by(&mut names, |one, other| one < other);
        names.dedup();
        names
    }
}

impl fmt::Display for BadPublished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("it is not as `tidegate publish` writes it"),
            Self::Policy(error) => error.fmt(f),
            Self::Hash(own) => write!(f, "its policy has the hash {own}, and not the one it says"),
        }
    }
}

impl core::error::Error for BadPublished {}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"schema":1,"limits":[{"name":"a b","quota":2,"window":60000,
        "algorithm":"fixed-window","key":[],"stores":{"edge":"colo"}}],
        "edge":{"token":"EDGE"},
        "identity":{"jwt":{"from":"authorization","user":"sub","skew":0,"on_invalid":"deny",
        "keys":[{"kid":"h","material":{"secret":"JWT"}},{"kid":"i","material":{"secret":"JWT"}}]}}}"#;
    const AT: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn published() -> Published {
        Published::new(Policy::from_json(r#"{"schema":1}"#).unwrap(), AT)
    }

    #[test]
    fn what_is_published_survives_and_anything_else_is_refused() {
        let text = published().to_text();
        let again = Published::from_text(&text).unwrap();
        assert_eq!((&*again.hash, again.at), (&*published().hash, AT));
        assert_eq!(again.to_text(), text);
        let cut = &text[..text.len() - 1];
        let broken = text.replace(r#""schema":1"#, r#""schema":1,"rotes":[]"#);
        let newer = text.replace(r#""schema":1"#, r#""schema":2"#);
        let edited = text.replace(r#""schema":1"#, r#""schema":1,"headers":{"x-a":"1"}"#);
        let long = format!("{text}{}x", " ".repeat(PUBLISHED_MAX));
        for (text, why) in [
            ("", "it is not as"),
            ("{}", "it is not as"),
            (cut, "not the canonical JSON of a policy: EOF"),
            (&long, "it is not as"),
            (&broken, "unknown field `rotes`"),
            (&newer, "schema 2"),
            (&edited, "its policy has the hash "),
        ] {
            let bad = alloc::string::ToString::to_string(&Published::from_text(text).unwrap_err());
            assert!(bad.contains(why), "{bad}");
        }
    }

    #[test]
    fn what_a_policy_needs_at_the_edge_is_known_by_name() {
        let policy = Policy::from_json(JSON).unwrap();
        assert_eq!(policy.bindings_at_edge(), ["RATELIMIT_A_B"]);
        assert_eq!(policy.secrets_at_edge(), ["EDGE", "JWT"]);
    }
}
