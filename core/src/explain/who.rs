//! Who asks, in words.

use core::fmt;

use serde::Serialize;

use crate::identity::Identity;
use crate::policy::Policy;
use crate::token::Refusal;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Who<'a> {
    /// `anonymous`, `credential` or `user`.
    pub kind: &'static str,
    /// The user, where one is verified.
    pub user: Option<&'a str>,
    /// Why a token does not count, in a word.
    pub refused: Option<&'static str>,
    /// Why, in a sentence.
    pub why: Option<&'static str>,
    /// What a bad token is answered with.
    pub status: Option<u16>,
    #[serde(skip)]
    identity: &'a Identity,
}

impl<'a> Who<'a> {
    /// Puts into words who asks under `policy`, and why the token that was shown does not count.
    pub fn of(identity: &'a Identity, refusal: Option<Refusal>, policy: &Policy) -> Self {
        Self {
            kind: match identity {
                Identity::Anonymous => "anonymous",
                Identity::Opaque(_) => "credential",
                Identity::Verified(_) => "user",
            },
            user: identity.user(),
            refused: refusal.map(Refusal::as_str),
            why: refusal.map(Refusal::explain),
            status: policy.objection(refusal).map(|problem| problem.status),
            identity,
        }
    }
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.identity {
            Identity::Anonymous => f.write_str("anonymous")?,
            Identity::Opaque(hash) => write!(f, "credential ~{hash}, not verified")?,
            Identity::Verified(user) => write!(f, "user {}", user.name().escape_debug())?,
        }
        if let (Some(refused), Some(why)) = (self.refused, self.why) {
            write!(f, ": {} ({refused})", why.trim_end_matches('.'))?;
        }
        if let Some(status) = self.status {
            write!(f, "; answered with {status}")?;
        }
        Ok(())
    }
}
