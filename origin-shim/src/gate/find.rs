//! What is stored for a request, and who asks when nothing is.

use std::sync::Arc;

use tidegate_core::alike::{self, Alike};
use tidegate_core::headers::Fields;
use tidegate_core::reuse::{ForwardReason, reuse};
use tidegate_core::{CacheKey, CacheRule, Lookup, Reuse};
use tokio::time::{Instant, timeout_at};

use super::{Gate, Passage};
use crate::answer_store::{Answer, AnswerStore};
use crate::asking::{End, Joined, Place, Turn, WAIT_MAX};
use crate::clock;
use crate::coder::Coder;
use crate::stores::Stores;

type Decision = Reuse<Arc<Answer>>;

impl Passage<'_> {
    /// What the core says of what is stored.
    pub(super) fn find(&self, rule: &CacheRule, key: &CacheKey) -> Decision {
        let found = match self.store().find(key, self.plan.terms(), &self.parts.headers) {
            Lookup::Nothing => self.find_alike(rule),
            found => found,
        };
        reuse(rule, self.asked, found, self.now)
    }

    /// A fresh answer to another query that the origin says makes no difference
    /// (No-Vary-Search). Where the policy says which of the query counts, that is enough.
    fn find_alike(&self, rule: &CacheRule) -> Lookup<Arc<Answer>> {
        let store = self.store();
        if store.alike().is_empty() || !alike::applies(rule) {
            return Lookup::Nothing;
        }
        let path = CacheKey::of_any_query(&rule.key, self.asked, &self.visitor.identity);
        let query = self.asked.target.query();
        let Some(known) = store.alike().of(&path) else { return Lookup::Nothing };
        let found = known.suiting(query).filter_map(|alike| {
            match store.find(&alike.key, self.plan.terms(), &self.parts.headers) {
                Lookup::Found(answer) => alike.suits(&answer.head, query).then_some(answer),
                Lookup::Nothing | Lookup::OtherVariants => None,
            }
        });
        let mut fresh = found.filter(|answer| answer.stored.fresh_for(self.now).is_some());
        fresh.next().map_or(Lookup::Nothing, Lookup::Found)
    }

    /// Whether the cache of the route only watches.
    pub(super) fn is_shadowed(&self) -> bool {
        self.plan.route.is_some_and(|route| route.shadow)
    }

    /// Where the answer will lie.
    pub(super) fn place(&self, key: &CacheKey) -> Place {
        let variant = self.store().variant(key, &self.parts.headers);
        Place { key: key.clone(), variant }
    }

    /// Where answers of this route are stored.
    pub(super) fn stores(&self) -> Stores {
        Stores { memory: Arc::clone(self.store()), redis: self.in_force.second_tier.clone() }
    }

    /// Where they serve from.
    pub(super) fn store(&self) -> &Arc<AnswerStore> {
        self.in_force.answers.of(&self.plan)
    }
}

/// Who asks when nothing is in memory.
enum Asks {
    /// This request, for all that want the same.
    ForAll(Turn),
    /// This request, for itself.
    Alone,
    /// The same, and what comes will be for nobody else.
    Unshared,
}

/// Whether a stale answer has a fresh one in its place.
pub(super) enum Renewed {
    /// It has: another request has asked for it, here or at another shim.
    ByAnother,
    /// It has not: this is the latest.
    Not(Arc<Answer>),
}

impl Gate {
    /// What is found beyond the memory of this process, where that has nothing that serves: what
    /// another request is about to store, or what lies in Redis. Else the right to ask for others.
    pub(super) async fn find_more(
        &self,
        passage: &mut Passage<'_>,
        rule: &CacheRule,
        key: &CacheKey,
        decision: Decision,
    ) -> (Decision, Option<Turn>) {
        let (decision, asks) = self.join(passage, rule, key, decision).await;
        let turn = match asks {
            Asks::ForAll(turn) => Some(turn),
            Asks::Alone => None,
            Asks::Unshared => return (decision, None),
        };
        if !is_missing(&decision) {
            return (decision, turn);
        }
        let Some(found) = passage.look_in_redis(key, decision.answer()).await else {
            return (decision, turn);
        };
        let decision = reuse(rule, passage.asked, Lookup::Found(found), passage.now);
        match turn {
            Some(turn) if !is_missing(&decision) => {
                turn.end(End::Stored, passage.now);
                (decision, None)
            }
            turn => (decision, turn),
        }
    }

