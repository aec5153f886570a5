//! Changes what is in force while requests go on.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tidegate_core::Policy;
use tokio::sync::{Mutex, watch};

use crate::audit::{self, Who};
use crate::gate::Shared;
use crate::in_force::InForce;
use crate::policy_file::{self, PolicyError};
use crate::tokens::{BadSecret, FetchError, Tokens};

/// Whoever changes what is in force does it through this.
#[derive(Debug)]
pub struct Control {
    shared: Arc<Shared>,
    start: Start,
    /// Held by who makes a change.
    turn: Mutex<()>,
    changed: watch::Sender<()>,
}

/// How the process was started.
#[derive(Clone, Debug)]
pub struct Start {
    /// The policy file.
    pub policy: PathBuf,
    /// Where the policy says to listen.
    pub listen: Option<String>,
    /// The command line says where to listen, whatever the policy does.
    pub listen_is_given: bool,
}

/// What a reload has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The hash of the policy that was in force.
    pub before: String,
    /// The hash of the one that is.
    pub after: String,
    /// What the new policy says that is probably not meant; empty if nothing.
    pub warnings: String,
    /// What of it needs a restart.
    pub notes: Vec<String>,
}

/// Why a policy does not come into force; the one that is stays.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReloadError {
    /// The file is wrong, or not there.
    Policy(PolicyError),
    /// Secrets that it names are no use.
    Secrets(Vec<BadSecret>),
    /// Its key set does not come, and without it every user would be a stranger.
    Keys(FetchError),
}

impl Control {
    /// Control of what `shared` has in force.
    pub fn new(shared: Arc<Shared>, start: Start) -> Self {
        Self { shared, start, turn: Mutex::default(), changed: watch::Sender::default() }
    }

    /// What all threads share.
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Reads the policy file again and puts it in force, unless something is wrong with it.
    /// Requests that have begun keep the policy that they began with; what is stored and
    /// counted stays, and so do connections and the keys of tokens.
    pub async fn reload(&self, who: &Who) -> Result<Reloaded, ReloadError> {
        let _turn = self.turn.lock().await;
        let before = self.shared.in_force();
        let old = before.policy.hash();
        match self.read_again(&before).await {
            Ok((next, warnings)) => {
                let after = next.policy.hash();
                let notes = self.start.differences(&next.policy);
                self.put_in_force(next);
                audit::record(who, "reload", &json!(old), &json!(after));
                Ok(Reloaded { before: old, after, warnings, notes })
            }
            Err(error) => {
                audit::refused(who, "reload", &json!(old), &error.to_string());
                Err(error)
            }
        }
    }

    /// Asks for the key set of the policy in force in its interval, for ever.
    pub async fn keep_tokens_fresh(&self, complain: impl Fn(&FetchError)) {
        let mut changes = self.changed.subscribe();
        loop {
            let tokens = Arc::clone(&self.shared.in_force().tokens);
            let stay = || Arc::ptr_eq(&tokens, &self.shared.in_force().tokens);
            let others = async {
                // Who sends changes is `self`, so it does not end before.
                while changes.changed().await.is_ok() && stay() {}
            };
            tokio::select! {
                () = tokens.keep_fresh(&complain) => {}
                () = others => {}
            }
        }
    }

    async fn read_again(&self, before: &InForce) -> Result<(InForce, String), ReloadError> {
        let reading = policy_file::read(&self.start.policy).map_err(ReloadError::Policy)?;
        let file = self.start.policy.display().to_string();
        let warnings = reading.warnings.display(&file).to_string();
        let policy = reading.policy;
        let tokens = match before.tokens_for(&policy.model().identity) {
            Some(tokens) => tokens,
            None => tokens(&policy).await?,
        };
        Ok((before.succeed(policy, tokens), warnings))
    }

    fn put_in_force(&self, next: InForce) {
        self.shared.put_in_force(next);
        self.changed.send_replace(());
    }
}

impl Start {
    /// What `policy` says that this process cannot follow.
    fn differences(&self, policy: &Policy) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.listen_is_given && policy.model().shim.listen != self.listen {
            notes.push("`[shim] listen` has changed, which needs a restart".into());
        }
        notes
    }
}

/// The checks of tokens by `policy`, with all the keys that they need.
async fn tokens(policy: &Policy) -> Result<Arc<Tokens>, ReloadError> {
    let tokens = Tokens::new(&policy.model().identity, &|name| std::env::var(name).ok());
    if !tokens.bad_secrets().is_empty() {
        return Err(ReloadError::Secrets(tokens.bad_secrets().to_vec()));
    }
    tokens.refresh().await.map_err(ReloadError::Keys)?;
    Ok(Arc::new(tokens))
}

impl fmt::Display for Reloaded {
    /// Lines for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.warnings)?;
        match self.before == self.after {
            true => writeln!(f, "tidegate: the policy is the same ({})", self.after)?,
            false => writeln!(f, "tidegate: policy {} in place of {}", self.after, self.before)?,
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "tidegate: {note}"))
    }
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(error) => error.fmt(f),
            Self::Secrets(bad) => {
                let mut lines = bad.iter();
                lines.try_for_each(|bad| writeln!(f, "{bad}"))
            }
            Self::Keys(error) => write!(
                f,
                "{error}, and without its keys every user would be a stranger\n= hint: see that \
                 the URL of `jwks` answers, then reload again"
            ),
        }
    }
}

impl std::error::Error for ReloadError {}
