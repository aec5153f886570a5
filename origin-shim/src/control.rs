//! Changes what is in force while requests go on: the policy file is read again, limits are
//! overridden, maintenance is switched.

mod state_file;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_core::policy::overrides::Objection;
use tidegate_core::policy::{Admin, Listen, Overrides};
use tidegate_core::{Policy, Timestamp, signature};
use tokio::sync::{Mutex, watch};

pub use state_file::StateError;

use crate::audit::{self, Who};
use crate::clock;
use crate::edge_signature;
use crate::gate::Shared;
use crate::in_force::InForce;
use crate::policy_file::{self, PolicyError};
use crate::process_log::Level;
use crate::redis_limiter::RedisLimiter;
use crate::redis_link::BadAddress;
use crate::saved_answers::{self, BadSnapshot, Heir, Saved};
use crate::second_tier::SecondTier;
use crate::server::tls::{Loaded, Tls, TlsError};
use crate::tokens::{BadSecret, FetchError, Tokens};
use crate::upstream;

/// Whoever changes what is in force does it through this.
#[derive(Debug)]
pub struct Control {
    shared: Arc<Shared>,
    tls: Arc<Tls>,
    start: Start,
    /// Held by who makes a change.
    turn: Mutex<()>,
    said: RwLock<Said>,
    good: AtomicU64,
    refused: AtomicU64,
    changed: watch::Sender<()>,
}

/// How the process was started.
#[derive(Clone, Debug)]
pub struct Start {
    /// The policy file.
    pub policy: PathBuf,
    /// What it says.
    pub source: Arc<str>,
    /// The page of the playground, where one was given.
    pub playground: Option<Arc<str>>,
    /// Where the policy says to listen.
    pub listen: Vec<Listen>,
    /// The command line says where to listen, whatever the policy does.
    pub listen_is_given: bool,
    /// Where the policy says that it is operated from.
    pub admin: Option<Admin>,
    /// When.
    pub at: Timestamp,
}

/// What was said at run time.
#[derive(Clone, Debug)]
pub struct Said {
    /// The overrides.
    pub overrides: Overrides,
    /// What the policy file said when it was read.
    pub source: Arc<str>,
    /// When that was.
    pub read_at: Timestamp,
}

/// How often the policy file was read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloads {
    /// And came into force.
    pub good: u64,
    /// And was wrong, so that the policy stayed.
    pub refused: u64,
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
    /// What of it needs a restart, and which overrides fit no more.
    pub notes: Vec<String>,
}

/// The policy file, and what was made of it.
struct ReadAgain {
    next: InForce,
    certificates: Option<Loaded>,
    source: Arc<str>,
    warnings: String,
}

/// Why a policy does not come into force; the one that is stays.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReloadError {
    /// The file is wrong, or not there.
    Policy(PolicyError),
    /// Secrets that it names are no use.
    Secrets(Vec<BadSecret>),
    /// A secret for the edge's signatures is no use.
    Signature(signature::BadSecret),
    /// Its key set does not come, and without it every user would be a stranger.
    Keys(FetchError),
    /// Nobody can tell where its Redis is.
    Redis(BadAddress),
    /// Certificates that it names are no use.
    Certificates(TlsError),
}

/// How a change at run time went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A restart will not forget it.
    InFile,
    /// A restart will forget it: the policy names no file to keep it in.
    InMemory,
    /// A restart will forget it: the file cannot be written, for this reason.
    NotInFile(String),
}

