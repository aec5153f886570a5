//! What the policy says about caching on one tier of one route.

use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::key::KeyRule;
use crate::status_ttl::StatusTtls;
use crate::time::as_millis;

/// How long, by whose word and under which key one tier keeps the answers of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheRule {
    /// Whose word counts.
    pub mode: Mode,
    /// Our time to live; always present unless the mode is [`Mode::Respect`].
    #[serde(with = "as_millis::option", default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Times to live that differ by status.
    #[serde(default, skip_serializing_if = "StatusTtls::is_empty")]
    pub status_ttl: StatusTtls,
    /// For how long a stale answer may serve while it is refreshed (RFC 5861 §3).
    #[serde(with = "as_millis::option", default, skip_serializing_if = "Option::is_none")]
    pub stale_while_revalidate: Option<Duration>,
    /// For how long a stale answer may serve when the origin fails (RFC 5861 §4).
    #[serde(with = "as_millis::option", default, skip_serializing_if = "Option::is_none")]
    pub stale_if_error: Option<Duration>,
    /// Whether the request's Cache-Control counts.
    pub client_directives: ClientDirectives,
    /// Dangers that the policy takes by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsafe_ignore: Vec<Risk>,
    /// What tells one answer from another.
    #[serde(default, skip_serializing_if = "KeyRule::is_plain")]
    pub key: KeyRule,
}

/// Whose word counts for how long an answer is fresh. Nothing overrides `no-store`,
/// `private`, `Set-Cookie`, or an `Authorization` that is not in the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The origin's, by RFC 9111.
    Respect,
    /// The origin's where it says something about freshness, else ours.
    Default,
    /// Ours.
    Override,
}

/// Whether the Cache-Control of a request counts; it is advice (RFC 9111 §5.2.1), and
/// heeding `no-cache` from anyone lets anyone through to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientDirectives {
    /// It does.
    Honour,
    /// It does not.
    Ignore,
}

/// What forbids a shared cache to keep an answer, unless the policy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// `no-store`: what the origin wants nowhere kept is kept.
    NoStore,
    /// `private`: what is for one client goes to all.
    Private,
    /// `Set-Cookie`: everybody gets the first client's cookie.
    SetCookie,
    /// `Authorization` outside the key: what one client may see goes to all.
    Authorization,
}

impl Risk {
    /// The word in the policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::SetCookie => "set-cookie",
            Self::Authorization => "authorization",
        }
    }
}

/// How long an error that may be cached (404, 405, 410, 414, 501) is fresh by our word at
/// most: long enough to stop a flood, short enough to see the fix.
pub const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(60);

impl CacheRule {
    /// Whether the policy takes this danger.
    pub fn ignores(&self, risk: Risk) -> bool {
        self.unsafe_ignore.contains(&risk)
    }

    /// Whether the policy names this status with no time at all: where our word counts, such
    /// an answer is not kept, not even to be revalidated or to serve when the origin fails.
    pub fn drops(&self, status: u16) -> bool {
        self.status_ttl.of(status).is_some_and(|ttl| ttl.is_zero())
    }

    /// Our time to live for answers with this status; `None` leaves it to the origin.
    ///
    /// Our word is for answers that say what the resource is, and briefly for those that say
    /// there is none. Other errors and temporary redirects are the origin's business alone,
    /// unless the policy names their status.
    pub fn ttl_for(&self, status: u16) -> Option<Duration> {
        let ttl = self.ttl.filter(|_| self.mode != Mode::Respect)?;
        if let Some(named) = self.status_ttl.of(status) {
            return Some(named);
        }
        match status {
            200 | 203 | 204 | 206 | 300 | 301 | 308 => Some(ttl),
            404 | 405 | 410 | 414 | 501 => Some(ttl.min(NEGATIVE_TTL_MAX)),
            _ => None,
        }
    }
}
