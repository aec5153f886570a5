//! Signs what goes to the origin (RFC 9421), by the first of the policy's keys.
//!
//! In wasm and not by WebCrypto: the hash of a few hundred bytes takes microseconds, and nothing
//! has to wait for it.

use std::cell::RefCell;

use tidegate_core::Policy;
use tidegate_core::signature::{Client, Keys, Question, SignatureRule};
use worker::{Env, console_error};

use crate::edits::Edits;
use crate::{clock, platform};

thread_local! {
    static SIGNER: RefCell<Option<Signer>> = const { RefCell::new(None) };
}

/// The key of this isolate, made ready once.
struct Signer {
    rule: SignatureRule,
    /// `None` while its secret is no use: then requests go unsigned, which a shim that requires
    /// signatures tells in its log.
    keys: Option<Keys>,
    /// A random begin and a count make what never comes twice.
    begin: String,
    count: u64,
}

/// Signs the request that `fields` go along with, if `policy` names keys for that.
pub(crate) fn sign(
    policy: &Policy,
    env: &Env,
    question: &Question<'_>,
    client: &Client<'_>,
    fields: &mut Edits,
) {
    let Some(rule) = &policy.model().edge.signature else { return };
    SIGNER.with_borrow_mut(|signer| {
        let signer = match signer {
            Some(signer) if signer.rule == *rule => signer,
            _ => signer.insert(Signer::new(rule, env)),
        };
        let Some(keys) = &signer.keys else { return };
        signer.count += 1;
        let nonce = [&*signer.begin, "-", &signer.count.to_string()].concat();
        keys.sign(question, client, &nonce, clock::now(), fields);
    });
}

impl Signer {
    fn new(rule: &SignatureRule, env: &Env) -> Self {
        // The others are for who verifies.
        let first = rule.keys.iter().take(1).cloned().collect();
        let first = SignatureRule { keys: first, skew: rule.skew };
        let secret = |name: &str| env.secret(name).ok().map(|secret| secret.to_string());
        let keys = Keys::of(&first, secret).map_err(|bad| {
            console_error!(
                "tidegate: {bad}, so that requests to the origin go unsigned: npx wrangler secret put"
            );
        });
        Self { rule: rule.clone(), keys: keys.ok(), begin: platform::random_uuid(), count: 0 }
    }
}
