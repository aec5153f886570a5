//! When to ask for the key set of a URL, and asking.
//!
//! No request can wait for what another one fetches, so it is decided by the clock whose turn
//! it is. While an isolate has no set at all, each request asks for itself, until one fails.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use tidegate_core::Timestamp;
use tidegate_core::token::{BadKeySet, KeySet, RemoteKeys};
use worker::js_sys::futures::JsFuture;

use crate::{clock, platform};

/// The whole exchange may take so long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A key set has a few kilobytes; the core refuses more than this.
const BODY_MAX: u32 = 64 * 1024;
/// Between attempts that fail.
const RETRY: Duration = Duration::from_secs(5);

thread_local! {
    static TURNS: RefCell<Turns> = RefCell::default();
}

/// When what was done.
#[derive(Default)]
struct Turns {
    /// Of which URL; another policy may name another.
    url: String,
    /// A set came, or somebody is about to fetch the next one.
    fetched: Option<Timestamp>,
    failed: Option<Timestamp>,
    /// A token with an unknown key made us ask ahead of time.
    asked_early: Option<Timestamp>,
    early_underway: bool,
}

/// The right to fetch the key set.
pub(super) struct Turn {
    url: String,
    is_early: bool,
}

/// Why no key set came.
pub(super) enum FetchError {
    /// No 200 with a body of 64 KiB at most within 5 s. Redirections are not followed.
    NoAnswer,
    /// The answer is no key set that has a key for us.
    Bad(BadKeySet),
}

/// The turn to fetch a set in the interval.
pub(super) fn due(remote: &RemoteKeys, now: Timestamp) -> Option<Turn> {
    TURNS.with_borrow_mut(|turns| {
        turns.are_of(remote);
        if turns.failed.is_some_and(|at| now < at + RETRY.min(remote.refresh)) {
            return None;
        }
        match turns.fetched {
            Some(at) if now < at + remote.refresh => return None,
            // The next one to come need not ask again.
            Some(_) => turns.fetched = Some(now),
            None => {}
        }
        Some(Turn { url: remote.url.clone(), is_early: false })
    })
}

/// The turn to fetch a set ahead of time, once in an interval; else whether one is being
/// fetched so.
pub(super) fn early(remote: &RemoteKeys, now: Timestamp) -> Result<Turn, bool> {
    TURNS.with_borrow_mut(|turns| {
        turns.are_of(remote);
        match turns.asked_early {
            Some(at) if now < at + remote.refresh => {
                Err(turns.early_underway && now < at + TIMEOUT)
            }
            _ => {
                turns.asked_early = Some(now);
                turns.early_underway = true;
                Ok(Turn { url: remote.url.clone(), is_early: true })
            }
        }
    })
}

impl Turns {
    /// What was done for another URL does not count.
    fn are_of(&mut self, remote: &RemoteKeys) {
        if self.url != remote.url {
            *self = Self { url: remote.url.clone(), ..Self::default() };
        }
    }
}

impl Turn {
    pub(super) async fn fetch(self) -> Result<KeySet, FetchError> {
        let millis = TIMEOUT.as_millis() as u32;
        let fetching = JsFuture::from(platform::fetch_text(&self.url, BODY_MAX, millis)).await;
        let text = fetching.ok().and_then(|text| text.as_string()).ok_or(FetchError::NoAnswer);
        let set = text.and_then(|text| KeySet::from_jwks(text.as_bytes()).map_err(FetchError::Bad));
        let now = clock::now();
        TURNS.with_borrow_mut(|turns| {
            if self.url != turns.url {
                return;
            }
            if self.is_early {
                turns.early_underway = false;
            }
            match set {
                Ok(_) => (turns.fetched, turns.failed) = (Some(now), None),
                // An old set is asked for again soon, since `due` looks at this first.
                Err(_) => {
                    turns.failed = Some(now);
                    turns.fetched = turns.fetched.map(|_| Timestamp::EPOCH);
                }
            }
        });
        set
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("the key set cannot be had"),
            Self::Bad(bad) => bad.fmt(f),
        }
    }
}
