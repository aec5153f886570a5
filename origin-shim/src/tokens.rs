//! Whose a token is: the core says what to look at, `ring` looks at the signature.
//!
//! The keys are those that the policy names and those of its key set at a URL, which
//! [`Tokens::keep_fresh`] asks for again and again. What fails leaves the last good keys.

mod key_source;
mod signature;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quick_cache::sync::Cache;
use tidegate_core::Timestamp;
use tidegate_core::identity::{CredentialHash, User};
use tidegate_core::policy::IdentityRule;
use tidegate_core::token::{
    self, BadKeySet, Key, KeySet, Material, Refusal, SECRET_MIN, TOKEN_MAX, TokenRule, Verified,
};
use tokio::sync::Mutex;

pub use key_source::FetchError;
use key_source::KeySource;
use signature::SignatureKey;

/// A token that was found good needs no second look for so long.
const REMEMBERED: Duration = Duration::from_secs(60);
/// So many good tokens are remembered at most.
const REMEMBERED_MAX: usize = 10_000;
/// Between attempts while no key set comes, at first; then twice as long each time.
const RETRY: Duration = Duration::from_secs(5);

/// Looks at tokens.
#[derive(Debug)]
pub struct Tokens(Option<Checks>);

/// The same, where the policy has a rule for tokens.
#[derive(Debug)]
struct Checks {
    rule: TokenRule,
    /// The keys that the policy names, at their positions.
    named: Vec<SignatureKey>,
    bad_secrets: Vec<BadSecret>,
    source: Option<KeySource>,
    keys: RwLock<Arc<Keys>>,
    /// When a token with an unknown key last made us ask ahead of time.
    asked_early: Mutex<Option<Timestamp>>,
}

/// The keys of a moment, and the tokens that they were found good with: when a key goes, so
/// does what it vouched for.
struct Keys {
    set: KeySet,
    signature: Vec<SignatureKey>,
    /// The key set at the URL is among them, or there is none.
    complete: bool,
    good: Cache<CredentialHash, (Arc<Verified>, Timestamp)>,
}

/// Why a secret of the policy is no use. It names the variable, never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSecret {
    /// The variable is not set.
    Unset(String),
    /// It is shorter than the hash (RFC 7518 §3.2).
    Short(String),
}

impl Tokens {
    /// Takes the keys that the policy names; `environment` answers for secrets. The key set at
    /// a URL is yet to come: see [`Self::refresh`].
    pub fn new(rule: &IdentityRule, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let source = rule.jwt.as_ref().and_then(|rule| rule.jwks.as_ref()).map(KeySource::new);
        Self(rule.jwt.as_ref().map(|rule| Checks::new(rule, source, environment)))
    }

    /// The same without ever asking for a key set.
    pub fn offline(rule: &IdentityRule, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        Self(rule.jwt.as_ref().map(|rule| Checks::new(rule, None, environment)))
    }

    /// The secrets of the policy that are no use, so that no token of theirs is good.
    pub fn bad_secrets(&self) -> &[BadSecret] {
        self.0.as_ref().map_or(&[], |checks| &checks.bad_secrets)
    }

    /// Whether a token may have to wait for keys that are asked for.
    pub const fn may_wait(&self) -> bool {
        self.0.is_some()
    }

    /// Whose `token` is. A key that nobody knows may be a new one: then the key set is asked
    /// for, once in its interval, and the token is looked at again.
    pub async fn user_of(&self, token: &[u8], now: Timestamp) -> Result<User, Refusal> {
        let checks = self.0.as_ref().ok_or(Refusal::NoKeys)?;
        let keys = checks.keys();
        match checks.look(&keys, token, now) {
            Err(Refusal::UnknownKey | Refusal::NoKeys) if checks.asks_early(&keys, now).await => {
                checks.look(&checks.keys(), token, now)
            }
            looked => looked,
        }
    }

    /// Asks for the key set once, if the policy has one.
    pub async fn refresh(&self) -> Result<(), FetchError> {
        match &self.0 {
            Some(checks) => checks.refresh().await,
            None => Ok(()),
        }
    }

    /// Asks for the key set in its interval, for ever; `complain` hears of failures. While none
    /// has ever come it is asked for more often.
    pub async fn keep_fresh(&self, complain: impl Fn(&FetchError)) {
        let Some((checks, source)) = self.0.as_ref().and_then(|c| Some((c, c.source.as_ref()?)))
        else {
            return std::future::pending().await;
        };
        let mut retry = RETRY;
        loop {
            let pause = if checks.keys().complete { source.interval() } else { retry };
            tokio::time::sleep(pause.min(source.interval())).await;
            match checks.refresh().await {
                Ok(()) => retry = RETRY,
                Err(error) => {
                    complain(&error);
                    retry = (retry * 2).min(source.interval());
                }
            }
        }
    }
}

