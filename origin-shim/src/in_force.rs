//! What is in force: a policy, and what was made of it.

use std::sync::Arc;

use tidegate_core::policy::{IdentityRule, Upstream};
use tidegate_core::{Plan, Policy};

use crate::tokens::Tokens;
use crate::zones::Zones;

/// A policy and what goes with it. Never changed, only replaced: a request keeps what was in
/// force when it began.
#[derive(Debug)]
pub struct InForce {
    /// The policy.
    pub policy: Policy,
    /// Whose tokens are.
    pub tokens: Arc<Tokens>,
    /// Where answers are stored.
    pub answers: Zones,
}

impl InForce {
    /// The begin: nothing is stored yet.
    pub fn new(policy: Policy, tokens: Tokens) -> Self {
        Self { answers: Zones::new(&policy), tokens: Arc::new(tokens), policy }
    }

    /// What follows when `policy` comes into force: what is stored stays where its zone does,
    /// and `tokens` are those of [`Self::tokens_for`], or others.
    pub fn succeed(&self, policy: Policy, tokens: Arc<Tokens>) -> Self {
        Self { answers: self.answers.succeed(&policy), tokens, policy }
    }

    /// The checks of tokens, if `rule` wants the same: they know keys and good tokens.
    pub fn tokens_for(&self, rule: &IdentityRule) -> Option<Arc<Tokens>> {
        let same = self.policy.model().identity.jwt == rule.jwt;
        same.then(|| Arc::clone(&self.tokens))
    }

    /// Where the route of `plan` is fetched from.
    pub fn upstream_of(&self, plan: &Plan<'_>) -> Option<&Upstream> {
        let name = plan.route?.upstream.as_ref()?;
        self.policy.model().upstreams.get(name)
    }
}