    /// Leaves the question to another request that asks it already, and looks again when that
    /// has its answer; else others leave it to this one (C11).
    async fn join(
        &self,
        passage: &mut Passage<'_>,
        rule: &CacheRule,
        key: &CacheKey,
        mut decision: Decision,
    ) -> (Decision, Asks) {
        let mut deadline = None;
        while passage.closed.is_none()
            && let Some(why) = decision.collapses(passage.asked)
        {
            let place = passage.place(key);
            let following = match self.shared.turns.join(place.clone(), passage.now) {
                Joined::Leads(turn) => {
                    // Who had the turn before may have stored an answer since this one looked.
                    decision = passage.find(rule, key);
                    if decision.collapses(passage.asked).is_some() {
                        return (decision, Asks::ForAll(turn));
                    }
                    turn.end(End::Stored, passage.now);
                    break;
                }
                Joined::Alone => break,
                Joined::Unshared => return (decision, Asks::Unshared),
                Joined::Follows(following) => following,
            };
            let until = *deadline.get_or_insert_with(|| Instant::now() + WAIT_MAX);
            let end = timeout_at(until, following.end()).await;
            passage.now = clock::now();
            passage.collapsed = Some(why.fwd());
            decision = passage.find(rule, key);
            match end {
                // It is for somebody else to ask, or else it is another variant that came.
                Ok(End::Left) => {}
                Ok(End::Stored) if passage.place(key) != place => {}
                Ok(End::Unshared) => return (decision, Asks::Unshared),
                Ok(End::Stored | End::Failed) | Err(_) => break,
            }
        }
        (decision, Asks::Alone)
    }
}

impl Passage<'_> {
    /// What lies in Redis, if it is newer than what is in memory: there from now on, too.
    pub(super) async fn look_in_redis(
        &mut self,
        key: &CacheKey,
        known: Option<&Arc<Answer>>,
    ) -> Option<Arc<Answer>> {
        let tier = self.in_force.second_tier.as_ref()?;
        let coder = self.offer.map(|_| Coder::new(key.clone()));
        let found = tier.find(key, self.plan.terms(), &self.parts.headers, coder).await?;
        self.now = clock::now();
        if known.is_some_and(|known| found.stored.received_at <= known.stored.received_at) {
            return None;
        }
        self.is_from_redis = true;
        self.remember_alike(key, &found.head);
        Some(self.store().put(key.clone(), found, self.now))
    }

    /// Puts what was stored meanwhile, here or by another shim, in the place of a stale answer.
    pub(super) async fn renew(
        &mut self,
        rule: &CacheRule,
        key: &CacheKey,
        stale: Arc<Answer>,
    ) -> Renewed {
        if let Reuse::Serve { .. } = self.find(rule, key) {
            return Renewed::ByAnother;
        }
        match self.look_in_redis(key, Some(&stale)).await {
            Some(found) if found.stored.fresh_for(self.now).is_some() => Renewed::ByAnother,
            Some(found) => Renewed::Not(found),
            None => Renewed::Not(stale),
        }
    }

    /// Remembers which other queries an answer with this head suits (No-Vary-Search).
    pub(super) fn remember_alike(&self, key: &CacheKey, head: &(impl Fields + ?Sized)) {
        let Some(rule) = self.plan.route.and_then(|route| route.cache_rule(self.plan.tier)) else {
            return;
        };
        let query = self.asked.target.query();
        let Some(alike) = Alike::of(key.clone(), query, head) else { return };
        let path = CacheKey::of_any_query(&rule.key, self.asked, &self.visitor.identity);
        self.store().alike().remember(path, alike);
    }
}

/// Whether upstream is asked because nothing is stored that serves: not because somebody wants its
/// word all the same.
pub(super) fn is_missing(decision: &Decision) -> bool {
    let (Reuse::Revalidate { why, .. } | Reuse::Forward { why, .. }) = decision else {
        return false;
    };
    matches!(why, ForwardReason::UriMiss | ForwardReason::VaryMiss | ForwardReason::Stale)
}