impl Control {
    /// Control of what `shared` has in force, with the overrides that the last process left.
    pub fn new(shared: Arc<Shared>, tls: Arc<Tls>, start: Start) -> Result<Self, StateError> {
        let mut overrides = match state_path(&start) {
            Some(path) => state_file::read(&path)?,
            None => Overrides::default(),
        };
        overrides.drop_ended(start.at);
        let in_force = shared.in_force();
        for misfit in overrides.drop_misfits(&in_force.file) {
            audit::refused(&Who::Start, "keep", "", &json!(null), &misfit.to_string());
        }
        shared.put_in_force(in_force.with_overrides(&overrides, start.at));
        let said =
            RwLock::new(Said { overrides, source: Arc::clone(&start.source), read_at: start.at });
        let changed = watch::Sender::default();
        let (turn, good, refused) = Default::default();
        Ok(Self { shared, tls, start, turn, said, good, refused, changed })
    }

    /// What all threads share.
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What handshakes go by.
    pub const fn tls(&self) -> &Arc<Tls> {
        &self.tls
    }

    /// How the process was started.
    pub const fn start(&self) -> &Start {
        &self.start
    }

    /// Keeps what is stored for the next process, where the policy says so.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn keep_snapshot(&self) -> Result<Option<Saved>, (PathBuf, io::Error)> {
        let in_force = self.shared.in_force();
        let Some(rule) = &in_force.file.model().cache.snapshot else { return Ok(None) };
        let path = self.start.folder().join(&rule.file);
        let saved = saved_answers::save(&path, &in_force.answers, rule.size, clock::now());
        saved.map(Some).map_err(|error| (path, error))
    }

    /// Takes over what the last process has kept.
    ///
    /// # Errors
    /// Why that is no use: then nothing of it is stored.
    pub fn take_snapshot(&self) -> Result<Option<Saved>, (PathBuf, BadSnapshot)> {
        let in_force = self.shared.in_force();
        let Some(rule) = &in_force.file.model().cache.snapshot else { return Ok(None) };
        let path = self.start.folder().join(&rule.file);
        let (zones, tier) = (&in_force.answers, in_force.second_tier.as_deref());
        let heir = Heir { zones, policy: &in_force.file, tier };
        saved_answers::take(&path, heir, clock::now()).map_err(|bad| (path, bad))
    }

    /// Whether a restart leaves overrides as they are.
    pub fn has_state_file(&self) -> bool {
        state_path(&self.start).is_some()
    }

    /// What was said at run time so far.
    pub fn said(&self) -> Said {
        self.said.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the policy file was read again so far.
    pub fn reloads(&self) -> Reloads {
        let [good, refused] = [&self.good, &self.refused].map(|n| n.load(Ordering::Relaxed));
        Reloads { good, refused }
    }

    /// Reads the policy file again and puts it in force, unless something is wrong with it.
    /// Requests that have begun keep the policy that they began with; what is stored and
    /// counted stays, and so do connections, the keys of tokens and overrides.
    pub async fn reload(&self, who: &Who) -> Result<Reloaded, ReloadError> {
        let _turn = self.turn.lock().await;
        let before = self.shared.in_force();
        let old = before.file.hash();
        match self.read_again(&before).await {
            Ok(ReadAgain { next, certificates, source, warnings }) => {
                if let Some(certificates) = certificates {
                    self.tls.put_in_force(certificates);
                }
                let after = next.file.hash();
                let mut notes = self.start.differences(&next.file);
                let mut overrides = self.said().overrides;
                let misfits = overrides.drop_misfits(&next.file);
                notes.extend(misfits.iter().map(|misfit| format!("dropped an override: {misfit}")));
                self.put_in_force(&next, overrides, Some(source));
                self.good.fetch_add(1, Ordering::Relaxed);
                audit::record(who, "reload", "", &json!(old), &json!(after));
                Ok(Reloaded { before: old, after, warnings, notes })
            }
            Err(error) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                audit::refused(who, "reload", "", &json!(old), &error.to_string());
                Err(error)
            }
        }
    }

    /// Changes overrides by `change`, which gets those of now and the policy file's word, and
    /// says what of them is `seen` in the audit log.
    pub async fn change(
        &self,
        who: &Who,
        (action, subject): (&str, &str),
        seen: impl Fn(&Overrides) -> Value,
        change: impl FnOnce(&mut Overrides, &Policy) -> Result<(), Objection>,
    ) -> Result<Kept, Objection> {
        let _turn = self.turn.lock().await;
        let in_force = self.shared.in_force();
        let mut overrides = self.said().overrides;
        let before = seen(&overrides);
        if let Err(objection) = change(&mut overrides, &in_force.file) {
            audit::refused(who, action, subject, &before, &objection.to_string());
            return Err(objection);
        }
        let after = seen(&overrides);
        let kept = self.put_in_force(&in_force, overrides, None);
        audit::record(who, action, subject, &before, &after);
        Ok(kept)
    }

    /// Takes overrides back when their time is up, for ever.
    pub async fn end_overrides(&self) {
        /// A clock that is set moves ends, too.
        const LONGEST: Duration = Duration::from_secs(60);
        let mut changes = self.changed.subscribe();
        loop {
            let end = self.said().overrides.next_end();
            let pause = end.map_or(LONGEST, |end| end.since(clock::now()).min(LONGEST));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = changes.changed() => continue,
            }
            if end.is_some_and(|end| end <= clock::now()) {
                let drop_ended = |overrides: &mut Overrides, _: &Policy| {
                    overrides.drop_ended(clock::now());
                    Ok(())
                };
                let seen = |overrides: &Overrides| overrides.to_value();
                // Nothing is objected to there.
                let _ = self.change(&Who::Clock, ("overrides", ""), seen, drop_ended).await;
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

    /// Reads the certificates of the policy in force again and shows them from now on, unless
    /// something is wrong with them. Whether there are any.
    pub async fn read_certificates(&self) -> Result<bool, TlsError> {
        let _turn = self.turn.lock().await;
        let loaded = self.load_certificates(&self.shared.in_force().file)?;
        let is_any = loaded.is_some();
        if let Some(loaded) = loaded {
            self.tls.put_in_force(loaded);
        }
        Ok(is_any)
    }

    fn load_certificates(&self, policy: &Policy) -> Result<Option<Loaded>, TlsError> {
        let rule = policy.model().shim.tls.as_ref();
        rule.map(|rule| self.tls.load(rule, &self.start.folder())).transpose()
    }

    /// Checks the servers of upstreams in their intervals, for ever.
    pub async fn check_upstreams(&self) {
        let mut changes = self.changed.subscribe();
        loop {
            let upstreams = self.shared.in_force().upstreams.clone();
            // They end with this.
            let _checks = upstream::check(&upstreams);
            while changes.changed().await.is_ok() {
                if !upstreams.are_those_of(&self.shared.in_force().upstreams) {
                    break;
                }
            }
        }
    }

    async fn read_again(&self, before: &InForce) -> Result<ReadAgain, ReloadError> {
        let reading = policy_file::read(&self.start.policy).map_err(ReloadError::Policy)?;
        let file = self.start.policy.display().to_string();
        let warnings = reading.warnings.display(&file).to_string();
        let (policy, source) = (reading.policy, reading.source.into());
        let certificates = self.load_certificates(&policy).map_err(ReloadError::Certificates)?;
        let edge = before.edge.succeed(&policy, |name| std::env::var(name).ok());
        let edge = edge.map_err(ReloadError::Signature)?;
        let tokens = match before.tokens_for(&policy.model().identity) {
            Some(tokens) => tokens,
            None => Arc::new(tokens(&policy).await?),
        };
        let redis = match &policy.model().redis {
            Some(rule) => match before.redis_for(rule) {
                Some(redis) => Some(redis),
                None => {
                    Some(RedisLimiter::from_environment(rule).await.map_err(ReloadError::Redis)?)
                }
            },
            None => None,
        };
        let second_tier = match &policy.model().cache.redis {
            Some(rule) => match before.second_tier_for(rule) {
                Some(tier) => Some(tier),
                None => {
                    let invalidations = Arc::clone(before.answers.invalidations());
                    let tier = SecondTier::from_environment(rule, invalidations).await;
                    Some(tier.map_err(ReloadError::Redis)?)
                }
            },
            None => None,
        };
        let next = before.with_file(policy, edge, tokens, redis, second_tier);
        Ok(ReadAgain { next, certificates, source, warnings })
    }

    /// Puts what was made of the file in force, with these overrides; of a file that was read
    /// again, what it says.
    fn put_in_force(&self, next: &InForce, overrides: Overrides, source: Option<Arc<str>>) -> Kept {
        self.shared.put_in_force(next.with_overrides(&overrides, clock::now()));
        let kept = match state_path(&self.start).map(|path| state_file::write(&path, &overrides)) {
            None => Kept::InMemory,
            Some(Ok(())) => Kept::InFile,
            Some(Err(error)) => Kept::NotInFile(error.to_string()),
        };
        let mut said = self.said.write().unwrap_or_else(PoisonError::into_inner);
        said.overrides = overrides;
        if let Some(source) = source {
            said.source = source;
            said.read_at = clock::now();
        }
        drop(said);
        self.changed.send_replace(());
        kept
    }
}

impl Kept {
    /// A sentence for whoever made the change; none where there is nothing to keep, and
    /// nothing left of what was kept.
    pub fn explain(&self, has_override: bool) -> String {
        match self {
            Self::InFile if has_override => "A restart keeps this.".into(),
            Self::InMemory if has_override => {
                "A restart forgets this: name a file in `[admin] state` to keep it.".into()
            }
            Self::InFile | Self::InMemory => String::new(),
            Self::NotInFile(error) => {
                format!(
                    "A restart does not know of this: the file of `[admin] state` cannot be written: {error}."
                )
            }
        }
    }
}

impl Start {
    /// What files of the policy are beside whose names are not absolute.
    pub fn folder(&self) -> PathBuf {
        self.policy.parent().map(PathBuf::from).unwrap_or_default()
    }

    /// What `policy` says that this process cannot follow.
    fn differences(&self, policy: &Policy) -> Vec<String> {
        let mut notes = Vec::new();
        let model = policy.model();
        if !self.listen_is_given && model.shim.listen != self.listen {
            notes.push("`[shim] listen` has changed, which needs a restart".into());
        }
        if model.admin != self.admin {
            notes.push("`[admin]` has changed, which needs a restart".into());
        }
        notes
    }
}

/// The file that keeps overrides, beside the policy file unless it is absolute.
fn state_path(start: &Start) -> Option<PathBuf> {
    let name = start.admin.as_ref()?.state.as_ref()?;
    Some(start.folder().join(name))
}

/// The checks of tokens by `policy`, with all the keys that they need.
pub(crate) async fn tokens(policy: &Policy) -> Result<Tokens, ReloadError> {
    let tokens = Tokens::new(&policy.model().identity, &|name| std::env::var(name).ok());
    if !tokens.bad_secrets().is_empty() {
        return Err(ReloadError::Secrets(tokens.bad_secrets().to_vec()));
    }
    tokens.refresh().await.map_err(ReloadError::Keys)?;
    Ok(tokens)
}

impl Reloaded {
    /// How much what it says matters.
    pub fn level(&self) -> Level {
        match self.warnings.is_empty() && self.notes.is_empty() {
            true => Level::Info,
            false => Level::Warning,
        }
    }
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
            Self::Signature(bad) => write!(f, "{bad}\n= hint: {}", edge_signature::HINT),
            Self::Redis(bad) => bad.fmt(f),
            Self::Certificates(bad) => bad.fmt(f),
            Self::Keys(error) => write!(
                f,
                "{error}, and without its keys every user would be a stranger\n= hint: see that \
                 the URL of `jwks` answers, then reload again"
            ),
        }
    }
}

impl std::error::Error for ReloadError {}
