//! Whose a token is: the core says what to look at, WebCrypto looks at the signature.
//!
//! Keys belong to the isolate: those that the policy names, secrets by the name of the Worker's
//! secret, and those of the key set at a URL, by the rules that the shim has for them too.

mod key_source;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use tidegate_core::headers::Fields;
use tidegate_core::identity::{CredentialHash, User};
use tidegate_core::policy::identify::{Evidence, Identified};
use tidegate_core::token::{
    self, Key, KeySet, Material, Refusal, SECRET_MIN, TOKEN_MAX, TokenRule, Verified,
};
use tidegate_core::{Policy, Timestamp};
use worker::wasm_bindgen::JsValue;
use worker::{Context, Env, console_error, console_warn};

use crate::task::{self, Settled};
use crate::{clock, platform};
use key_source::Turn;

/// A token that was found good needs no second look for so long.
const REMEMBERED: Duration = Duration::from_secs(60);
/// So many good tokens are remembered at most; then all are forgotten.
const REMEMBERED_MAX: usize = 1_000;

thread_local! {
    static KEYS: RefCell<Option<Rc<Keys>>> = const { RefCell::new(None) };
}

/// The keys of a moment, and the tokens that they were found good with: when a key goes, so
/// does what it vouched for.
struct Keys {
    /// Whose token rule they are by.
    policy: Rc<Policy>,
    set: KeySet,
    /// As WebCrypto has them, once they were needed.
    imported: RefCell<Vec<Option<JsValue>>>,
    /// The key set at the URL is among them, or there is none.
    complete: bool,
    good: RefCell<HashMap<CredentialHash, (Rc<Verified>, Timestamp)>>,
}

/// Who asks, as far as `fields` tell. Nobody whom the edge could trust stands before it, so no
/// field names a user here.
pub(crate) async fn identify(
    policy: &Rc<Policy>,
    env: &Env,
    context: &Context,
    fields: &impl Fields,
) -> Identified {
    let verdict = match (policy.evidence(fields, false), &policy.model().identity.jwt) {
        (Evidence::Settled(identity), _) => return identity.into(),
        (Evidence::Token(token), Some(rule)) => user_of(policy, rule, env, context, token).await,
        (Evidence::Refused(refusal), _) => Err(refusal),
        (Evidence::Token(_), None) => Err(Refusal::NoKeys),
    };
    policy.conclude(fields, verdict)
}

/// Whose `token` is. A key that nobody knows may be a new one: then the key set is asked for,
/// once in its interval, and the token is looked at again.
async fn user_of(
    policy: &Rc<Policy>,
    rule: &TokenRule,
    env: &Env,
    context: &Context,
    token: &[u8],
) -> Result<User, Refusal> {
    let keys = Keys::now(policy, rule);
    if let Some(remote) = &rule.jwks {
        match key_source::due(remote, clock::now()) {
            Some(turn) if keys.complete => {
                task::in_background(context, refresh(Rc::clone(policy), turn))
            }
            Some(turn) => refresh(Rc::clone(policy), turn).await,
            None => {}
        }
    }
    let looked = Keys::now(policy, rule).look(rule, env, token).await;
    let (Err(Refusal::UnknownKey), Some(remote)) = (&looked, &rule.jwks) else { return looked };
    match key_source::early(remote, clock::now()) {
        Ok(turn) => {
            refresh(Rc::clone(policy), turn).await;
            Keys::now(policy, rule).look(rule, env, token).await
        }
        // Another request is asking, whose answer this one cannot wait for.
        Err(underway) if underway => Err(Refusal::NoKeys),
        Err(_) => looked,
    }
}

/// Asks for the key set; what fails leaves the last good one.
async fn refresh(policy: Rc<Policy>, turn: Turn) {
    match turn.fetch().await {
        Ok(fetched) => {
            let named = policy.model().identity.jwt.iter().flat_map(|rule| rule.keys.clone());
            let set: Vec<Key> = named.chain(fetched.keys().iter().cloned()).collect();
            KEYS.with_borrow_mut(|keys| {
                let same = |keys: &Rc<Keys>| keys.complete && keys.set.keys() == set;
                // Those of a policy that is not in force any more come too late.
                let late = |keys: &Rc<Keys>| !keys.are_by(&policy);
                if !keys.as_ref().is_some_and(|keys| same(keys) || late(keys)) {
                    *keys = Some(Rc::new(Keys::new(policy, set, true)));
                }
            });
        }
        Err(error) => console_warn!("tidegate: {error}; the last good keys stay"),
    }
}

