//! What a cache would have answered that only watches, and in what that differs from what the
//! origin says.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::headers::Fields;
use crate::reuse::Reuse;
use crate::store::{NotStored, Store};

/// What a cache would have done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shadowed {
    /// Served what is stored.
    Hit,
    /// Served what is stored though it is stale, and refreshed it.
    Stale,
    /// Had what is stored confirmed.
    Revalidated,
    /// Asked the origin.
    Miss,
    /// Refused, since the client wants nothing but what is stored.
    Refused,
}

/// In what a stored answer differs from what the origin says at the same time, bodies aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// In its status.
    pub status: bool,
    /// In these fields, by lower-case name, sorted.
    pub fields: Vec<String>,
}

impl Shadowed {
    /// What `decision` would have come to.
    pub const fn of<A>(decision: &Reuse<A>) -> Self {
        match decision {
            Reuse::Serve { .. } => Self::Hit,
            Reuse::ServeStale { .. } => Self::Stale,
            Reuse::Revalidate { .. } => Self::Revalidated,
            Reuse::Forward { .. } => Self::Miss,
            Reuse::Unsatisfiable => Self::Refused,
        }
    }

    /// Whether what is stored would have been the client's answer.
    pub const fn serves(self) -> bool {
        matches!(self, Self::Hit | Self::Stale)
    }

    /// What becomes of the origin's answer, of which `decision` is what becomes of one that was
    /// asked for: nothing where the cache would not have asked.
    pub fn keep(self, decision: Store) -> Store {
        match self {
            Self::Stale | Self::Revalidated | Self::Miss => decision,
            Self::Hit | Self::Refused => Store::Skip(NotStored::Shadowed),
        }
    }

    /// The word for logs and Cache-Status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "shadow-hit",
            Self::Stale => "shadow-stale",
            Self::Revalidated => "shadow-revalidated",
            Self::Miss => "shadow-miss",
            Self::Refused => "shadow-refused",
        }
    }
}

impl Differences {
    /// What differs between a stored answer and the origin's, each with status and head. Fields that
    /// say when it was made differ always, and do not count.
    pub fn between(
        (stored, stored_head): (u16, &(impl Fields + ?Sized)),
        (said, said_head): (u16, &(impl Fields + ?Sized)),
    ) -> Self {
        let names = stored_head.lines().chain(said_head.lines()).map(|(name, _)| name);
        let names: BTreeSet<&str> = names.filter(|name| counts(name)).collect();
        let differs = |name: &&str| {
            let stored = stored_head.lines_of(name).map(<[u8]>::trim_ascii);
            !stored.eq(said_head.lines_of(name).map(<[u8]>::trim_ascii))
        };
        let fields = names.into_iter().filter(differs).map(String::from).collect();
        Self { status: stored != said, fields }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        !self.status && self.fields.is_empty()
    }
}

fn counts(name: &str) -> bool {
    !matches!(
        name,
        "age" | "date" | "expires" | "cache-status" | "x-cache" | "server-timing" | "via"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(stored: (u16, &[(&str, &str)]), said: (u16, &[(&str, &str)])) -> Differences {
        Differences::between(stored, said)
    }

    #[test]
    fn what_differs_is_named_and_what_always_does_is_not() {
        let stored = [("date", "a"), ("etag", "\"1\""), ("x-a", "1"), ("vary", "b"), ("same", "c")];
        let said = [("date", "b"), ("same", "c "), ("etag", "\"2\""), ("vary", "b"), ("x-b", "1")];
        let found = between((200, &stored), (404, &said));
        assert!(found.status);
        assert_eq!(found.fields, ["etag", "x-a", "x-b"]);
        assert!(between((200, &stored), (200, &stored)).is_empty());
        let twice = [("a", "1"), ("a", "2")];
        assert_eq!(between((200, &twice), (200, &twice[..1])).fields, ["a"]);
    }

    #[test]
    fn what_a_cache_would_have_done_is_what_the_decision_says() {
        use core::time::Duration;
        let serve: Reuse<()> =
            Reuse::Serve { answer: (), age: Duration::ZERO, ttl: Duration::ZERO };
        assert_eq!(Shadowed::of(&serve), Shadowed::Hit);
        let asks = |what: Shadowed| {
            let decision = Store::Skip(NotStored::Private);
            what.keep(decision.clone()) == decision
        };
        assert!(Shadowed::Hit.serves() && !asks(Shadowed::Hit));
        assert!(Shadowed::Stale.serves() && asks(Shadowed::Stale));
        assert!(!Shadowed::Miss.serves() && asks(Shadowed::Miss));
        let refused = Shadowed::of(&Reuse::<()>::Unsatisfiable);
        assert!(!refused.serves() && !asks(refused));
    }
}