impl Checks {
    fn new(
        rule: &TokenRule,
        source: Option<KeySource>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let mut bad_secrets = Vec::new();
        let named: Vec<SignatureKey> = rule
            .keys
            .iter()
            .map(|key| match &key.material {
                Material::Secret(name) => match environment(name) {
                    None => {
                        bad_secrets.push(BadSecret::Unset(name.clone()));
                        SignatureKey::Missing
                    }
                    Some(secret) if secret.len() < SECRET_MIN => {
                        bad_secrets.push(BadSecret::Short(name.clone()));
                        SignatureKey::Missing
                    }
                    Some(secret) => SignatureKey::secret(secret.as_bytes()),
                },
                material => SignatureKey::public(material),
            })
            .collect();
        let complete = rule.jwks.is_none();
        let keys = Keys::new(rule.keys.clone(), named.clone(), complete);
        Self {
            rule: rule.clone(),
            named,
            bad_secrets,
            source,
            keys: RwLock::new(Arc::new(keys)),
            asked_early: Mutex::default(),
        }
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn look(&self, keys: &Keys, token: &[u8], now: Timestamp) -> Result<User, Refusal> {
        if token.len() > TOKEN_MAX {
            return Err(Refusal::Oversized);
        }
        let hash = CredentialHash::of(token);
        if let Some((known, until)) = keys.good.get(&hash).filter(|(_, until)| now < *until) {
            debug_assert!(until <= known.until, "remembered beyond its end");
            return Ok(known.user.clone());
        }
        let opened =
            token::open(token, &self.rule, &keys.set, now).map_err(|refusal| match refusal {
                Refusal::UnknownKey if !keys.complete => Refusal::NoKeys,
                refusal => refusal,
            })?;
        let key = keys.signature.get(opened.key()).ok_or(Refusal::NoKeys)?;
        let is_good = key.suits(opened.signing_input(), opened.signature())?;
        let verified = Arc::new(opened.verified(is_good)?);
        let until = verified.until.min(now + REMEMBERED);
        keys.good.insert(hash, (Arc::clone(&verified), until));
        Ok(verified.user.clone())
    }

    /// Asks for the key set ahead of time, unless a token made us do so within the interval:
    /// anyone can make up a `kid`. Says whether other keys than those `seen` are there now.
    async fn asks_early(&self, seen: &Arc<Keys>, now: Timestamp) -> bool {
        let Some(source) = &self.source else { return false };
        // Who comes while somebody asks waits for what that brings.
        let mut last = self.asked_early.lock().await;
        if Arc::ptr_eq(seen, &self.keys()) && last.is_none_or(|at| now >= at + source.interval()) {
            *last = Some(now);
            // What went wrong is told by who asks in turn.
            let _ = self.refresh().await;
        }
        !Arc::ptr_eq(seen, &self.keys())
    }

    async fn refresh(&self) -> Result<(), FetchError> {
        let Some(source) = &self.source else { return Ok(()) };
        let fetched = source.fetch().await?;
        let mut set = self.rule.keys.clone();
        set.extend_from_slice(fetched.keys());
        let before = self.keys();
        if before.complete && before.set.keys() == set {
            return Ok(());
        }
        let public = fetched.keys().iter().map(|key| SignatureKey::public(&key.material));
        let signature = self.named.iter().cloned().chain(public).collect();
        let keys = Arc::new(Keys::new(set, signature, true));
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

impl Keys {
    fn new(set: Vec<Key>, signature: Vec<SignatureKey>, complete: bool) -> Self {
        let good = Cache::new(REMEMBERED_MAX);
        Self { set: KeySet::new(set), signature, complete, good }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.set.fmt(f)
    }
}

impl fmt::Display for BadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset(name) => write!(
                f,
                "the secret `{name}` is not set\n= hint: put it into the environment of this process"
            ),
            Self::Short(name) => write!(
                f,
                "the secret `{name}` is shorter than {SECRET_MIN} bytes\n= hint: HS256 wants one \
                 as long as its hash (RFC 7518, section 3.2), made at random"
            ),
        }
    }
}

impl std::error::Error for BadSecret {}

impl From<BadKeySet> for FetchError {
    fn from(bad: BadKeySet) -> Self {
        Self::Bad(bad)
    }
}