impl Keys {
    fn now(policy: &Rc<Policy>, rule: &TokenRule) -> Rc<Self> {
        let named =
            || Rc::new(Self::new(Rc::clone(policy), rule.keys.clone(), rule.jwks.is_none()));
        KEYS.with_borrow_mut(|keys| {
            keys.take_if(|keys| !keys.are_by(policy));
            Rc::clone(keys.get_or_insert_with(named))
        })
    }

    /// Whether the rule of `policy` is theirs.
    fn are_by(&self, policy: &Rc<Policy>) -> bool {
        Rc::ptr_eq(&self.policy, policy)
            || self.policy.model().identity.jwt == policy.model().identity.jwt
    }

    fn new(policy: Rc<Policy>, set: Vec<Key>, complete: bool) -> Self {
        let imported = RefCell::new(vec![None; set.len()]);
        Self { policy, set: KeySet::new(set), imported, complete, good: RefCell::default() }
    }

    async fn look(&self, rule: &TokenRule, env: &Env, token: &[u8]) -> Result<User, Refusal> {
        if token.len() > TOKEN_MAX {
            return Err(Refusal::Oversized);
        }
        let (hash, now) = (CredentialHash::of(token), clock::now());
        if let Some((known, _)) = self.good.borrow().get(&hash).filter(|(_, until)| now < *until) {
            return Ok(known.user.clone());
        }
        let opened = token::open(token, rule, &self.set, now).map_err(|refusal| match refusal {
            Refusal::UnknownKey if !self.complete => Refusal::NoKeys,
            refusal => refusal,
        })?;
        let key = self.set.keys().get(opened.key()).ok_or(Refusal::NoKeys)?;
        let imported = self.import(opened.key(), key, env).await?;
        let verdict = platform::verify(
            key.algorithm().as_str(),
            &imported,
            opened.signature(),
            opened.signing_input(),
        );
        // A signature of the wrong length is an error to some platforms and a no to others.
        let is_good = Settled::from(verdict).await.is_ok_and(|verdict| verdict.is_truthy());
        let verified = Rc::new(opened.verified(is_good)?);
        self.remember(hash, &verified, now);
        Ok(verified.user.clone())
    }

    fn remember(&self, hash: CredentialHash, verified: &Rc<Verified>, now: Timestamp) {
        let mut good = self.good.borrow_mut();
        if good.len() >= REMEMBERED_MAX {
            good.clear();
        }
        good.insert(hash, (Rc::clone(verified), verified.until.min(now + REMEMBERED)));
    }

    /// The key at `at` as WebCrypto has it. What fails is told by the name of a variable or by
    /// the kind of the key, never by what is in it.
    async fn import(&self, at: usize, key: &Key, env: &Env) -> Result<JsValue, Refusal> {
        if let Some(Some(known)) = self.imported.borrow().get(at) {
            return Ok(known.clone());
        }
        let material = match &key.material {
            Material::Secret(name) => secret(name, env)?,
            Material::Rsa { n, e } => format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#),
            Material::P256 { x, y } => {
                format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)
            }
        };
        let importing = platform::import_key(key.algorithm().as_str(), &material);
        let imported = Settled::from(importing).await.map_err(|_| {
            let (algorithm, kid) = (key.algorithm().as_str(), key.kid.as_deref());
            console_error!(
                "tidegate: WebCrypto does not take the {algorithm} key `{}`",
                kid.unwrap_or_default()
            );
            Refusal::NoKeys
        })?;
        if let Some(place) = self.imported.borrow_mut().get_mut(at) {
            *place = Some(imported.clone());
        }
        Ok(imported)
    }
}

/// The Worker's secret of this name.
fn secret(name: &str, env: &Env) -> Result<String, Refusal> {
    let secret = env.secret(name).map(|secret| secret.to_string()).unwrap_or_default();
    match secret.len() {
        0 => {
            console_error!("tidegate: the secret {name} is not set: npx wrangler secret put {name}")
        }
        length if length < SECRET_MIN => {
            console_error!("tidegate: the secret {name} is shorter than {SECRET_MIN} bytes");
        }
        _ => return Ok(secret),
    }
    Err(Refusal::NoKeys)
}
